//! Hashing beside the copying: the whole image, and the mapped ranges of a block map.

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use sha2::{Digest, Sha256};

use super::stream::{Chunk, Job, QUEUE};
use super::{InUse, Spec};
use crate::error::Result;
use crate::store::BlockStore;

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// A range of a block map, in bytes, and the sha256 of its content in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MappedRange {
    pub range: Range<u64>,
    pub sha256: String,
}

/// What the hashing threads found.
#[derive(Default)]
pub(super) struct Digests {
    pub image: Option<String>,
    pub bmap: Option<Vec<MappedRange>>,
}

/// Walks the image for `write` with the hashing threads beside it that `spec` asks for.
pub(super) fn walk_hashing(
    job: &Job<'_>,
    spec: &Spec,
    write: impl FnMut(&Chunk) -> Result<()>,
) -> Result<Digests> {
    std::thread::scope(|scope| {
        let mut taps = Vec::new();
        let image = spec.digest.then(|| start(scope, &mut taps, hash_image));
        let bmap = spec.bmap.as_ref().map(|_| {
            let ranges = blocks(job.used, job.image.len());
            start(scope, &mut taps, move |chunks| hash_ranges(chunks, ranges))
        });
        let walked = job.walk(&spec.path, &taps, write);
        drop(taps);
        let digests = Digests { image: image.map(join), bmap: bmap.map(join) };
        walked.map(|()| digests)
    })
}

fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    taps: &mut Vec<SyncSender<Chunk>>,
    run: impl FnOnce(Receiver<Chunk>) -> T + Send + 'scope,
) -> ScopedJoinHandle<'scope, T> {
    let (tap, chunks) = sync_channel(QUEUE);
    taps.push(tap);
    scope.spawn(move || run(chunks))
}

fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn hash_image(chunks: Receiver<Chunk>) -> String {
    let mut hash = Sha256::new();
    for chunk in chunks {
        match chunk {
            Chunk::Data(_, bytes) => hash.update(&*bytes),
            Chunk::Zeros(range) => update_zeros(&mut hash, range.end - range.start),
        }
    }
    hex::encode(hash.finalize())
}

fn update_zeros(hash: &mut Sha256, mut len: u64) {
    while len > 0 {
        let part = len.min(ZEROS.len() as u64);
        hash.update(&ZEROS[..usize::try_from(part).unwrap_or(ZEROS.len())]);
        len -= part;
    }
}

/// The blocks of a block map: what is in use, widened to whole blocks. Holes count as mapped
/// where they are in use: a card's old content would show through them.
fn blocks(used: &InUse, len: u64) -> Vec<Range<u64>> {
    use super::bmap::BLOCK;
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in used.ranges() {
        let wide = range.start / BLOCK * BLOCK..range.end.next_multiple_of(BLOCK).min(len);
        match merged.last_mut() {
            Some(last) if last.end >= wide.start => last.end = last.end.max(wide.end),
            _ => merged.push(wide),
        }
    }
    merged
}

fn hash_ranges(chunks: Receiver<Chunk>, ranges: Vec<Range<u64>>) -> Vec<MappedRange> {
    let mut found = Vec::with_capacity(ranges.len());
    let mut ranges = ranges.into_iter().peekable();
    let mut hash = Sha256::new();
    for chunk in chunks {
        let part = match &chunk {
            Chunk::Data(at, bytes) => *at..at + bytes.len() as u64,
            Chunk::Zeros(range) => range.clone(),
        };
        while let Some(range) = ranges.peek().filter(|r| r.start < part.end) {
            let (start, end) = (range.start.max(part.start), range.end.min(part.end));
            match &chunk {
                Chunk::Data(at, bytes) => {
                    let index = |offset: u64| usize::try_from(offset - at).unwrap_or(bytes.len());
                    hash.update(&bytes[index(start)..index(end)]);
                }
                Chunk::Zeros(_) => update_zeros(&mut hash, end - start),
            }
            if range.end > part.end {
                break;
            }
            let sha256 = hex::encode(std::mem::take(&mut hash).finalize());
            found.extend(ranges.next().map(|range| MappedRange { range, sha256 }));
        }
    }
    found
}
