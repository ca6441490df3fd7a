//! What the cache remembers of each of its files, beside the file.

use std::fs::{self, Metadata};
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::error::{Error, IoContext, Result};
use crate::io::digest::Sha256;

/// The two kinds of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A base image: verified, decompressed, sparse.
    Base,
    /// A file as published: K3s, image bundles.
    File,
}

impl Kind {
    /// Folder below the cache.
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Base => "bases",
            Self::File => "files",
        }
    }
}

/// The sidecar of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Version of this format.
    version: u32,
    /// What it is, for people.
    pub name: String,
    /// URL or path it came from.
    pub source: String,
    /// Digest of the file as published.
    pub source_sha256: Sha256,
    /// Length of the file as published, in bytes.
    pub source_len: u64,
    /// Digest of the entry's content.
    pub sha256: Sha256,
    /// Length of the entry's content in bytes.
    pub len: u64,
    /// Fingerprint of the key that signed the file as published, where that was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// The entry's times when its digest was last compared: where they differ now, it is compared
    /// again.
    #[serde(flatten)]
    times: Times,
}

/// When a file was changed, in nanoseconds since 1970 UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Times {
    /// Its content; anybody may set this back.
    modified: u64,
    /// Anything of it, which only the system's clock dates; 0 where the system does not say.
    #[serde(default)]
    changed: u64,
}

impl Times {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let since = metadata.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        let modified = since.and_then(|d| u64::try_from(d.as_nanos()).ok()).unwrap_or(0);
        Self { modified, changed: changed(metadata) }
    }
}

#[cfg(unix)]
fn changed(metadata: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let nanoseconds = i128::from(metadata.ctime()) * 1_000_000_000;
    u64::try_from(nanoseconds + i128::from(metadata.ctime_nsec())).unwrap_or(0)
}

#[cfg(not(unix))]
fn changed(_: &Metadata) -> u64 {
    0
}

impl Record {
    const VERSION: u32 = 1;

    /// For a file kept as published.
    pub(super) fn new(name: &str, source: &str, sha256: Sha256, len: u64) -> Self {
        Self {
            version: Self::VERSION,
            name: name.into(),
            source: source.into(),
            source_sha256: sha256,
            source_len: len,
            sha256,
            len,
            signed_by: None,
            times: Times::default(),
        }
    }

    /// For what was unpacked from a file.
    pub(super) fn unpacked(self, sha256: Sha256, len: u64) -> Self {
        Self { sha256, len, ..self }
    }

    /// For what `key` signed, where one did.
    pub(super) fn signed(self, key: Option<String>) -> Self {
        Self { signed_by: key, ..self }
    }

    /// Reads a sidecar; one that cannot be understood counts as none.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let record: Self = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        (record.version == Self::VERSION).then_some(record)
    }

    /// Writes the sidecar of the file that has `metadata`, whole or not at all.
    pub(super) fn write(mut self, path: &Path, metadata: &Metadata) -> Result<()> {
        self.times = Times::of(metadata);
        let folder = path.parent().unwrap_or(Path::new("."));
        let text =
            serde_json::to_vec_pretty(&self).map_err(|e| Error::io("writing", path, e.into()))?;
        let mut file = tempfile::NamedTempFile::new_in(folder).at("creating a file in", folder)?;
        std::io::Write::write_all(&mut file, &text).at("writing", path)?;
        file.persist(path).map_err(|e| Error::io("writing", path, e.error))?;
        Ok(())
    }

    /// Whether the file is as long and as old as when its digest was last compared.
    pub(super) fn matches(&self, metadata: &Metadata) -> bool {
        self.len == metadata.len() && self.times == Times::of(metadata)
    }
}
