//! Bills of materials in the image.

use super::edit::{Access, Edit, Material, Source, Topic};
use super::steps::Steps;
use crate::io::digest::Sha256;
use crate::provenance::sbom::{CYCLONEDX, SPDX, Sbom};
use crate::store::Payload;

/// The edits that put both documents into the image; the same on every node of the role, which
/// share one copy of the texts.
#[must_use]
pub fn edits(sbom: Sbom) -> Vec<Edit> {
    let mut steps = Steps::new();
    steps.about(Topic::Sbom).shared();
    for (path, text) in [(SPDX, sbom.spdx), (CYCLONEDX, sbom.cyclonedx)] {
        let sha256 = Sha256::of(text.as_bytes()).to_string();
        let payload = Payload::bytes(text.into_bytes());
        let material = Material { payload, sha256, what: "bill of materials".into(), url: None };
        steps.put(path, Access::root(0o644), Source::Material(material));
    }
    steps.edits
}
