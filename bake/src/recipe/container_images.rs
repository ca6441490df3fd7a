//! The manifests that K3s applies, and the container images they name: pinned where a lock says to
//! what.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use nodeconf::paths;

use super::edit::{Action, Edit, Material, Source};
use crate::container::manifest;
use crate::error::{Error, IoContext, Result};
use crate::io::digest::Sha256;
use crate::store::Payload;

/// Largest manifest that is looked into, in bytes. Objects of Kubernetes are smaller by far (etcd takes
/// 1.5 MiB).
pub const LIMIT: u64 = 16 << 20;

/// Digests of container images by their names in manifests, and what became of each manifest with
/// them: most are the same for all nodes of a role.
#[derive(Debug, Clone, Default)]
pub struct Pins {
    digests: BTreeMap<String, Sha256>,
    /// By the manifest's digest.
    seen: Arc<Mutex<BTreeMap<String, Seen>>>,
}

/// What became of a manifest.
#[derive(Debug, Clone, Default)]
struct Seen {
    /// Its new bytes and their digest, where some of it was pinned.
    pinned: Option<(Arc<[u8]>, String)>,
    loose: Arc<[String]>,
}

impl Pins {
    /// By these digests.
    #[must_use]
    pub fn new(digests: BTreeMap<String, Sha256>) -> Self {
        Self { digests, seen: Arc::default() }
    }

    /// The digests, by the names in manifests.
    #[must_use]
    pub fn digests(&self) -> &BTreeMap<String, Sha256> {
        &self.digests
    }

    /// Names of container images in the manifest that an edit writes, once pinned: those that still
    /// have no digest. Of what is no YAML K3s will say what is to be said; `bake lock` has already.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::Invalid`] for a name that is written in a way
    /// which cannot be completed.
    pub fn loose(&self, edit: &Edit) -> Result<Arc<[String]>> {
        match manifest(edit) {
            Some(source) => Ok(self.look(edit, source)?.loose),
            None => Ok(Arc::default()),
        }
    }

    /// Adds its digest to each name of a container image in the manifests among the edits.
    ///
    /// # Errors
    /// As [`Pins::loose`].
    pub(super) fn pin(&self, edits: &mut [Edit]) -> Result<()> {
        if self.digests.is_empty() {
            return Ok(());
        }
        for edit in edits {
            let Some(source) = manifest(edit) else { continue };
            let pinned = self.look(edit, source)?.pinned;
            if let (Some(pinned), Action::Write { source, .. }) = (pinned, &mut edit.action) {
                replace(source, pinned);
            }
        }
        Ok(())
    }

    fn look(&self, edit: &Edit, source: &Source) -> Result<Seen> {
        let sha256 = source.sha256();
        // Held while it is made: who else needs it must wait for it anyway.
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = all.get(&sha256) {
            return Ok(seen.clone());
        }
        let mut seen = Seen::default();
        if let Some(text) = text(source)? {
            let what = edit.action.path().to_owned();
            let found = manifest::pin(&text, &self.digests)
                .map_err(|fault| Error::Invalid { what, faults: vec![fault] })?;
            seen.loose = found.loose.into();
            if let Some(pinned) = found.text.map(String::into_bytes) {
                let sha256 = Sha256::of(&pinned).to_string();
                all.insert(sha256.clone(), seen.clone());
                seen.pinned = Some((pinned.into(), sha256));
            }
        }
        all.insert(sha256, seen.clone());
        Ok(seen)
    }
}

/// The manifest that an edit writes, where it is one and no larger than [`LIMIT`].
#[must_use]
pub fn manifest(edit: &Edit) -> Option<&Source> {
    let Action::Write { path, source, .. } = &edit.action else { return None };
    let inside = path.strip_prefix(paths::K3S_MANIFESTS).is_some_and(|rest| rest.starts_with('/'));
    (inside && source.len() <= LIMIT).then_some(source)
}

/// The text of a manifest; `None` for what is none.
///
/// # Errors
/// [`Error::Io`] where it cannot be read.
pub fn text(manifest: &Source) -> Result<Option<String>> {
    let bytes = match manifest {
        Source::Bytes(bytes) => bytes.clone(),
        Source::Material(material) => {
            let mut bytes = vec![0; usize::try_from(manifest.len()).unwrap_or(0)];
            material.payload.0.read_at(0, &mut bytes).at("reading", &material.what)?;
            bytes
        }
    };
    Ok(String::from_utf8(bytes).ok())
}

fn replace(source: &mut Source, (bytes, sha256): (Arc<[u8]>, String)) {
    match source {
        Source::Bytes(old) => *old = bytes.to_vec(),
        Source::Material(old) => {
            let (payload, what) = (Payload::bytes(bytes), old.what.clone());
            *old = Material { payload, sha256, what, url: None };
        }
    }
}
