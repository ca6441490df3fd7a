//! Base images: verified, decompressed once, sparse, never written again.

use std::fs::File;
use std::path::{Path, PathBuf};

use url::Url;

use super::client::{Way, shown};
use super::download::Wanted;
use super::entry::{Kind, Record};
use super::signature::{Signature, SignedBy, Verification};
use super::{Fetcher, Listed, local, unpack};
use crate::error::{Error, IoContext, Result};
use crate::io::decompress::{self, Format};
use crate::io::digest::Sha256;
use crate::io::remove::remove;

/// A published base image.
#[derive(Debug, Clone)]
pub struct BaseRequest {
    /// What it is, for people.
    pub name: String,
    /// Where it is published.
    pub url: Url,
    /// Digest of the file as published. One of the two digests must be known, or stand in a signed
    /// list.
    pub sha256: Option<Sha256>,
    /// Length of the file as published, in bytes.
    pub size: Option<u64>,
    /// Digest of the image inside.
    pub image_sha256: Option<Sha256>,
    /// Length of the image inside, in bytes.
    pub image_size: Option<u64>,
    /// How its publisher signs it.
    pub signature: Option<Signature>,
}

/// A raw image to bake on, open for reading.
#[derive(Debug)]
pub struct Base {
    /// The open image.
    pub file: File,
    /// Where it lies.
    pub path: PathBuf,
    /// Its length in bytes.
    pub len: u64,
    /// The URL, as people may see it, or the path that it was asked for by.
    pub source: String,
    /// Digest of the file as published; `None` for a raw file of the user's.
    pub source_sha256: Option<Sha256>,
    /// Digest of the image; `None` for a raw file of the user's, which is used where it lies.
    pub sha256: Option<Sha256>,
    /// What it was verified by.
    pub verified: Verification,
}

impl Base {
    /// Where it was downloaded from; `None` for a file of the user's.
    #[must_use]
    pub fn source_url(&self) -> Option<String> {
        let url = self.source.starts_with("https://") || self.source.starts_with("http://");
        url.then(|| self.source.clone())
    }
}

impl Fetcher<'_> {
    /// The image, from the cache or downloaded and unpacked into it.
    ///
    /// # Errors
    /// As [`Fetcher::file`]; [`Error::Usage`] where no digest is known, [`Error::Corrupt`] and
    /// [`Error::Unsupported`] for what cannot be unpacked.
    pub fn base(&self, request: &BaseRequest) -> Result<Base> {
        let base = self.published_base(request)?;
        // It may have come into the cache from elsewhere, which is nobody else's concern.
        Ok(Base { source: shown(&request.url), ..base })
    }

    fn published_base(&self, request: &BaseRequest) -> Result<Base> {
        let request = &self.with_digest(request)?;
        let Some(key) = request.sha256.or(request.image_sha256).map(|d| d.to_string()) else {
            return Err(Error::Usage(format!("no digest of {} is known", request.name)));
        };
        if let Some(base) = self.trusted_base(request)? {
            return Ok(base);
        }
        self.refuse_offline(&request.name, &request.url)?;
        let _lock = self.cache.lock(&key, &request.name, self.sink, &self.options.cancel)?;
        if let Some(base) = self.trusted_base(request)? {
            return Ok(base);
        }
        let wanted = Wanted {
            name: request.name.clone(),
            url: request.url.clone(),
            sha256: request.sha256,
            size: request.size,
            way: Way::Private,
        };
        let got = self.download(&key, &wanted)?;
        let made = self.signature_of(request, got.sha256, &got.path).and_then(|verified| {
            verified.tell(self.sink, &request.name);
            let record = Record::new(&request.name, got.url.as_str(), got.sha256, got.len)
                .signed(verified.signed_by.clone());
            let expected =
                unpack::Expected { sha256: request.image_sha256, len: request.image_size };
            Ok(Base { verified, ..self.unpack(&got.path, record, expected)? })
        });
        // Unpacked or not: keeping it would only fail again, or take room.
        if !matches!(made, Err(Error::Interrupted)) {
            remove(&got.path)?;
        }
        made
    }

    /// The image in the cache, where it is good enough: with a signature, if one is required.
    fn trusted_base(&self, request: &BaseRequest) -> Result<Option<Base>> {
        let Some(base) = self.cached_base(|r| request.is(r))? else { return Ok(None) };
        if base.verified.signed_by.is_some() || !self.options.require_signature {
            return Ok(Some(base));
        }
        match (&request.signature, base.source_sha256) {
            // The list still says what the file was that the image came from.
            (Some(signature), Some(sha256)) if signature.by == SignedBy::Sums => {
                let verified = self.listed(request, signature, sha256)?;
                Ok(Some(Base { verified: verified.required(self, request)?, ..base }))
            }
            // The file itself is gone, and must come again.
            (Some(_), _) if !self.offline() => Ok(None),
            _ => {
                base.verified.required(self, request)?;
                Ok(None)
            }
        }
    }

    /// A file of the user's: a raw image is used where it lies, anything else is unpacked into
    /// the cache once per content.
    ///
    /// # Errors
    /// As [`Fetcher::base`]; [`Error::Verification`] where `sha256` is given and differs.
    pub fn local_base(&self, path: &Path, sha256: Option<Sha256>) -> Result<Base> {
        let mut file = open_regular(path)?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let format = decompress::detect_at_start(&mut file).at("reading", path)?;
        if format == Format::Raw && sha256.is_none() {
            let len = file.metadata().at("examining", path)?.len();
            let source = path.display().to_string();
            let path = path.to_owned();
            let verified = Verification::of_yours(false).required_of(self, &name)?;
            return Ok(Base {
                file,
                path,
                len,
                source,
                source_sha256: None,
                sha256: None,
                verified,
            });
        }
        let (found, len) = local::digest(self, path, &file, &name)?;
        if let Some(expected) = sha256.filter(|expected| *expected != found) {
            let reason = format!("its sha256 is {found}, not {expected}");
            return Err(Error::Verification { what: path.display().to_string(), reason });
        }
        let verified = Verification::of_yours(sha256.is_some()).required_of(self, &name)?;
        if format == Format::Raw {
            let source = path.display().to_string();
            let (path, source_sha256) = (path.to_owned(), Some(found));
            let sha256 = source_sha256;
            return Ok(Base { file, path, len, source, source_sha256, sha256, verified });
        }
        let (key, source) = (found.to_string(), path.display().to_string());
        if let Some(base) = self.cached_base(|r| r.source_sha256 == found)? {
            return Ok(Base { verified, source, ..base });
        }
        let _lock = self.cache.lock(&key, &name, self.sink, &self.options.cancel)?;
        if let Some(base) = self.cached_base(|r| r.source_sha256 == found)? {
            return Ok(Base { verified, source, ..base });
        }
        let record = Record::new(&name, &source, found, len);
        Ok(Base { verified, ..self.unpack(path, record, unpack::Expected::default())? })
    }

    /// The image if the cache has it, as `bake images verify` needs it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn cached(&self, request: &BaseRequest) -> Result<Option<Base>> {
        self.cached_base(|r| request.is(r))
    }

    /// Reads a cached file again, every byte; one that differs from its digest is removed.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Interrupted`].
    pub fn verify(&self, listed: &Listed) -> Result<bool> {
        let (Some(kind), Some(record)) = (listed.kind, &listed.record) else { return Ok(false) };
        let file = open_regular(listed.path())?;
        let sound =
            local::hash(self, listed.path(), &file, &record.name)? == (record.sha256, record.len);
        if !sound {
            self.cache.discard(kind, &listed.key)?;
        }
        Ok(sound)
    }

    fn cached_base(&self, wanted: impl Fn(&Record) -> bool) -> Result<Option<Base>> {
        let Some(key) = self.cache.find(Kind::Base, wanted) else { return Ok(None) };
        let Some((image, record)) = self.cache.open_entry(Kind::Base, &key, self.sink)? else {
            return Ok(None);
        };
        Ok(Some(Base {
            path: image.path().to_owned(),
            len: image.len(),
            verified: Verification::cached(record.signed_by),
            source: record.source,
            source_sha256: Some(record.source_sha256),
            sha256: Some(image.sha256()),
            file: image.into_inner(),
        }))
    }

    /// Unpacks the published file at `from` into the cache. The caller holds its lock.
    fn unpack(&self, from: &Path, record: Record, expected: unpack::Expected) -> Result<Base> {
        let key = record.source_sha256.to_string();
        let temporary = self.cache.workplace(Kind::Base)?.join(format!("{key}.img.tmp"));
        remove(&temporary)?;
        let unpacked = unpack::run(self, from, &temporary, &record.name, expected);
        let (sha256, len) = match unpacked {
            Ok(unpacked) => unpacked,
            Err(error) => {
                remove(&temporary)?;
                return Err(error);
            }
        };
        self.cache.adopt(&temporary, Kind::Base, &key, record.unpacked(sha256, len))?;
        self.cached_base(|r| r.source_sha256.to_string() == key)?
            .ok_or(Error::NotFound { what: "cache entry", name: key })
    }
}

impl BaseRequest {
    /// Whether a cached image is the one asked for.
    fn is(&self, record: &Record) -> bool {
        let known = self.sha256.is_some() || self.image_sha256.is_some();
        (known || record.source == self.url.as_str())
            && self.sha256.is_none_or(|d| d == record.source_sha256)
            && self.image_sha256.is_none_or(|d| d == record.sha256)
    }
}

/// Opens a file that can be read again and again: pipes and devices cannot.
pub(super) fn open_regular(path: &Path) -> Result<File> {
    let metadata = std::fs::metadata(path).at("opening", path)?;
    if !metadata.is_file() {
        let reason = if metadata.is_dir() { "it is a folder" } else { "it is no regular file" };
        let action = format!("use {}", path.display());
        return Err(Error::Refused { action, reason: reason.into() });
    }
    File::open(path).at("opening", path)
}
