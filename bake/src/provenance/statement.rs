//! What is read of an attestation to make its image again: an in-toto Statement v1 with SLSA
//! provenance v1 (in-toto.io/Statement/v1, slsa.dev/provenance/v1).
//!
//! Fields that are not needed for that are not looked at, as both specifications ask.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

const KIND: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://slsa.dev/provenance/v1";

/// A statement about outputs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    /// What it is about, each with its digest.
    pub subject: Vec<Named>,
    predicate: Predicate,
}

/// Something with a name and a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Digests by algorithm.
    #[serde(default)]
    pub digest: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Predicate {
    build_definition: Definition,
    run_details: Details,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Definition {
    external_parameters: Asked,
    internal_parameters: Followed,
    #[serde(default)]
    resolved_dependencies: Vec<Named>,
}

/// What the user chose.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Asked {
    /// The profile, with the digest of its text.
    pub profile: Named,
    /// The node; none for an image that is anybody's.
    #[serde(default)]
    pub node: Option<String>,
    /// The lock, with the digest of its text.
    #[serde(default)]
    pub lock: Option<Named>,
}

/// What followed from that.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Followed {
    /// The date of everything that was made, seconds since 1970-01-01 UTC.
    pub source_date_epoch: i64,
    /// The node's incarnation.
    #[serde(default)]
    pub incarnation: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Details {
    builder: Builder,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Builder {
    #[serde(default)]
    version: BTreeMap<String, String>,
}

impl Named {
    /// With a SHA-256.
    #[must_use]
    pub fn new(name: impl Into<String>, sha256: Option<&str>) -> Self {
        let digest = sha256.map(|d| ("sha256".to_owned(), d.to_owned()));
        Self { name: name.into(), digest: digest.into_iter().collect() }
    }

    /// Its SHA-256, where it has one.
    #[must_use]
    pub fn sha256(&self) -> Option<&str> {
        self.digest.get("sha256").map(String::as_str)
    }
}

impl Statement {
    /// Reads a statement; `what` names it in errors.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for what is none, [`Error::Unsupported`] for one of another kind.
    pub fn parse(what: &str, json: &[u8]) -> Result<Self> {
        let statement: Self = serde_json::from_slice(json).map_err(|e| Error::Corrupt {
            what: what.into(),
            reason: format!("it is no attestation of a bake: {e}"),
        })?;
        for (field, found, known) in [
            ("_type", &statement.kind, KIND),
            ("predicateType", &statement.predicate_type, PREDICATE),
        ] {
            if found != known {
                let feature = format!("{field} {found}, where this build knows {known}");
                return Err(Error::Unsupported { what: what.into(), feature });
            }
        }
        Ok(statement)
    }

    /// What the user chose.
    #[must_use]
    pub fn asked(&self) -> &Asked {
        &self.predicate.build_definition.external_parameters
    }

    /// What followed from that.
    #[must_use]
    pub fn followed(&self) -> &Followed {
        &self.predicate.build_definition.internal_parameters
    }

    /// The version of bake that made it.
    #[must_use]
    pub fn bake(&self) -> Option<&str> {
        self.predicate.run_details.builder.version.get("bake").map(String::as_str)
    }

    /// One line for everything that differs when it was made again: what went in first, then what
    /// came out. Who looks for the reason of a difference finds it at the top.
    #[must_use]
    pub fn differences(&self, dependencies: &[Named], outputs: &[Named]) -> Vec<String> {
        let mut lines = Vec::new();
        let own = env!("CARGO_PKG_VERSION");
        if let Some(other) = self.bake().filter(|other| *other != own) {
            lines.push(format!("bake: it was {other}, and is {own}"));
        }
        let was = &self.predicate.build_definition.resolved_dependencies;
        lines.extend(compare("", was, dependencies));
        lines.extend(compare("output ", &self.subject, outputs));
        lines
    }
}

/// What both lists name with another digest, or only one of them.
fn compare(kind: &str, was: &[Named], is: &[Named]) -> Vec<String> {
    let mut lines = Vec::new();
    for one in was {
        let Some(other) = is.iter().find(|other| other.name == one.name) else {
            lines.push(format!("{kind}{}: it is not there any more", one.name));
            continue;
        };
        // What was not known then cannot differ.
        if let (Some(a), Some(b)) = (one.sha256(), other.sha256())
            && a != b
        {
            lines.push(format!("{kind}{}: its sha256 was {a}, and is {b}", one.name));
        }
    }
    let new = is.iter().filter(|other| was.iter().all(|one| one.name != other.name));
    lines.extend(new.map(|other| format!("{kind}{}: it was not there", other.name)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{
      "_type": "https://in-toto.io/Statement/v1",
      "subject": [{"name": "node1.img", "digest": {"sha256": "aa"}}],
      "predicateType": "https://slsa.dev/provenance/v1",
      "predicate": {
        "buildDefinition": {
          "buildType": "x",
          "externalParameters": {"profile": {"name": "edge"}, "cluster": "edge", "node": "node1", "role": "server"},
          "internalParameters": {"sourceDateEpoch": 7, "architecture": "arm64", "os": "x", "incarnation": 2},
          "resolvedDependencies": [{"name": "base"}, {"name": "k3s", "uri": "u", "digest": {"sha256": "bb"}}]
        },
        "runDetails": {"builder": {"id": "x", "version": {"bake": "VERSION"}}}
      }
    }"#;

    #[test]
    fn what_differs_is_told_what_went_in_first() {
        let text = TEXT.replace("VERSION", env!("CARGO_PKG_VERSION"));
        let statement = Statement::parse("x", text.as_bytes()).unwrap();
        assert_eq!(
            (statement.followed().source_date_epoch, statement.asked().lock.is_none()),
            (7, true)
        );
        let (base, k3s) = (Named::new("base", Some("cc")), |d| Named::new("k3s", Some(d)));
        let out = |d| [Named::new("node1.img", Some(d))];
        assert_eq!(statement.differences(&[base.clone(), k3s("bb")], &out("aa")), [""; 0]);
        let lines =
            statement.differences(&[base, k3s("dd"), Named::new("metallb", None)], &out("ee"));
        assert_eq!(
            lines,
            [
                "k3s: its sha256 was bb, and is dd",
                "metallb: it was not there",
                "output node1.img: its sha256 was aa, and is ee"
            ]
        );
        let other = Statement::parse("x", TEXT.replace("VERSION", "0.0.9").as_bytes()).unwrap();
        assert!(other.differences(&[], &[])[0].starts_with("bake: it was 0.0.9"));
    }

    #[test]
    fn what_is_no_statement_of_a_bake_is_refused() {
        for (from, to) in [
            ("Statement/v1", "Statement/v9"),
            ("provenance/v1", "provenance/v9"),
            ("\"subject\"", "\"x\""),
        ] {
            assert!(Statement::parse("x", TEXT.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
        }
    }
}
