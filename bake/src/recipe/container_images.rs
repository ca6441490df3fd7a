//! The manifests that K3s applies, and the container images they name: pinned where a lock says to
//! what.

use std::collections::BTreeMap;

use nodeconf::paths;

use super::edit::{Action, Edit, Material, Source};
use crate::container::manifest;
use crate::error::{Error, IoContext, Result};
use crate::io::digest::Sha256;
use crate::store::Payload;

/// Digests of container images, by their names in manifests.
pub type Pins = BTreeMap<String, Sha256>;

/// Largest manifest that is looked into, in bytes. Objects of Kubernetes are smaller by far (etcd takes
/// 1.5 MiB).
pub const LIMIT: u64 = 16 << 20;

/// The text of the manifest that an edit writes; `None` for what is none.
///
/// # Errors
/// [`Error::Io`] where it cannot be read.
pub fn manifest(edit: &Edit) -> Result<Option<String>> {
    let Action::Write { path, source, .. } = &edit.action else { return Ok(None) };
    let inside = path.strip_prefix(paths::K3S_MANIFESTS).is_some_and(|rest| rest.starts_with('/'));
    if !inside || source.len() > LIMIT {
        return Ok(None);
    }
    let bytes = match source {
        Source::Bytes(bytes) => bytes.clone(),
        Source::Material(material) => {
            let mut bytes = vec![0; usize::try_from(source.len()).unwrap_or(0)];
            material.payload.0.read_at(0, &mut bytes).at("reading", &material.what)?;
            bytes
        }
    };
    Ok(String::from_utf8(bytes).ok())
}

/// Adds its digest to each name of a container image in the manifests among the edits. Of what is no
/// YAML K3s will say what is to be said; `bake lock` has already.
///
/// # Errors
/// [`Error::Invalid`] for a name that is written in a way which cannot be completed.
pub(super) fn pin(edits: &mut [Edit], pins: &Pins) -> Result<()> {
    if pins.is_empty() {
        return Ok(());
    }
    for edit in edits {
        let Some(text) = manifest(edit)? else { continue };
        let what = edit.action.path().to_owned();
        let pinned = manifest::pin(&text, pins)
            .map_err(|fault| Error::Invalid { what, faults: vec![fault] })?;
        if let (Some(pinned), Action::Write { source, .. }) = (pinned, &mut edit.action) {
            replace(source, pinned);
        }
    }
    Ok(())
}

fn replace(source: &mut Source, text: String) {
    let bytes = text.into_bytes();
    match source {
        Source::Bytes(old) => *old = bytes,
        Source::Material(old) => {
            let sha256 = Sha256::of(&bytes).to_string();
            let (payload, what) = (Payload::bytes(bytes), old.what.clone());
            *old = Material { payload, sha256, what, url: None };
        }
    }
}
