//! Decompression by what the bytes say, never by a file's name.
//!
//! A [`Decoder`] reports its end only after the *whole* input was consumed and every checksum of
//! the format held: truncation, trailing bytes and output beyond the limit are errors.

mod check;
mod fault;
mod format;
mod gzip;
mod xz;
mod zip;
mod zstd;

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Seek};

pub use fault::{DecodeFault, into_error};
pub use format::{Format, HEAD_LEN, Refused, detect};

use check::Bounded;

/// What decoding may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes that may come out; more is an error (a decompression bomb, or the wrong file).
    pub output: u64,
    /// Bytes of memory a decoder may take; an input that needs more is an error.
    pub memory: u64,
    /// Threads for formats that can use them.
    pub threads: u32,
}

impl Default for Limits {
    /// Images up to 64 GiB; memory for the largest window `xz -9` and `zstd --ultra` use by
    /// default and for decoding eight 24 MiB blocks of `xz -T0` at a time; all processors.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            output: 64 << 30,
            memory: 512 << 20,
            threads: u32::try_from(threads).unwrap_or(1).min(16),
        }
    }
}

/// A stream of decompressed bytes.
pub struct Decoder<'a> {
    format: Format,
    inner: Bounded<Box<dyn Read + Send + 'a>>,
}

impl fmt::Debug for Decoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("format", &self.format).finish_non_exhaustive()
    }
}

impl Decoder<'_> {
    /// What the input turned out to be.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buf)
    }
}

/// Recognises `source` by its first bytes and prepares to decode it from its start.
///
/// # Errors
/// Those of `source`, or a [`DecodeFault`] inside the `io::Error` ([`into_error`] makes it a
/// message): a format we refuse (qcow2, 7z, …), an archive without exactly one image.
pub fn open<'a>(
    mut source: impl Read + Seek + Send + 'a,
    limits: Limits,
) -> io::Result<Decoder<'a>> {
    let format = detect_at_start(&mut source)?;
    let inner: Box<dyn Read + Send + 'a> = match format {
        Format::Raw => Box::new(source),
        Format::Xz => Box::new(xz::XzDecoder::new(buffered(source), limits)),
        Format::Gzip => Box::new(gzip::GzipDecoder::new(buffered(source))),
        Format::Zstd => Box::new(zstd::ZstdDecoder::new(buffered(source), limits)?),
        Format::Zip => Box::new(zip::open(source)?),
        Format::Refused(kind) => return Err(DecodeFault::Refused(kind).into()),
    };
    Ok(Decoder { format, inner: Bounded::new(inner, limits.output) })
}

/// Recognises `source` by its first bytes and rewinds it.
///
/// # Errors
/// Those of `source`.
pub fn detect_at_start(source: &mut (impl Read + Seek)) -> io::Result<Format> {
    source.rewind()?;
    let mut head = Vec::with_capacity(HEAD_LEN);
    source.by_ref().take(HEAD_LEN as u64).read_to_end(&mut head)?;
    source.rewind()?;
    Ok(detect(&head))
}

/// Decodes bytes in memory: what the fuzzer and tests call.
///
/// # Errors
/// As [`open`] and reading the [`Decoder`] to its end.
pub fn decompress(input: &[u8], limits: Limits) -> io::Result<Vec<u8>> {
    let mut output = Vec::new();
    open(io::Cursor::new(input), limits)?.read_to_end(&mut output)?;
    Ok(output)
}

fn buffered<'a>(source: impl Read + Send + 'a) -> impl BufRead + Send + 'a {
    BufReader::with_capacity(1 << 18, source)
}

#[cfg(test)]
mod tests;
