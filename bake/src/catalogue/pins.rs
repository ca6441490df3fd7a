//! Digests of K3s releases that are known beforehand (`images/k3s.yaml`).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::parse::read;
use super::shipped;
use crate::error::Result;
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
