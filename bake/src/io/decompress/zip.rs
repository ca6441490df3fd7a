//! ZIP archives that hold exactly one image, as Raspberry Pi OS was published until 2022.
//!
//! The archive's directory is read by the `zip` crate; the one entry is then decoded here, front
//! to back, so that a stream of it borrows nothing.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use flate2::bufread::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive, result::ZipError};

use super::DecodeFault;

/// End of central directory record without its comment (APPNOTE 4.3.16).
const END_LEN: u64 = 22;
const END_MAGIC: [u8; 4] = *b"PK\x05\x06";

struct Entry {
    start: u64,
    compressed: u64,
    size: u64,
    crc32: u32,
    method: CompressionMethod,
}

/// A stream of the archive's only file.
pub(super) fn open<'a>(
    source: impl Read + Seek + Send + 'a,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    let mut archive = ZipArchive::new(source).map_err(fault)?;
    let entry = only_entry(&mut archive)?;
    let comment = archive.comment().len() as u64;
    let mut source = archive.into_inner();
    expect_directory_at_end(&mut source, comment)?;
    source.seek(SeekFrom::Start(entry.start))?;
    let data = BufReader::with_capacity(1 << 18, source.take(entry.compressed));
    let plain: Box<dyn Read + Send + 'a> = match entry.method {
        CompressionMethod::Stored => Box::new(data),
        CompressionMethod::Deflated => Box::new(DeflateDecoder::new(data)),
        other => {
            return Err(DecodeFault::Unsupported(format!("zip compression {other}")).into());
        }
    };
    Ok(Box::new(Checked { plain, left: entry.size, crc: entry.crc32, sum: Default::default() }))
}

fn only_entry<R: Read + Seek>(archive: &mut ZipArchive<R>) -> io::Result<Entry> {
    let mut names = Vec::new();
    let mut found = None;
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).map_err(fault)?;
        if file.is_dir() {
            continue;
        }
        names.push(String::from_utf8_lossy(file.name_raw()).into_owned());
        if file.encrypted() {
            return Err(DecodeFault::Unsupported("an encrypted zip archive".into()).into());
        }
        found = file.data_start().map(|start| Entry {
            start,
            compressed: file.compressed_size(),
            size: file.size(),
            crc32: file.crc32(),
            method: file.compression(),
        });
    }
    match (names.len(), found) {
        (1, Some(entry)) => Ok(entry),
        (count, _) => Err(DecodeFault::Unsupported(listing(count, &names)).into()),
    }
}

fn listing(count: usize, names: &[String]) -> String {
    const SHOWN: usize = 8;
    let mut text = format!("a zip archive of {count} files where one image was expected");
    if count > 0 {
        let more = if count > SHOWN { ", …" } else { "" };
        let shown: Vec<_> =
            names.iter().take(SHOWN).map(|n| n.escape_debug().to_string()).collect();
        text.push_str(&format!(" ({}{more})", shown.join(", ")));
    }
    text
}

/// The directory's end record and its comment must be the last bytes of the file.
fn expect_directory_at_end(source: &mut (impl Read + Seek), comment: u64) -> io::Result<()> {
    let len = source.seek(SeekFrom::End(0))?;
    let Some(at) = len.checked_sub(END_LEN + comment) else {
        return Err(DecodeFault::Truncated.into());
    };
    source.seek(SeekFrom::Start(at))?;
    let mut magic = [0; 4];
    source.read_exact(&mut magic)?;
    if magic == END_MAGIC { Ok(()) } else { Err(DecodeFault::Trailing.into()) }
}

/// Holds an entry to the size and CRC of the archive's directory.
struct Checked<'a> {
    plain: Box<dyn Read + Send + 'a>,
    left: u64,
    crc: u32,
    sum: crc32fast::Hasher,
}

impl Read for Checked<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let n = self.plain.read(buf).map_err(damaged)?;
        if n == 0 {
            return match (self.left, self.sum.clone().finalize() == self.crc) {
                (0, true) => Ok(0),
                (0, false) => Err(DecodeFault::Damaged("its zip checksum is wrong".into()).into()),
                _ => Err(DecodeFault::Truncated.into()),
            };
        }
        let Some(left) = self.left.checked_sub(n as u64) else {
            return Err(DecodeFault::Damaged("its zip entry is longer than declared".into()).into());
        };
        self.left = left;
        self.sum.update(&buf[..n]);
        Ok(n)
    }
}

fn damaged(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => DecodeFault::Truncated.into(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            DecodeFault::Damaged(format!("its zip data is damaged ({error})")).into()
        }
        _ => error,
    }
}

fn fault(error: ZipError) -> io::Error {
    match error {
        ZipError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => error,
        ZipError::Io(_) => DecodeFault::Truncated.into(),
        ZipError::UnsupportedArchive(what) => DecodeFault::Unsupported(what.to_string()).into(),
        other => DecodeFault::Damaged(format!("its zip directory is damaged ({other})")).into(),
    }
}
