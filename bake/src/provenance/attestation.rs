//! How an output came to be, for machines: an in-toto Statement v1 with a SLSA provenance v1
//! predicate (in-toto.io/Statement/v1, slsa.dev/provenance/v1).
//!
//! It names no secret, nor any digest of one but that of the whole output. Reading ignores fields
//! it does not know, as both specifications ask.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Record, purl};
use crate::error::{Error, Result};
use crate::io::digest::Sha256;

/// `_type` of a statement.
pub const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// `predicateType` of SLSA's provenance.
pub const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// `buildType`: what the parameters mean; docs/release.md says it.
pub const BUILD_TYPE: &str =
    concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/release.md#provenance-v1");
/// The attestation inside an image, mode 0644: about the record, which lists what was baked.
pub const INSIDE: &str = "/etc/bake/provenance.json";
/// Ends the name of an attestation beside an output.
pub const SUFFIX: &str = ".intoto.json";

/// A statement about outputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// [`STATEMENT`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// What it is about, each with its digest.
    pub subject: Vec<Resource>,
    /// [`PREDICATE`].
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// How that was made.
    pub predicate: Provenance,
}

/// Something with a name and a digest (in-toto's ResourceDescriptor).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// File name, or what the record calls it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Package URL, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Digests by algorithm: `sha256`. Empty where nobody has taken it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
}

impl Resource {
    /// A resource with a SHA-256.
    #[must_use]
    pub fn new(name: impl Into<String>, sha256: impl Into<String>) -> Self {
        let digest = BTreeMap::from([("sha256".to_owned(), sha256.into())]);
        Self { name: name.into(), uri: None, digest }
    }

    /// Its SHA-256, where it has one.
    #[must_use]
    pub fn sha256(&self) -> Option<&str> {
        self.digest.get("sha256").map(String::as_str)
    }
}

/// SLSA's provenance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// What was asked for, and from what it was made.
    pub build_definition: BuildDefinition,
    /// By whom.
    pub run_details: RunDetails,
}

/// What was asked for, and from what it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildDefinition {
    /// [`BUILD_TYPE`].
    pub build_type: String,
    /// What the user chose.
    pub external_parameters: External,
    /// What followed from that, and is needed to make the same bytes again.
    pub internal_parameters: Internal,
    /// The base image first, then what came from elsewhere.
    pub resolved_dependencies: Vec<Resource>,
}

/// What the user chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct External {
    /// The profile: its name, and the digest of its text where it was read from a file.
    pub profile: Resource,
    /// Name of the cluster.
    pub cluster: String,
    /// The node; none for an image that is anybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Its role.
    pub role: nodeconf::Role,
    /// The lock file it was baked with, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<Resource>,
}

/// What followed from what the user chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Internal {
    /// Time of everything that was made, seconds since 1970-01-01 UTC: as `SOURCE_DATE_EPOCH` it
    /// makes the same bytes again.
    pub source_date_epoch: i64,
    /// Debian's name of the architecture.
    pub architecture: String,
    /// What the base said about itself.
    pub os: String,
    /// The node's incarnation; none for an image that is anybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<u32>,
}

/// By whom and when something was made. There is no "when": the time in
/// [`Internal::source_date_epoch`] is all that went in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunDetails {
    /// The program.
    pub builder: Builder,
    /// The record inside the image, which lists the digest of every file that was baked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub byproducts: Vec<Resource>,
}

/// The program that made something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Builder {
    /// Where it comes from.
    pub id: String,
    /// Versions by component: `bake`.
    pub version: BTreeMap<String, String>,
}

impl Attestation {
    /// Says that `subject` was made as `record` tells.
    #[must_use]
    pub fn new(record: &Record, subject: Vec<Resource>) -> Self {
        let (node, base) = (&record.node, &record.base);
        let mut profile = Resource { name: node.profile.clone(), ..Resource::default() };
        profile.digest.extend(node.profile_sha256.clone().map(|d| ("sha256".to_owned(), d)));
        let mut image = Resource { name: base.name.clone(), ..Resource::default() };
        image.uri = Some(purl::plain("generic", &[&base.name], None));
        image.digest.extend(base.sha256.clone().map(|d| ("sha256".to_owned(), d)));
        let components = record.components.iter().map(|component| Resource {
            uri: component.purl.clone(),
            ..Resource::new(&component.name, &component.sha256)
        });
        let (program, version) = record.tool.split_once(' ').unwrap_or((&record.tool, ""));
        Self {
            kind: STATEMENT.into(),
            subject,
            predicate_type: PREDICATE.into(),
            predicate: Provenance {
                build_definition: BuildDefinition {
                    build_type: BUILD_TYPE.into(),
                    external_parameters: External {
                        profile,
                        cluster: node.cluster.clone(),
                        node: node.name.clone(),
                        role: node.role,
                        lock: node.lock_sha256.as_ref().map(|d| Resource::new("lock", d)),
                    },
                    internal_parameters: Internal {
                        source_date_epoch: record.time,
                        architecture: base.architecture.clone(),
                        os: base.os.clone(),
                        incarnation: node.incarnation,
                    },
                    resolved_dependencies: std::iter::once(image).chain(components).collect(),
                },
                run_details: RunDetails {
                    builder: Builder {
                        id: env!("CARGO_PKG_REPOSITORY").into(),
                        version: BTreeMap::from([(program.to_owned(), version.to_owned())]),
                    },
                    byproducts: vec![record_itself(&record.to_json())],
                },
            },
        }
    }

    /// Says that `record`, whose text is `json`, came about as it tells: what can be said inside
    /// the image, which cannot hold its own digest.
    #[must_use]
    pub fn of_record(record: &Record, json: &str) -> Self {
        let mut attestation = Self::new(record, vec![record_itself(json)]);
        attestation.predicate.run_details.byproducts.clear();
        attestation
    }

    /// Reads a statement; `what` names it in errors.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for what is no statement; [`Error::Unsupported`] for one of another kind,
    /// or about what was made by something else.
    pub fn parse(what: &str, json: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Kinds {
            #[serde(rename = "_type")]
            kind: String,
            #[serde(rename = "predicateType")]
            predicate_type: String,
        }
        let corrupt = |e: serde_json::Error| Error::Corrupt {
            what: what.into(),
            reason: format!("it is no statement: {e}"),
        };
        let other = |field: &str, found: &str, known: &str| Error::Unsupported {
            what: what.into(),
            feature: format!("{field} {found}, where this build knows {known}"),
        };
        let kinds: Kinds = serde_json::from_slice(json).map_err(corrupt)?;
        for (field, found, known) in
            [("_type", &kinds.kind, STATEMENT), ("predicateType", &kinds.predicate_type, PREDICATE)]
        {
            if found != known {
                return Err(other(field, found, known));
            }
        }
        // Told before anything else is asked of it: other programs' parameters are not ours.
        let loose: serde_json::Value = serde_json::from_slice(json).map_err(corrupt)?;
        let build_type = &loose["predicate"]["buildDefinition"]["buildType"];
        if build_type != BUILD_TYPE {
            return Err(other("buildType", &build_type.to_string(), BUILD_TYPE));
        }
        serde_json::from_slice(json).map_err(corrupt)
    }

    /// What the user chose.
    #[must_use]
    pub fn asked(&self) -> &External {
        &self.predicate.build_definition.external_parameters
    }

    /// What followed from that.
    #[must_use]
    pub fn followed(&self) -> &Internal {
        &self.predicate.build_definition.internal_parameters
    }

    /// Canonical text.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Its keys are strings and it holds no floats, so it cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

fn record_itself(json: &str) -> Resource {
    Resource::new(nodeconf::paths::RECORD, Sha256::of(json.as_bytes()).to_string())
}
