//! Sparse raw files: shared blocks where the file system can, else a copy of what is in use.

use std::fs::File;
use std::sync::mpsc::sync_channel;

use super::digest::{Digests, walk_hashing};
use super::stream::{Chunk, Job, QUEUE};
use super::{Method, Output, Spec, Tell, Written, in_place, kernel};
use crate::error::{Error, IoContext, Result};
use crate::store::{BlockStore, Image, Origin};
use crate::sys::file::{punch_hole, reflink, write_all_at};

/// Zeros are looked for in steps of this size; smaller runs are written.
const STEP: usize = 4096;
static ZEROS: [u8; STEP] = [0; STEP];

pub(super) fn write(
    job: &Job<'_>,
    spec: &Spec,
    tell: &Tell<'_>,
    output: &Output,
) -> Result<Written> {
    let file = output.file();
    let shared = spec.reflink && share(job.image, file, spec)?;
    if !shared
        && spec.in_place
        && let Some(written) = in_place::write(job, spec, tell)?
    {
        return Ok(written);
    }
    file.set_len(job.image.len()).at("extending", &spec.path)?;
    let digests = if shared {
        change(job, file, spec)?;
        if hashes(spec) { walk_hashing(job, spec, |_| Ok(()))? } else { Digests::default() }
    } else if spec.crowded && !hashes(spec) && kernel::copy(job, file, spec)? {
        Digests::default()
    } else {
        copy(job, file, spec)?
    };
    Ok(Written {
        method: if shared { Method::Reflink } else { Method::Copy },
        sha256: digests.image.clone(),
        image_sha256: digests.image,
        bmap: digests.bmap,
    })
}

/// Whether every byte is to be seen.
fn hashes(spec: &Spec) -> bool {
    spec.digest || spec.bmap.is_some()
}

/// Copies what is in use: one thread reads, another writes, so that neither waits for the other.
pub(super) fn copy(job: &Job<'_>, file: &File, spec: &Spec) -> Result<Digests> {
    std::thread::scope(|scope| {
        let (to_writer, chunks) = sync_channel::<Chunk>(QUEUE);
        let writer = scope.spawn(move || {
            chunks.iter().try_for_each(|chunk| match chunk {
                Chunk::Data(at, bytes) => write_sparse(file, at, &bytes),
                Chunk::Zeros(_) => Ok(()),
            })
        });
        // A writer that hung up has failed, and its error is the one to tell.
        let walked = walk_hashing(job, spec, move |chunk| {
            to_writer.send(chunk.clone()).map_err(|_| Error::Interrupted)
        });
        let written = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        written.at("writing", &spec.path)?;
        walked
    })
}

/// Writes `bytes`, leaving holes for runs of zeros. The file is new there: holes read as zero.
pub(super) fn write_sparse(file: &File, at: u64, bytes: &[u8]) -> std::io::Result<()> {
    let mut start = None;
    for (index, block) in bytes.chunks(STEP).enumerate() {
        let here = index * STEP;
        if *block == ZEROS[..block.len()] {
            if let Some(start) = start.take() {
                write_all_at(file, &bytes[start..here], at + start as u64)?;
            }
        } else if start.is_none() {
            start = Some(here);
        }
    }
    match start {
        Some(start) => write_all_at(file, &bytes[start..], at + start as u64),
        None => Ok(()),
    }
}

/// Lets the output share the blocks of the base, if there is a base file and it can.
fn share(image: &Image, file: &File, spec: &Spec) -> Result<bool> {
    match image.base().as_file() {
        Some(base) => reflink(base, file).at("sharing blocks with", &spec.path),
        None => Ok(false),
    }
}

/// Turns a shared copy of the base into the image: unused ranges become holes, changes are
/// written.
fn change(job: &Job<'_>, file: &File, spec: &Spec) -> Result<()> {
    let base = job.image.base();
    let punch_data = |mut rest: std::ops::Range<u64>| -> Result<()> {
        rest.end = rest.end.min(base.len());
        while let Some(data) = (!rest.is_empty()).then(|| base.next_data(rest.clone())).flatten() {
            rest.start = data.end;
            punch_hole(file, data).at("freeing blocks of", &spec.path)?;
        }
        Ok(())
    };
    for free in job.used.free(job.image.len()) {
        job.cancel.check()?;
        punch_data(free)?;
    }
    let mut buffer = vec![0; super::stream::CHUNK];
    for used in job.used.ranges() {
        for segment in job.image.segments(used.clone()) {
            match segment.origin {
                Origin::Base => {}
                Origin::Zero => punch_data(segment.range)?,
                Origin::Memory(bytes) => {
                    write_all_at(file, bytes, segment.range.start).at("writing", &spec.path)?;
                }
                Origin::Payload(..) => {
                    let mut at = segment.range.start;
                    while at < segment.range.end {
                        job.cancel.check()?;
                        let len = (segment.range.end - at).min(buffer.len() as u64);
                        let part = &mut buffer[..usize::try_from(len).unwrap_or(0)];
                        job.image.read_at(at, part).at("reading what goes into", &spec.path)?;
                        write_all_at(file, part, at).at("writing", &spec.path)?;
                        at += len;
                    }
                }
            }
        }
    }
    Ok(())
}
