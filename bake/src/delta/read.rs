//! Reading a delta: all of it is verified before any of it is used.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use zstd::zstd_safe::DParameter;

use super::header::{Extent, Header, LONGEST, cut_short};
use super::identity;
use crate::emit::InUse;
use crate::error::{Error, IoContext, Result};
use crate::store::{BlockStore, FileSource, Image, Payload, ReadAt};
use crate::sys::interrupt::Cancel;

/// Payloads up to this size are kept in memory, larger ones in a file without a name.
const IN_MEMORY: u64 = 4 << 20;
/// What zstd's levels up to 19 need; more is nothing we wrote.
const WINDOW_LOG: u32 = 23;

/// A delta that is what it was when it was written.
#[derive(Debug, Clone)]
pub struct Delta {
    header: Header,
    bytes: Payload,
    what: String,
}

impl Delta {
    /// Reads the delta file at `path`.
    ///
    /// # Errors
    /// [`Error::Verification`] where it is not what was written, [`Error::Unsupported`] for a
    /// newer version, [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).at("opening", path)?;
        Self::read(BufReader::new(file), &path.display().to_string())
    }

    /// Reads a delta, which messages call `what`, to its end.
    ///
    /// # Errors
    /// As [`Delta::open`].
    pub fn read(mut source: impl Read, what: &str) -> Result<Self> {
        let wrong = |reason: String| Error::Verification { what: what.to_owned(), reason };
        let header = Header::decode(what, &mut source)?;
        let data = || header.extents.iter().filter(|extent| extent.sha256.is_some());
        let mut kept = Kept::new(data().map(|extent| extent.len).sum(), what)?;
        let unpacking = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => cut_short(what, e),
            _ => wrong(format!("its payload cannot be unpacked: {e}")),
        };
        let mut source = BufReader::new(source);
        {
            let mut decoder =
                zstd::Decoder::with_buffer(&mut source).map_err(unpacking)?.single_frame();
            decoder
                .set_parameter(DParameter::WindowLogMax(WINDOW_LOG))
                .map_err(|e| Error::io("unpacking", what, e))?;
            let mut buffer = vec![0; usize::try_from(LONGEST).unwrap_or(0)];
            for extent in data() {
                let bytes = &mut buffer[..usize::try_from(extent.len).unwrap_or(0)];
                decoder.read_exact(bytes).map_err(unpacking)?;
                let found = hex::encode(Sha256::digest(&*bytes));
                if extent.sha256.as_ref() != Some(&found) {
                    return Err(wrong(format!("its bytes for byte {} have changed", extent.at)));
                }
                kept.write_all(bytes).map_err(|e| Error::io("keeping the bytes of", what, e))?;
            }
            if read_one(&mut decoder).map_err(unpacking)? {
                return Err(wrong("its payload is longer than its header says".into()));
            }
        }
        if read_one(&mut source).map_err(|e| Error::io("reading", what, e))? {
            return Err(wrong("something stands behind its end".into()));
        }
        Ok(Self { header, bytes: kept.payload(what)?, what: what.to_owned() })
    }

    /// Whose it is, and what it changes.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Checks that `golden`, which messages call `name`, is the image it was made for. Reads all
    /// of it that is in use.
    ///
    /// # Errors
    /// [`Error::Verification`] where it is another, or has changed; [`Error::Interrupted`].
    pub fn check(&self, golden: &dyn ReadAt, name: &Path, cancel: &Cancel) -> Result<()> {
        let wanted = &self.header.golden;
        let wrong = |reason: String| {
            let what = name.display().to_string();
            let hint =
                format!("{} is for another golden image, or this one has changed", self.what);
            Err(Error::Verification { what, reason }.hint(hint))
        };
        if golden.len() != wanted.len {
            return wrong(format!("it is {} bytes long, not {}", golden.len(), wanted.len));
        }
        let found = identity::of_source(golden, &wanted.used(), name, cancel)?;
        if found == wanted.identity {
            return Ok(());
        }
        wrong(format!("its identity is {found}, not {}", wanted.identity))
    }

    /// The node's image on top of `golden`, which [`Delta::check`] has checked, and which of its
    /// bytes matter.
    ///
    /// # Errors
    /// [`Error::Verification`] where `golden` is shorter than it must be.
    pub fn onto(&self, golden: Arc<dyn ReadAt>) -> Result<(Image, InUse)> {
        let mut image = Image::new(golden);
        let mut from = 0;
        for Extent { at, len, sha256 } in &self.header.extents {
            let done = match sha256 {
                Some(_) => image.place(*at, &self.bytes, from, *len),
                None => image.zero(*at, *len),
            };
            done.map_err(|e| Error::Verification {
                what: self.what.clone(),
                reason: format!("it does not fit the golden image: {e}"),
            })?;
            from += sha256.as_ref().map_or(0, |_| *len);
        }
        Ok((image, self.header.used()))
    }
}

fn read_one(source: &mut impl Read) -> std::io::Result<bool> {
    Ok(source.read(&mut [0])? > 0)
}

/// The bytes of a delta while they are read.
enum Kept {
    Memory(Vec<u8>),
    File(File),
}

impl Kept {
    fn new(len: u64, what: &str) -> Result<Self> {
        if len <= IN_MEMORY {
            return Ok(Self::Memory(Vec::new()));
        }
        // Without a name and for this process alone: they are secrets.
        tempfile::tempfile().map(Self::File).at("making a temporary file for", what)
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Memory(all) => all.write_all(bytes),
            Self::File(file) => file.write_all(bytes),
        }
    }

    fn payload(self, what: &str) -> Result<Payload> {
        Ok(match self {
            Self::Memory(all) => Payload::bytes(all),
            Self::File(file) => Payload(Arc::new(FileSource::of_file(file, what)?)),
        })
    }
}
