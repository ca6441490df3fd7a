//! Digests that are known beforehand: of K3s releases (`images/k3s.yaml`) and of other projects'
//! manifests (`images/manifests.yaml`).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::parse::read;
use super::shipped;
use crate::error::{Error, Result};
use crate::io::digest::Sha256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pins {
    #[serde(rename = "version")]
    _version: u32,
    releases: BTreeMap<String, BTreeMap<String, Sha256>>,
}

/// The digest of a release's asset (`k3s-arm64`), if it is known.
///
/// # Errors
/// Only where the shipped file is wrong, which a test rules out.
pub fn k3s_pin(version: &str, file_name: &str) -> Result<Option<Sha256>> {
    let (name, text) = shipped::K3S;
    let pins: Pins = read(&format!("images/{name}"), text)?;
    Ok(pins.releases.get(version).and_then(|assets| assets.get(file_name)).copied())
}

/// A file of another project, of a release and by its digest.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pinned {
    /// The release (`v0.16.1`).
    pub version: String,
    /// Where it is published.
    pub url: String,
    /// What it must be.
    pub sha256: Sha256,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifests {
    #[serde(rename = "version")]
    _version: u32,
    manifests: BTreeMap<String, Pinned>,
}

/// MetalLB's manifest.
///
/// # Errors
/// Only where the shipped file is wrong, which a test rules out.
pub fn metallb() -> Result<Pinned> {
    let (name, text) = shipped::MANIFESTS;
    let what = format!("images/{name}");
    let mut all: Manifests = read(&what, text)?;
    all.manifests
        .remove("metallb")
        .ok_or_else(|| Error::Corrupt { what, reason: "it has no `metallb`".into() })
}
