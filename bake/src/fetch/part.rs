//! A download that is not finished: its bytes so far, their digest, and whose bytes they are.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, IoContext, Result};
use crate::io::digest::{Hasher, Sha256};
use crate::io::remove::remove;
use crate::sys::interrupt::Cancel;

/// What is remembered of the server's file, to continue only with the same one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Origin {
    /// Where the bytes came from.
    pub(super) url: String,
    /// Its strong entity tag or its date (RFC 9110, 13.1.5), for `If-Range`.
    pub(super) validator: Option<String>,
    /// Its full length in bytes, where the server said so.
    pub(super) total: Option<u64>,
}

/// `KEY.part` and, beside it, `KEY.json`.
#[derive(Debug)]
pub(super) struct Part {
    path: PathBuf,
    file: File,
    hasher: Hasher,
    len: u64,
    pub(super) origin: Origin,
    /// Whether its bytes came in more than one piece.
    pub(super) pieced: bool,
}

impl Part {
    /// Opens or creates it; what is there already is read for its digest.
    ///
    /// Bytes from elsewhere are kept only where `any_origin`, because a digest will judge them.
    pub(super) fn open(
        folder: &Path,
        key: &str,
        url: &str,
        any_origin: bool,
        cancel: &Cancel,
    ) -> Result<Self> {
        let path = folder.join(format!("{key}.part"));
        let origin = fs::read(path.with_extension("json")).ok();
        let origin: Option<Origin> = origin.and_then(|text| serde_json::from_slice(&text).ok());
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false);
        let file = file.open(&path).at("opening", &path)?;
        let mut part = Self {
            path,
            file,
            hasher: Hasher::default(),
            len: 0,
            origin: origin.unwrap_or_default(),
            pieced: false,
        };
        if any_origin || part.origin.url == url && part.origin.validator.is_some() {
            part.rehash(cancel)?;
        } else {
            part.restart()?;
        }
        Ok(part)
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Digest of the bytes so far.
    pub(super) fn sha256(&self) -> Sha256 {
        self.hasher.clone().finish()
    }

    /// Appends bytes of `origin`.
    pub(super) fn append(&mut self, data: &[u8]) -> Result<()> {
        self.file.write_all(data).map_err(|e| full_disk(&self.path, e))?;
        self.hasher.update(data);
        self.len += data.len() as u64;
        Ok(())
    }

    /// Remembers whose bytes follow.
    pub(super) fn set_origin(&mut self, origin: Origin) -> Result<()> {
        if self.origin != origin {
            let path = self.path.with_extension("json");
            let text = serde_json::to_vec(&origin).map_err(std::io::Error::from);
            text.and_then(|text| fs::write(&path, text)).map_err(|e| full_disk(&path, e))?;
            self.origin = origin;
        }
        Ok(())
    }

    /// Drops every byte.
    pub(super) fn restart(&mut self) -> Result<()> {
        self.file.set_len(0).at("emptying", &self.path)?;
        self.file.rewind().at("emptying", &self.path)?;
        self.hasher = Hasher::default();
        self.len = 0;
        self.pieced = false;
        Ok(())
    }

    /// Removes it from the disk.
    pub(super) fn remove(self) -> Result<()> {
        remove(&self.path.with_extension("json"))?;
        remove(&self.path)
    }

    /// Forgets the origin; the bytes stay, for whoever takes the file over.
    pub(super) fn finish(self) -> Result<PathBuf> {
        self.file.sync_data().at("writing", &self.path)?;
        remove(&self.path.with_extension("json"))?;
        Ok(self.path)
    }

    fn rehash(&mut self, cancel: &Cancel) -> Result<()> {
        self.file.rewind().at("reading", &self.path)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            cancel.check()?;
            let n = std::io::Read::read(&mut self.file, &mut buffer).at("reading", &self.path)?;
            if n == 0 {
                break;
            }
            self.hasher.update(&buffer[..n]);
            self.len += n as u64;
        }
        self.pieced = self.len > 0;
        self.file.seek(SeekFrom::Start(self.len)).at("reading", &self.path)?;
        Ok(())
    }
}

/// A write error, with advice where the disk is full.
pub(super) fn full_disk(path: &Path, error: std::io::Error) -> Error {
    let full =
        matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
    let error = Error::io("writing", path, error);
    if full {
        error.hint("make room with `bake cache prune`, or name another folder with --cache-dir")
    } else {
        error
    }
}
