//! What a signature vouches for, the files it lists, and the user's own: all may come over plain
//! HTTP or from anywhere, because what they are is known or verified by the caller.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use url::Url;

use super::base::open_regular;
use super::client::{Way, shown};
use super::entry::{Kind, Record};
use super::{Fetcher, FileRequest, Verified, local};
use crate::error::{IoContext, Result};
use crate::io::digest::Sha256;

impl Fetcher<'_> {
    /// Whether only the cache may be used.
    #[must_use]
    pub fn offline(&self) -> bool {
        self.options.offline
    }

    /// As [`Fetcher::file`], for a file whose digest stands in a signed list: plain HTTP will do.
    ///
    /// # Errors
    /// As [`Fetcher::file`].
    pub fn indexed(&self, request: &FileRequest) -> Result<Verified<File>> {
        self.obtain(request, Way::Plain)
    }

    /// A file of at most `limit` bytes that is signed; the caller verifies that before it believes
    /// it and has it [`Fetcher::remember`]ed. Where nothing may be downloaded it is the copy
    /// remembered last. `None` where there is none.
    ///
    /// # Errors
    /// As [`Fetcher::file`].
    pub fn signed(&self, name: &str, url: &Url, limit: u64) -> Result<Option<Vec<u8>>> {
        if self.offline() {
            return self.recall(url);
        }
        Ok(self.small(name, url, Way::Plain, limit)?.ok())
    }

    /// Keeps `bytes`, which `url` had and whose signature was verified, in place of older ones.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`].
    pub fn remember(&self, name: &str, url: &Url, bytes: &[u8]) -> Result<()> {
        let (sha256, source) = (Sha256::of(bytes), shown(url));
        let key = sha256.to_string();
        let _lock = self.cache.lock(&key, name, self.sink, &self.options.cancel)?;
        if self.cache.open_file(&key, self.sink)?.is_none() {
            let temporary = self.cache.workplace(Kind::File)?.join(format!("{key}.tmp"));
            fs::write(&temporary, bytes).at("writing", &temporary)?;
            let record = Record::new(name, &source, sha256, bytes.len() as u64);
            self.cache.adopt(&temporary, Kind::File, &key, record)?;
        }
        let older = |r: &Record| r.source == source && r.sha256 != sha256;
        while let Some(old) = self.cache.find(Kind::File, older) {
            self.cache.discard(Kind::File, &old)?;
        }
        Ok(())
    }

    /// Digest of a file of the user's; remembered while the file stays the same.
    ///
    /// # Errors
    /// As [`Fetcher::own_file`].
    pub fn digest_of(&self, path: &Path) -> Result<Sha256> {
        let file = open_regular(path)?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        local::digest(self, path, &file, &name).map(|(sha256, _)| sha256)
    }

    fn recall(&self, url: &Url) -> Result<Option<Vec<u8>>> {
        let source = shown(url);
        let Some(key) = self.cache.find(Kind::File, |r| r.source == source) else {
            return Ok(None);
        };
        let Some(found) = self.cache.open_file(&key, self.sink)? else { return Ok(None) };
        let (path, mut bytes) = (found.path().to_owned(), Vec::new());
        found.into_inner().read_to_end(&mut bytes).at("reading", path)?;
        Ok(Some(bytes))
    }

    /// A file of the user's, by the digest it has: nobody else says what it must be.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`], [`crate::error::Error::Interrupted`].
    pub fn own_file(&self, path: &Path) -> Result<Verified<File>> {
        let file = open_regular(path)?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let (sha256, len) = local::hash(self, path, &file, &name)?;
        Ok(Verified::new(file, path.to_owned(), sha256, len))
    }
}
