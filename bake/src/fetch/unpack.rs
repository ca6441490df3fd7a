//! Unpacking a published image into a sparse file: decoding, hashing and writing at once.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::ScopedJoinHandle;

use super::Fetcher;
use super::base::open_regular;
use super::part::full_disk;
use crate::error::{Error, IoContext, Result};
use crate::event::{Event, Unit};
use crate::io::decompress::{self, Limits};
use crate::io::digest::{Hasher, Sha256};
use crate::io::sparse::SparseWriter;
use crate::units::human;

const STEP: &str = "decompress";
/// Bytes handed on at a time; a multiple of the sparse writer's block.
const PIECE: usize = 1 << 20;
/// Pieces in flight to each of the two consumers.
const DEPTH: usize = 4;

/// What is known of the image inside.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Expected {
    pub(super) sha256: Option<Sha256>,
    pub(super) len: Option<u64>,
}

/// Unpacks `from` into the new file `to`; digest and length of what came out.
pub(super) fn run(
    fetcher: &Fetcher<'_>,
    from: &Path,
    to: &Path,
    name: &str,
    expected: Expected,
) -> Result<(Sha256, u64)> {
    let source = open_regular(from)?;
    let total = source.metadata().at("examining", from)?.len();
    fetcher.sink.emit(Event::Started {
        step: STEP,
        title: format!("Unpacking {name}"),
        total: Some(total),
        unit: Unit::Bytes,
    });
    let read = AtomicU64::new(0);
    let source = Counting { file: source, read: &read };
    let mut limits = Limits::default();
    limits.output = expected.len.unwrap_or(limits.output);
    let decoder =
        decompress::open(source, limits).map_err(|e| decompress::into_error(e, name, from))?;
    let target = OpenOptions::new().write(true).create_new(true).open(to).at("creating", to)?;
    let progress = |_| {
        let done = read.load(Ordering::Relaxed).min(total);
        fetcher.sink.emit(Event::Progress { step: STEP, done });
        fetcher.options.cancel.check()
    };
    let (sha256, len) = pump(decoder, target, progress, |failure| match failure {
        Broken::Source(e) => decompress::into_error(e, name, from),
        Broken::Target(e) => full_disk(to, e),
        Broken::Stopped(e) => e,
    })?;
    check(name, expected, sha256, len)?;
    let detail = format!("{}, sha256 {sha256}", human(len));
    fetcher.sink.emit(Event::Finished { step: STEP, detail });
    Ok((sha256, len))
}

fn check(name: &str, expected: Expected, sha256: Sha256, len: u64) -> Result<()> {
    let reason = match expected {
        Expected { sha256: Some(wanted), .. } if wanted != sha256 => {
            format!("the sha256 of the image inside is {sha256}, not {wanted}")
        }
        Expected { len: Some(wanted), .. } if wanted != len => {
            format!("the image inside has {len} bytes, not {wanted}")
        }
        _ => return Ok(()),
    };
    Err(Error::Verification { what: name.into(), reason })
}

/// Where the pipeline broke.
enum Broken {
    Source(io::Error),
    Target(io::Error),
    Stopped(Error),
}

/// Reads `source` to its end; one thread hashes, another writes.
fn pump(
    mut source: impl Read,
    target: File,
    mut progress: impl FnMut(u64) -> Result<()>,
    explain: impl FnOnce(Broken) -> Error,
) -> Result<(Sha256, u64)> {
    let outcome = std::thread::scope(|scope| {
        let (to_hash, hash_in) = sync_channel::<Arc<Vec<u8>>>(DEPTH);
        let (to_write, write_in) = sync_channel::<Arc<Vec<u8>>>(DEPTH);
        let hashing = scope.spawn(move || hash(hash_in));
        let writing = scope.spawn(move || write(write_in, target));
        let fed = feed(&mut source, &to_hash, &to_write, &mut progress);
        drop((to_hash, to_write));
        let len = joined(writing).map_err(Broken::Target)?;
        fed?;
        Ok((joined(hashing), len))
    });
    outcome.map_err(explain)
}

fn feed(
    source: &mut impl Read,
    to_hash: &SyncSender<Arc<Vec<u8>>>,
    to_write: &SyncSender<Arc<Vec<u8>>>,
    progress: &mut impl FnMut(u64) -> Result<()>,
) -> Result<(), Broken> {
    let mut done = 0;
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        source.by_ref().take(PIECE as u64).read_to_end(&mut piece).map_err(Broken::Source)?;
        if piece.is_empty() {
            return Ok(());
        }
        done += piece.len() as u64;
        let piece = Arc::new(piece);
        // A consumer that went away reports why itself.
        if to_hash.send(piece.clone()).is_err() || to_write.send(piece).is_err() {
            return Ok(());
        }
        progress(done).map_err(Broken::Stopped)?;
    }
}

fn hash(pieces: Receiver<Arc<Vec<u8>>>) -> Sha256 {
    let mut hasher = Hasher::default();
    pieces.iter().for_each(|piece| hasher.update(&piece));
    hasher.finish()
}

fn write(pieces: Receiver<Arc<Vec<u8>>>, target: File) -> io::Result<u64> {
    let mut writer = SparseWriter::new(target);
    for piece in pieces {
        writer.write(&piece)?;
    }
    writer.finish().map(|(_, len)| len)
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Counts how far the source was read, for the progress figure.
struct Counting<'a> {
    file: File,
    read: &'a AtomicU64,
}

impl Read for Counting<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buf)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

impl Seek for Counting<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
