//! The record of what was baked, inside the image: written by every bake, read by `inspect` and
//! `verify`, and by the next bake of the same image.
//!
//! `/etc/bake/record.json` holds no secret and no digest of one. Digests of secret files are in
//! [`SEALED`], and files as they were before in [`ORIGINALS`], which only root may read.

pub mod attestation;
mod check;
mod compare;
pub mod purl;
pub mod sbom;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use attestation::{Attestation, Resource};
pub use check::{Mismatch, check, is_as_recorded};
pub(crate) use check::{digest_of, observe};
pub use compare::OUTPUT;

use crate::error::{Error, Result};
use crate::fs::FileKind;
use crate::fs::root::Root;
use crate::io::digest::Sha256;

/// Version of the record that this build writes.
pub const VERSION: u32 = 1;
/// The program, as records call it.
pub const TOOL: &str = concat!("bake ", env!("CARGO_PKG_VERSION"));
/// Folder of what the base image had where bake wrote, mode 0700: `/etc/hosts` is kept as
/// `/etc/bake/originals/etc/hosts`.
pub const ORIGINALS: &str = "/etc/bake/originals";
/// SHA-256 of secret files by path, mode 0600.
pub const SEALED: &str = "/etc/bake/sealed.json";

/// No record is larger.
const LIMIT: u64 = 16 << 20;

/// What was baked into an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`VERSION`] of the file.
    pub version: u32,
    /// The program: `bake 0.1.0`.
    pub tool: String,
    /// The node.
    pub node: Subject,
    /// The image it was baked on.
    pub base: Base,
    /// What came from elsewhere.
    pub components: Vec<Component>,
    /// The packages among them that the first boot installs, in dpkg's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<nodeconf::Package>,
    /// Container images by the names that manifests gave them, with the digest that was put behind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub container_images: BTreeMap<String, Sha256>,
    /// Tells apart what nodes of a role share: the digest of the golden layer's edits.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub shared: String,
    /// Time of the bake, seconds since 1970-01-01 UTC.
    pub time: i64,
    /// Every file that was made, changed or removed, ascending by path.
    pub files: Vec<Baked>,
}

/// The node an image was baked for; without a name, what all nodes of a role share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Name of the profile.
    pub profile: String,
    /// SHA-256 of the profile's text, where it was read from a file or is built in.
    pub profile_sha256: Option<String>,
    /// SHA-256 of the profile's lock, where one was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_sha256: Option<String>,
    /// Name of the cluster.
    pub cluster: String,
    /// Name of the node; `None` for a golden image, which is no node yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its role.
    pub role: nodeconf::Role,
    /// Its incarnation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<u32>,
}

/// The image a node was baked on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Its id in the catalogue, or the name of its file.
    pub name: String,
    /// What it said about itself.
    pub os: String,
    /// Debian's name of its architecture.
    pub architecture: String,
    /// SHA-256 of the raw image, where it came verified from a catalogue or a download.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// What that rests on: `digest`, or `digest, signature by KEY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<String>,
}

/// Something that came from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// `k3s`, `k3s-airgap-images`, `firstboot`, `metallb`, the name of a package.
    pub name: String,
    /// Its release, where it has one.
    pub version: Option<String>,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Package URL of a release or a package; none of what the user named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
}

impl Component {
    /// Whether it is a package of the distribution.
    #[must_use]
    pub fn is_package(&self) -> bool {
        self.purl.as_ref().is_some_and(|purl| purl.starts_with("pkg:deb/"))
    }
}

/// What a path was or is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Regular file.
    File,
    /// Directory.
    Directory,
    /// Symbolic link.
    Symlink,
    /// Nothing is there.
    Absent,
}

impl Kind {
    /// The kind of what the tree shows; device nodes and the like count as absent, since none is
    /// ever baked.
    #[must_use]
    pub fn of(kind: Option<FileKind>) -> Self {
        match kind {
            Some(FileKind::File) => Self::File,
            Some(FileKind::Directory) => Self::Directory,
            Some(FileKind::Symlink) => Self::Symlink,
            Some(FileKind::Special) | None => Self::Absent,
        }
    }
}

/// One file after the bake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baked {
    /// Path as the running system sees it.
    pub path: String,
    /// What is there now.
    #[serde(flatten)]
    pub state: State,
    /// Its content and any digest of it are for root alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
    /// What the base image had there; `None` where it had nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// SHA-256 of a file that is no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Target of a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// What was at a path before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// What it was. Files are kept in [`ORIGINALS`], up to a size.
    #[serde(flatten)]
    pub state: State,
    /// Modification time, seconds since 1970-01-01 UTC.
    pub mtime: i64,
    /// Whether its content was kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            Some(name) => f.write_str(name),
            None => f.write_str("what all nodes of a role share"),
        }
    }
}

/// A role, as names of files and documents have it.
#[must_use]
pub fn role(role: nodeconf::Role) -> &'static str {
    match role {
        nodeconf::Role::Server => "server",
        nodeconf::Role::Agent => "agent",
        nodeconf::Role::Database => "database",
    }
}

impl Record {
    /// Reads a record.
    ///
    /// # Errors
    /// [`Error::Corrupt`], or [`Error::Unsupported`] for a newer version.
    pub fn parse(json: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let corrupt = |e: serde_json::Error| Error::Corrupt {
            what: nodeconf::paths::RECORD.into(),
            reason: e.to_string(),
        };
        let Version { version } = serde_json::from_slice(json).map_err(corrupt)?;
        if version != VERSION {
            return Err(Error::Unsupported {
                what: nodeconf::paths::RECORD.into(),
                feature: format!("version {version}, where this build knows {VERSION}"),
            });
        }
        serde_json::from_slice(json).map_err(corrupt)
    }

    /// Whether SBOMs were put into the image, and with them the attestation.
    #[must_use]
    pub fn has_sbom(&self) -> bool {
        self.files.iter().any(|baked| baked.path == sbom::SPDX)
    }

    /// Canonical text.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Its keys are strings and it holds no floats, so it cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// The record of an image; `None` where it was never baked.
///
/// # Errors
/// As [`Record::parse`], and what reading fails with.
pub fn read(root: &Root) -> Result<Option<Record>> {
    match root.read(nodeconf::paths::RECORD.as_bytes(), LIMIT)? {
        Some(json) => Record::parse(&json).map(Some),
        None => Ok(None),
    }
}

/// Digests of an image's secret files by path; empty where there are none.
///
/// # Errors
/// [`Error::Corrupt`], and what reading fails with.
pub fn read_sealed(root: &Root) -> Result<BTreeMap<String, String>> {
    let Some(json) = root.read(SEALED.as_bytes(), LIMIT)? else { return Ok(BTreeMap::new()) };
    serde_json::from_slice(&json)
        .map_err(|e| Error::Corrupt { what: SEALED.into(), reason: e.to_string() })
}
