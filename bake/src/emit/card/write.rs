//! One thread composes and hashes what another writes.

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::pieces::{CHUNK, Pieces};
use super::{Content, HEAD, Stage, blank, compose};
use crate::device::{Fault, Transport, write_all};
use crate::error::Result;
use crate::io::digest::Sha256;
use crate::store::BlockStore;
use crate::sys::aligned::Buffer;
use crate::sys::interrupt::Cancel;

/// Buffers on their way from one thread to the other, [`CHUNK`] bytes each.
pub(super) const BUFFERS: usize = 4;

/// What a stretch of the card must read as.
#[derive(Debug)]
pub(super) enum Sum {
    /// Bytes with this digest.
    Digest(Sha256),
    /// Zeros.
    Zeros,
}

/// What was written, and how to tell whether it is there.
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub extents: Vec<(Range<u64>, Sum)>,
    pub written: u64,
    pub zeroed: u64,
}

enum Next {
    Data(Range<u64>, Buffer),
    Zeros(Range<u64>),
}

/// Writes every piece, in order.
pub(super) fn write(
    content: Content<'_>,
    pieces: &Pieces,
    card: &mut dyn Transport,
    cancel: &Cancel,
    progress: &mut dyn FnMut(Stage, u64, u64),
) -> Result<Sums, Fault> {
    let total = pieces.bytes();
    progress(Stage::Write, 0, total);
    std::thread::scope(|scope| {
        let (full, to_write) = sync_channel(BUFFERS);
        let (empty, to_fill) = sync_channel(BUFFERS);
        for _ in 0..BUFFERS {
            // The receiver is right here.
            let _ = empty.send(Buffer::zeroed(usize::try_from(CHUNK).unwrap_or(0)));
        }
        let composer = scope.spawn(move || compose_all(content, pieces, &full, &to_fill));
        let mut sums = Sums::default();
        let mut done = 0;
        let written = to_write.iter().try_for_each(|next| {
            cancel.check().map_err(|_| Fault::Interrupted)?;
            let range = match next {
                Next::Data(range, buffer) => {
                    write_all(card, range.start, &buffer[..length(&range)])?;
                    sums.written += range.end - range.start;
                    // The composer is done where it does not take it.
                    let _ = empty.send(buffer);
                    range
                }
                Next::Zeros(range) => {
                    zero(card, range.clone(), &mut sums, cancel)?;
                    range
                }
            };
            done += range.end - range.start;
            progress(Stage::Write, done, total);
            Ok(())
        });
        // A composer that still wants to send must not wait for ever.
        drop((to_write, empty));
        let composed = composer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        written?;
        sums.extents = composed.map_err(|e| Fault::Source(Box::new(e)))?;
        Ok(sums)
    })
}

/// Fills buffers and hashes them, until there are no more pieces or nobody takes them.
fn compose_all(
    content: Content<'_>,
    pieces: &Pieces,
    full: &SyncSender<Next>,
    to_fill: &Receiver<Buffer>,
) -> Result<Vec<(Range<u64>, Sum)>> {
    let mut extents = Vec::new();
    for piece in pieces.iter() {
        let range = piece.range.clone();
        let (next, sum) = if piece.zeros {
            (Next::Zeros(range.clone()), Sum::Zeros)
        } else {
            let Ok(mut buffer) = to_fill.recv() else { break };
            let bytes = &mut buffer[..length(&range)];
            compose::fill(content, range.start, bytes)?;
            let sum = Sum::Digest(Sha256::of(bytes));
            (Next::Data(range.clone(), buffer), sum)
        };
        extents.push((range, sum));
        if full.send(next).is_err() {
            break;
        }
    }
    Ok(extents)
}

/// Makes a stretch zero, by the card itself where it can.
fn zero(
    card: &mut dyn Transport,
    range: Range<u64>,
    sums: &mut Sums,
    cancel: &Cancel,
) -> Result<(), Fault> {
    if card.zero(range.clone()).map_err(|e| Fault::of_write(card, range.start, e))? {
        sums.zeroed += range.end - range.start;
        return Ok(());
    }
    let mut at = range.start;
    while at < range.end {
        cancel.check().map_err(|_| Fault::Interrupted)?;
        let end = (at + 8 * HEAD).min(range.end);
        blank(card, at..end)?;
        at = end;
    }
    sums.written += range.end - range.start;
    Ok(())
}

/// Writes the first MiB and returns it.
pub(super) fn head(content: Content<'_>, card: &mut dyn Transport) -> Result<Buffer, Fault> {
    let len = HEAD.min(content.image.len().next_multiple_of(u64::from(card.block())));
    let mut head = Buffer::zeroed(usize::try_from(len).unwrap_or(0));
    compose::fill(content, 0, &mut head).map_err(|e| Fault::Source(Box::new(e)))?;
    write_all(card, 0, &head)?;
    Ok(head)
}

pub(super) fn length(range: &Range<u64>) -> usize {
    usize::try_from(range.end - range.start).unwrap_or(0)
}
