//! The lock file of a profile: what its images are made of, by digest (docs/trust.md).
//!
//! `P.lock.yaml` lies beside the profile. [`Lock::parse`] reads it, [`Lock::render`] writes it, in
//! one order always; [`Lock::changes`] tells people what differs between two.

mod changes;
mod locked;
mod sound;
mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::io::digest::Sha256;

pub use locked::{Locked, Use, own_path};

/// Version of the format that this build reads and writes.
pub const VERSION: u32 = 2;

/// What the images of a profile are made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// [`VERSION`] of the file.
    pub version: u32,
    /// Version of bake: another one may make other bytes of the same parts.
    pub bake: String,
    /// The profile's name.
    pub profile: String,
    /// What everything that is made is dated, seconds since 1970-01-01 UTC.
    pub time: i64,
    /// The base image.
    pub base: Base,
    /// Programs, bundles and other projects' manifests.
    pub parts: Vec<Part>,
    /// The profile's own files, by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<OwnFile>,
    /// Debian packages, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<Package>,
    /// Which of the packages go where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selections: Vec<Selection>,
    /// Container images that manifests name, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub container_images: Vec<ContainerImage>,
}

/// The base image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// As the profile names it; of a file, its name.
    pub image: String,
    /// Debian's name of its architecture.
    pub architecture: String,
    /// URL; none for a file of the user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Digest of the file as published.
    pub sha256: Sha256,
    /// Length of the image inside, in bytes.
    pub image_size: u64,
    /// Digest of the image inside.
    pub image_sha256: Sha256,
    /// What it was verified by when the lock was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<String>,
}

/// A program, a bundle or another project's manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// `firstboot`, `k3s`, `k3s-airgap-images`, `metallb`.
    pub name: String,
    /// Its release, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its file name, where that matters in the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// URL; none for a file of the user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Its length in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256,
}

/// A file of the profile's own: a manifest, or one that is copied to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnFile {
    /// Its path, from the profile's folder.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256,
}

/// A Debian package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture, or `all`.
    pub architecture: String,
    /// URL; none for a file of the user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Its length in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256,
}

/// What must be installed where these packages are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// What the nodes need.
    pub wanted: Vec<String>,
    /// Names of [`Package`]s, in dpkg's order, by batch.
    pub batches: Vec<Vec<String>>,
}

/// A container image that a manifest names, with exactly one of what can be said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerImage {
    /// As the manifest writes it.
    pub name: String,
    /// Digest of its manifest in the registry: images get `NAME@sha256:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
    /// The archive among the baked files that has it, and is pinned itself: nodes find it there by
    /// its name as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<String>,
    /// Nodes pull what the name stands for then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub as_named: bool,
}

impl ContainerImage {
    /// By a digest; without one, as it is named.
    #[must_use]
    pub fn by_digest(name: impl Into<String>, sha256: Option<Sha256>) -> Self {
        Self { name: name.into(), sha256, archive: None, as_named: sha256.is_none() }
    }

    /// By the archive that has it.
    #[must_use]
    pub fn by_archive(name: impl Into<String>, archive: impl Into<String>) -> Self {
        let archive = Some(archive.into());
        Self { name: name.into(), sha256: None, archive, as_named: false }
    }

    fn is_clear(&self) -> bool {
        let said = [self.sha256.is_some(), self.archive.is_some(), self.as_named];
        said.into_iter().filter(|said| *said).count() == 1
    }
}

impl Lock {
    /// A part by name.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.name == name)
    }

    /// A package by name.
    #[must_use]
    pub fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// Digests of container images, by their names in manifests.
    #[must_use]
    pub fn pins(&self) -> BTreeMap<String, Sha256> {
        let pinned = self.container_images.iter().filter_map(|i| i.sha256.map(|d| (&i.name, d)));
        pinned.map(|(name, digest)| (name.clone(), digest)).collect()
    }

    /// Puts everything into the order of the file.
    pub fn sort(&mut self) {
        self.parts.sort_by(|a, b| a.name.cmp(&b.name));
        self.files.sort_by(|a, b| a.path.cmp(&b.path));
        self.packages.sort_by(|a, b| a.name.cmp(&b.name));
        self.selections.sort_by(|a, b| a.wanted.cmp(&b.wanted));
        self.container_images.sort_by(|a, b| a.name.cmp(&b.name));
    }
}

#[cfg(test)]
mod tests;
