//! Compressed images. The bytes do not depend on the number of processors: block sizes are fixed
//! and at least one worker always runs.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::num::NonZero;

use flate2::write::GzEncoder;
use liblzma::stream::{Check, MtStreamBuilder};
use liblzma::write::XzEncoder;
use sha2::{Digest, Sha256};
use zstd::zstd_safe::CParameter;

use super::digest::walk_hashing;
use super::stream::{Chunk, Job};
use super::{Format, Method, Output, Spec, Written};
use crate::error::{Error, IoContext, Result};
use crate::store::BlockStore;

/// zstd's own default: images are large and read once.
const ZSTD_LEVEL: i32 = 3;
/// Input bytes of one zstd worker's job.
const ZSTD_JOB: u32 = 16 << 20;
/// xz's own default. Each thread takes about 140 MiB, the one place where memory is not small.
const XZ_PRESET: u32 = 6;
/// Bytes of one xz block: three dictionaries of preset 6, as `xz -T` chooses.
const XZ_BLOCK: u64 = 24 << 20;

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Hashes what passes through to the file.
struct Hashing<'a> {
    file: BufWriter<&'a File>,
    hash: Sha256,
}

impl Write for Hashing<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let len = self.file.write(data)?;
        self.hash.update(&data[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// An encoder with an end.
trait Encode: Write {
    /// Writes what is buffered and the trailer.
    fn end(self: Box<Self>) -> io::Result<()>;
}

impl<W: Write> Encode for zstd::Encoder<'_, W> {
    fn end(self: Box<Self>) -> io::Result<()> {
        self.finish()?.flush()
    }
}

impl<W: Write> Encode for XzEncoder<W> {
    fn end(self: Box<Self>) -> io::Result<()> {
        self.finish()?.flush()
    }
}

impl<W: Write> Encode for GzEncoder<W> {
    fn end(self: Box<Self>) -> io::Result<()> {
        self.finish()?.flush()
    }
}

pub(super) fn write(
    job: &Job<'_>,
    spec: &Spec,
    format: Format,
    output: &Output,
) -> Result<Written> {
    let mut target =
        Hashing { file: BufWriter::with_capacity(1 << 20, output.file()), hash: Sha256::new() };
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let digests = {
        let mut encoder = encoder(format, &mut target, job.image.len(), threads)
            .map_err(|e| Error::io("compressing", &spec.path, e))?;
        let digests = walk_hashing(job, spec, |chunk| match chunk {
            Chunk::Data(_, bytes) => encoder.write_all(bytes).at("writing", &spec.path),
            Chunk::Zeros(range) => {
                let mut left = range.end - range.start;
                while left > 0 {
                    job.cancel.check()?;
                    let part = left.min(ZEROS.len() as u64);
                    let zeros = &ZEROS[..usize::try_from(part).unwrap_or(ZEROS.len())];
                    encoder.write_all(zeros).at("writing", &spec.path)?;
                    left -= part;
                }
                Ok(())
            }
        })?;
        encoder.end().at("writing", &spec.path)?;
        digests
    };
    Ok(Written {
        method: Method::Compress,
        sha256: spec.digest.then(|| hex::encode(target.hash.finalize())),
        image_sha256: digests.image,
        bmap: digests.bmap,
    })
}

fn encoder<'a, W: Write + 'a>(
    format: Format,
    target: W,
    len: u64,
    threads: usize,
) -> io::Result<Box<dyn Encode + 'a>> {
    let threads = u32::try_from(threads).unwrap_or(1).max(1);
    Ok(match format {
        Format::Zstd => {
            let mut encoder = zstd::Encoder::new(target, ZSTD_LEVEL)?;
            encoder.multithread(threads)?;
            encoder.set_parameter(CParameter::JobSize(ZSTD_JOB))?;
            encoder.set_pledged_src_size(Some(len))?;
            encoder.include_checksum(true)?;
            Box::new(encoder)
        }
        Format::Xz => {
            let stream = MtStreamBuilder::new()
                .threads(threads)
                .block_size(XZ_BLOCK)
                .preset(XZ_PRESET)
                .check(Check::Crc64)
                .encoder()
                .map_err(io::Error::other)?;
            Box::new(XzEncoder::new_stream(target, stream))
        }
        // The header carries no time and no name.
        Format::Gzip => Box::new(GzEncoder::new(target, flate2::Compression::default())),
        Format::Raw => {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "raw is not compressed"));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_threads_does_not_show() {
        // Two blocks of xz, three jobs of zstd; content on both sides of their borders.
        let mut data = vec![0; 34 << 20];
        for at in [0, (16 << 20) - 5000, (24 << 20) - 500_000, 33 << 20] {
            for (i, byte) in data[at..at + 1_000_000].iter_mut().enumerate() {
                *byte = ((i * i) >> 7) as u8;
            }
        }
        for format in [Format::Zstd, Format::Xz] {
            let made = [1, 3].map(|threads| {
                let mut out = Vec::new();
                let mut encoder =
                    encoder(format, &mut out, data.len() as u64, threads).expect("encoder");
                encoder.write_all(&data).expect("data");
                encoder.end().expect("end");
                out
            });
            assert!(made[0] == made[1], "{format:?}");
        }
    }
}
