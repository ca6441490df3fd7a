//! Sources of bytes that are only ever read: files and buffers.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Payload, ReadAt};
use crate::error::{Error, IoContext, Result};
use crate::sys;

/// A regular file opened for reading.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    path: PathBuf,
    len: u64,
}

impl FileSource {
    /// Opens the regular file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be opened, [`Error::Refused`] where it is no regular file:
    /// devices change under our feet and pipes cannot be read twice.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        // Looked at before it is opened: opening a FIFO would wait for its writer.
        let metadata = std::fs::metadata(path).at("opening", path)?;
        if !metadata.is_file() {
            return Err(Error::Refused {
                action: format!("read {}", path.display()),
                reason: "it is not a regular file".into(),
            });
        }
        let file = File::open(path).at("opening", path)?;
        let len = file.metadata().at("reading the size of", path)?.len();
        Ok(Self { file, path: path.to_owned(), len })
    }

    /// Takes over an open regular file; messages call it `path`.
    ///
    /// # Errors
    /// [`Error::Io`] where its length cannot be read.
    pub fn of_file(file: File, path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let len = file.metadata().at("reading the size of", &path)?.len();
        Ok(Self { file, path, len })
    }

    /// The path it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl ReadAt for FileSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        check_range(self.len, offset, buf.len() as u64)?;
        sys::file::read_exact_at(&self.file, buf, offset).map_err(|e| {
            io::Error::new(
                e.kind(),
                format!("reading {} at byte {offset}: {e}", self.path.display()),
            )
        })
    }

    fn next_data(&self, range: Range<u64>) -> Option<Range<u64>> {
        let end = range.end.min(self.len);
        (range.start < end).then(|| sys::file::next_data(&self.file, range.start..end)).flatten()
    }

    fn as_file(&self) -> Option<&File> {
        Some(&self.file)
    }
}

/// Bytes in memory.
#[derive(Clone)]
pub struct BytesSource(Arc<[u8]>);

impl std::fmt::Debug for BytesSource {
    // Content may be a secret: only its size is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BytesSource({} bytes)", self.0.len())
    }
}

impl BytesSource {
    /// Takes over `bytes`.
    #[must_use]
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }
}

impl ReadAt for BytesSource {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        check_range(self.len(), offset, buf.len() as u64)?;
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        buf.copy_from_slice(&self.0[start..start + buf.len()]);
        Ok(())
    }
}

impl Payload {
    /// The regular file at `path`, read when the image is emitted.
    ///
    /// # Errors
    /// Those of [`FileSource::open`].
    pub fn file(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self(Arc::new(FileSource::open(path)?)))
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(Arc::new(BytesSource::new(bytes)))
    }
}

/// `UnexpectedEof`, naming the range, where `offset..offset+len` leaves a store of `size` bytes.
pub(crate) fn check_range(size: u64, offset: u64, len: u64) -> io::Result<()> {
    match offset.checked_add(len) {
        Some(end) if end <= size => Ok(()),
        _ => Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("{len} bytes at byte {offset} leave a store of {size} bytes"),
        )),
    }
}
