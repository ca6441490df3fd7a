//! What lies below the file system: random-access bytes, and content placed by reference.

use std::fs::File;
use std::io;
use std::sync::Arc;

/// Bytes of a file's new content, not read until the edit is committed.
pub trait Payload {
    /// Length in bytes.
    fn len(&self) -> u64;
    /// Whether there are no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Fills `buf` from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` where the range leaves the payload, else the device's error.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;
}

/// The device a file system lies on. Offsets and lengths are bytes.
pub trait Store {
    /// Content that can be placed by reference.
    type Payload: Payload;
    /// Length in bytes.
    fn len(&self) -> u64;
    /// Whether there are no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Fills `buf` from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` where the range leaves the store, else the device's error.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;
    /// Replaces bytes at `offset`.
    ///
    /// # Errors
    /// As [`Store::read_at`].
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()>;
    /// Makes `len` bytes at `offset` those of `payload` from `from`.
    ///
    /// # Errors
    /// As [`Store::read_at`], of the store or of the payload.
    fn place(
        &mut self,
        offset: u64,
        payload: &Self::Payload,
        from: u64,
        len: u64,
    ) -> io::Result<()>;
    /// Makes `len` bytes at `offset` read as zero.
    ///
    /// # Errors
    /// As [`Store::read_at`].
    fn zero(&mut self, offset: u64, len: u64) -> io::Result<()>;
}

const CHUNK: usize = 1 << 20;

/// A file of the host as content.
#[derive(Debug, Clone)]
pub struct FilePayload {
    file: Arc<File>,
    len: u64,
}

impl FilePayload {
    /// The whole of `file`, as long as it is now.
    ///
    /// # Errors
    /// The length cannot be found out.
    pub fn new(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), len })
    }
}

impl Payload for FilePayload {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        read_exact_at(&self.file, offset, buf)
    }
}

/// A file system in a file of the host, from its first byte to its last; written in place.
///
/// Nothing is written before `commit`, but a commit that fails half way leaves the file half
/// changed: copy it first, or put a copy-on-write store below.
#[derive(Debug)]
pub struct FileStore {
    file: File,
    len: u64,
}

impl FileStore {
    /// Over `file`, which must be open for reading, and for writing if it is to be committed to.
    ///
    /// # Errors
    /// The length cannot be found out.
    pub fn new(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self { file, len })
    }

    fn check(&self, offset: u64, len: u64) -> io::Result<()> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Store for FileStore {
    type Payload = FilePayload;

    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.check(offset, buf.len() as u64)?;
        read_exact_at(&self.file, offset, buf)
    }

    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check(offset, data.len() as u64)?;
        write_all_at(&self.file, offset, data)
    }

    fn place(&mut self, offset: u64, payload: &FilePayload, from: u64, len: u64) -> io::Result<()> {
        self.check(offset, len)?;
        let mut buf = vec![0; usize::try_from(len).unwrap_or(CHUNK).min(CHUNK)];
        let mut done = 0;
        while done < len {
            let now = usize::try_from(len - done).unwrap_or(CHUNK).min(CHUNK);
            payload.read_at(from + done, &mut buf[..now])?;
            write_all_at(&self.file, offset + done, &buf[..now])?;
            done += now as u64;
        }
        Ok(())
    }

    fn zero(&mut self, offset: u64, len: u64) -> io::Result<()> {
        self.check(offset, len)?;
        let zeros = vec![0; usize::try_from(len).unwrap_or(CHUNK).min(CHUNK)];
        let mut done = 0;
        while done < len {
            let now = usize::try_from(len - done).unwrap_or(CHUNK).min(CHUNK);
            write_all_at(&self.file, offset + done, &zeros[..now])?;
            done += now as u64;
        }
        Ok(())
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, offset: u64, buf: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buf, offset)
}

#[cfg(unix)]
fn write_all_at(file: &File, offset: u64, data: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, data, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut offset: u64, mut buf: &mut [u8]) -> io::Result<()> {
    while !buf.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buf, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                offset += n as u64;
                buf = &mut buf[n..];
            }
        }
    }
    Ok(())
}

#[cfg(windows)]
fn write_all_at(file: &File, mut offset: u64, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_write(file, data, offset)?;
        offset += n as u64;
        data = &data[n..];
    }
    Ok(())
}
