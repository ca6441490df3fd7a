//! Bills of materials: what is in an image, for machines (SPDX 2.3 and CycloneDX 1.6).
//!
//! Both say the same, from the image's own package database and the record's components. They name
//! no node, so that all nodes of a role share them, and their identifiers come from their content.

mod cyclonedx;
mod spdx;

use std::fmt::Write as _;

use serde::Serialize;

use super::{Base, Component, purl};
use crate::io::digest::Sha256;
use crate::packages::Installed;

/// The SPDX document inside an image, mode 0644.
pub const SPDX: &str = "/etc/bake/sbom.spdx.json";
/// The CycloneDX document inside an image, mode 0644.
pub const CYCLONEDX: &str = "/etc/bake/sbom.cdx.json";

/// What is to be listed.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// What the image is: profile, role and architecture.
    pub name: &'a str,
    /// The program that makes it: `bake 0.1.0`.
    pub tool: &'a str,
    /// The image it is made on.
    pub base: &'a Base,
    /// `ID` of that one's os-release: `debian`.
    pub distribution: &'a str,
    /// What came from elsewhere, staged packages among them.
    pub components: &'a [Component],
    /// What dpkg has installed.
    pub installed: &'a [Installed],
    /// Time of the bake, seconds since 1970-01-01 UTC.
    pub time: i64,
}

/// Both documents, as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sbom {
    /// SPDX 2.3.
    pub spdx: String,
    /// CycloneDX 1.6.
    pub cyclonedx: String,
}

impl Sbom {
    /// Lists the contents.
    #[must_use]
    pub fn new(contents: &Contents<'_>) -> Self {
        let bill = Bill::new(contents);
        // Keys are strings and there are no floats: neither can fail.
        let text = |json: serde_json::Result<String>| json.unwrap_or_default() + "\n";
        Self {
            spdx: text(serde_json::to_string(&spdx::document(&bill))),
            cyclonedx: text(serde_json::to_string(&cyclonedx::document(&bill))),
        }
    }
}

/// What both documents are made from.
#[derive(Debug, Serialize)]
struct Bill {
    name: String,
    tool: String,
    tool_version: String,
    time: i64,
    base: Part,
    parts: Vec<Part>,
}

/// What kind of thing a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Kind {
    /// The base image.
    System,
    /// Installed in the base image.
    Installed,
    /// A package that the first boot installs.
    Staged,
    /// A program, or an archive of programs.
    Program,
}

/// One thing that is in the image.
#[derive(Debug, Serialize)]
struct Part {
    kind: Kind,
    /// Unique in the document; letters, digits, `.` and `-`.
    id: String,
    name: String,
    version: Option<String>,
    purl: Option<String>,
    sha256: Option<String>,
    /// Source package and its version.
    source: Option<(String, String)>,
}

impl Bill {
    fn new(contents: &Contents<'_>) -> Self {
        let Contents { name, tool, base, distribution, components, installed, time } = *contents;
        let (tool, tool_version) = tool.split_once(' ').unwrap_or((tool, "0"));
        let system = Part {
            kind: Kind::System,
            id: format!("base-{}", id(&base.name)),
            name: base.name.clone(),
            version: Some(base.os.clone()).filter(|os| !os.is_empty()),
            purl: Some(purl::plain("generic", &[&base.name], None)),
            sha256: base.sha256.clone(),
            source: None,
        };
        let added = components.iter().map(|component| {
            let kind = if component.is_package() { Kind::Staged } else { Kind::Program };
            let about = if kind == Kind::Staged { "staged" } else { "added" };
            Part {
                kind,
                id: format!("{about}-{}", id(&component.name)),
                name: component.name.clone(),
                version: component.version.clone(),
                purl: component.purl.clone(),
                sha256: Some(component.sha256.clone()),
                source: None,
            }
        });
        let installed = installed.iter().map(|package| {
            let Installed { name, architecture, version, source, source_version } = package;
            Part {
                kind: Kind::Installed,
                id: format!("deb-{}-{}", id(name), id(architecture)),
                name: name.clone(),
                version: Some(version.clone()),
                purl: Some(purl::deb(distribution, name, version, architecture)),
                sha256: None,
                source: Some((source.clone(), source_version.clone())),
            }
        });
        Self {
            name: name.to_owned(),
            tool: tool.to_owned(),
            tool_version: tool_version.to_owned(),
            time,
            base: system,
            parts: added.chain(installed).collect(),
        }
    }

    /// A UUID that is a function of all that is listed (RFC 9562, version 8).
    fn uuid(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        let mut hex = Sha256::of(text.as_bytes()).to_string();
        hex.replace_range(12..13, "8");
        hex.replace_range(16..17, "8");
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32]];
        parts.join("-")
    }

    /// The time of the bake as both formats write it.
    fn created(&self) -> String {
        let time = jiff::Timestamp::from_second(self.time).unwrap_or_default();
        time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

/// Writes what an identifier may not hold as `.` and upper-case hexadecimal digits. Names of
/// packages have no upper case, so none of them becomes another.
fn id(name: &str) -> String {
    let mut id = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.' {
            id.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(id, ".{byte:02X}");
        }
    }
    id
}
