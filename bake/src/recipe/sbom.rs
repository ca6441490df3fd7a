//! Bills of materials in the image.

use super::edit::{Access, Edit, Source, Topic};
use super::steps::Steps;
use crate::provenance::sbom::{CYCLONEDX, SPDX, Sbom};

/// The edits that put both documents into the image; the same on every node of the role.
#[must_use]
pub fn edits(sbom: &Sbom) -> Vec<Edit> {
    let mut steps = Steps::new();
    steps.about(Topic::Sbom).shared();
    for (path, text) in [(SPDX, &sbom.spdx), (CYCLONEDX, &sbom.cyclonedx)] {
        steps.put(path, Access::root(0o644), Source::Bytes(text.clone().into_bytes()));
    }
    steps.edits
}
