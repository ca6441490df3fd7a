//! A file whose bytes are known to be the promised ones: a type, so that it cannot be forgotten.

use std::path::{Path, PathBuf};

use crate::io::digest::Sha256;

/// Something on disk whose content was compared with a digest.
///
/// Only this room makes one, and only after the comparison. It holds what was verified (for a
/// file the open handle), so that a path swapped afterwards changes nothing.
#[derive(Debug)]
pub struct Verified<T> {
    inner: T,
    path: PathBuf,
    sha256: Sha256,
    len: u64,
}

impl<T> Verified<T> {
    pub(super) fn new(inner: T, path: PathBuf, sha256: Sha256, len: u64) -> Self {
        Self { inner, path, sha256, len }
    }

    /// Digest of the content.
    #[must_use]
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// Length of the content in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no content.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where it lies, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was verified.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.inner
    }

    /// What was verified.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.inner
    }
}
