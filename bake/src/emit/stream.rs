//! Walks an image once, front to back, and hands its bytes to a writer and to hashing threads.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use super::{InUse, STEP};
use crate::error::{IoContext, Result};
use crate::event::{Event, Sink};
use crate::store::{BlockStore, Image, Origin};
use crate::sys::interrupt::Cancel;

/// Bytes read at a time.
pub(super) const CHUNK: usize = 512 * 1024;
/// Chunks that may wait for a slower thread.
pub(super) const QUEUE: usize = 8;

/// What is to be walked.
pub(super) struct Job<'a> {
    pub image: &'a Image,
    pub used: &'a InUse,
    pub sink: &'a dyn Sink,
    pub cancel: &'a Cancel,
}

/// The next part of an image.
#[derive(Clone)]
pub(super) enum Chunk {
    /// Bytes at an offset.
    Data(u64, Arc<Vec<u8>>),
    /// A range that reads as zero: not in use, a hole, or zeroed.
    Zeros(Range<u64>),
}

impl Job<'_> {
    /// Calls `write` for every part of the image in order, and sends each to `taps` as well.
    pub fn walk(
        &self,
        path: &std::path::Path,
        taps: &[SyncSender<Chunk>],
        mut write: impl FnMut(&Chunk) -> Result<()>,
    ) -> Result<()> {
        let mut pool = Pool::default();
        let mut progress = Progress { sink: self.sink, done: 0, told: 0 };
        let mut at = 0;
        let mut pass = |chunk: Chunk| {
            for tap in taps {
                // A tap that hung up has panicked; joining it will say so.
                let _ = tap.send(chunk.clone());
            }
            write(&chunk)
        };
        each_stretch(self.image, self.used, |stretch| {
            if at < stretch.start {
                pass(Chunk::Zeros(at..stretch.start))?;
            }
            at = stretch.start;
            while at < stretch.end {
                self.cancel.check()?;
                let len = (stretch.end - at).min(CHUNK as u64);
                let mut buffer = pool.take();
                let bytes = Arc::make_mut(&mut buffer);
                bytes.resize(usize::try_from(len).unwrap_or(CHUNK), 0);
                self.image.read_at(at, bytes).at("reading what goes into", path)?;
                pass(Chunk::Data(at, buffer.clone()))?;
                pool.give(buffer);
                at += len;
                progress.advance(len);
            }
            Ok(())
        })?;
        if at < self.image.len() {
            pass(Chunk::Zeros(at..self.image.len()))?;
        }
        Ok(())
    }
}

/// The ranges of `image` that are in use and may hold anything but zeros, ascending.
pub(super) fn each_stretch(
    image: &Image,
    used: &InUse,
    mut take: impl FnMut(Range<u64>) -> Result<()>,
) -> Result<()> {
    let mut pending: Option<Range<u64>> = None;
    for used in used.ranges() {
        for segment in image.segments(used.clone()) {
            let mut rest = segment.range;
            while !rest.is_empty() {
                let found = match segment.origin {
                    Origin::Zero => None,
                    Origin::Base => image.base().next_data(rest.clone()),
                    Origin::Memory(_) | Origin::Payload(..) => Some(rest.clone()),
                };
                let Some(found) = found else { break };
                rest.start = found.end;
                match &mut pending {
                    Some(last) if last.end == found.start => last.end = found.end,
                    _ => {
                        if let Some(whole) = pending.replace(found) {
                            take(whole)?;
                        }
                    }
                }
            }
        }
    }
    pending.map_or(Ok(()), take)
}

/// Buffers that come back once every thread has let go of them.
#[derive(Default)]
struct Pool(VecDeque<Arc<Vec<u8>>>);

impl Pool {
    fn take(&mut self) -> Arc<Vec<u8>> {
        if let Some(oldest) = self.0.front_mut()
            && Arc::get_mut(oldest).is_some()
        {
            return self.0.pop_front().unwrap_or_default();
        }
        Arc::default()
    }

    fn give(&mut self, buffer: Arc<Vec<u8>>) {
        self.0.push_back(buffer);
    }
}

/// Tells the sink every 8 MiB.
pub(super) struct Progress<'a> {
    pub sink: &'a dyn Sink,
    pub done: u64,
    pub told: u64,
}

impl Progress<'_> {
    pub fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        if self.done - self.told >= 8 << 20 {
            self.told = self.done;
            self.sink.emit(Event::Progress { step: STEP, done: self.done });
        }
    }
}
