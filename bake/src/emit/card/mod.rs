//! Writing an image to a card: only what is in use, read back, and the partition table last.
//!
//! 1. The first and the last MiB become zero: whatever was on the card before is not recognised
//!    any more, and until the last step nothing boots or mounts it.
//! 2. What the image does not use is discarded where the card can.
//! 3. Everything in use but the first MiB is written, then read back and compared. Before, the
//!    first MiB is filled with something that is no table, and that data on a card that starts
//!    over would be lost to.
//! 4. The first MiB, with the partition table, is written and compared.
//!
//! Where anything fails on the way, the card has no partition table.

mod compose;
mod pieces;
mod verify;
mod write;

use std::ops::Range;

use crate::device::{Fault, Transport, read_all, write_all};
use crate::store::{BlockStore, Image};
use crate::sys::aligned::{ALIGN, Buffer};
use crate::sys::interrupt::Cancel;

use super::InUse;
use pieces::Pieces;

/// What is written last: the partition table, and whatever boot code lies behind it.
pub const HEAD: u64 = 1 << 20;
/// As much is cleared at the end of the card, where GPT, RAID and others leave their marks.
const TAIL: u64 = 1 << 20;
/// Discarding is asked for in such steps, between which one can stop.
const DISCARD: u64 = 1 << 30;

/// What happens on a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its old content is given up.
    Clear,
    /// The image is written.
    Write,
    /// What was written is read back.
    Verify,
}

/// An image for a card.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    /// The image.
    pub image: &'a Image,
    /// What of it is in use.
    pub used: &'a InUse,
    /// Its partitions, whose ends carry the marks by which their content is recognised.
    pub partitions: &'a [Range<u64>],
}

/// What was done to a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Bytes written.
    pub written: u64,
    /// Bytes made zero by the card itself.
    pub zeroed: u64,
    /// Bytes discarded.
    pub discarded: u64,
    /// Bytes read back and compared.
    pub verified: u64,
}

/// A card that is not whole.
#[derive(Debug)]
pub struct Unfinished {
    /// Why.
    pub fault: Fault,
    /// Whether anything was written at all.
    pub touched: bool,
    /// Whether it certainly has no partition table.
    pub blank: bool,
}

/// Bytes that a card must have to hold an image of `len` bytes.
#[must_use]
pub fn needed(len: u64) -> u64 {
    len.next_multiple_of(ALIGN as u64)
}

/// Writes `content` to `card`.
///
/// # Errors
/// [`Unfinished`], with what went wrong; the card has no partition table then, unless it says so.
pub fn write(
    content: Content<'_>,
    card: &mut dyn Transport,
    cancel: &Cancel,
    progress: &mut dyn FnMut(Stage, u64, u64),
) -> Result<Written, Unfinished> {
    let mut touched = false;
    let fault = match run(content, card, cancel, progress, &mut touched) {
        Ok(written) => return Ok(written),
        Err(fault) => fault,
    };
    let blank = touched && !matches!(fault, Fault::Gone) && blank(card, 0..HEAD).is_ok();
    Err(Unfinished { fault, touched, blank })
}

fn run(
    content: Content<'_>,
    card: &mut dyn Transport,
    cancel: &Cancel,
    progress: &mut dyn FnMut(Stage, u64, u64),
    touched: &mut bool,
) -> Result<Written, Fault> {
    let check = || cancel.check().map_err(|_| Fault::Interrupted);
    check()?;
    let len = card.len() / u64::from(card.block()) * u64::from(card.block());
    let pieces = Pieces::plan(content, card.block()).map_err(|e| Fault::Source(Box::new(e)))?;
    if content.image.len() > len {
        return Err(Fault::Full { at: len });
    }
    *touched = true;
    progress(Stage::Clear, 0, len);
    blank(card, 0..HEAD.min(len))?;
    let tail = (len.saturating_sub(TAIL) / ALIGN as u64 * ALIGN as u64).max(HEAD.min(len));
    blank(card, tail..len)?;
    sync(card)?;
    let discarded = discard(&pieces, card, HEAD..tail, cancel, progress)?;
    let sums = write::write(content, &pieces, card, cancel, progress)?;
    // On a card that holds less than it claims, the first MiB would in the end be written over
    // what was already read back. What lies there too is found out now.
    write_all(card, 0, &no_table(HEAD.min(len)))?;
    sync(card)?;
    let verified = verify::verify(&sums, card, cancel, progress)?;
    check()?;
    let head = write::head(content, card)?;
    sync(card)?;
    compare(card, 0, &head)?;
    card.announce();
    Ok(Written {
        written: sums.written + head.len() as u64,
        zeroed: sums.zeroed,
        discarded,
        verified: verified + head.len() as u64,
    })
}

fn sync(card: &mut dyn Transport) -> Result<(), Fault> {
    card.sync().map_err(|e| Fault::of_write(card, 0, e))
}

/// Gives up what the image does not need. A card that cannot, or will not, keeps old content
/// where nobody looks.
fn discard(
    pieces: &Pieces,
    card: &mut dyn Transport,
    within: Range<u64>,
    cancel: &Cancel,
    progress: &mut dyn FnMut(Stage, u64, u64),
) -> Result<u64, Fault> {
    let mut discarded = 0;
    for free in pieces.free(within.clone()) {
        let mut at = free.start;
        while at < free.end {
            cancel.check().map_err(|_| Fault::Interrupted)?;
            let end = (at + DISCARD).min(free.end);
            match card.discard(at..end) {
                Ok(true) => discarded += end - at,
                Ok(false) => return Ok(discarded),
                Err(_) if card.present() => return Ok(discarded),
                Err(e) => return Err(Fault::of_write(card, at, e)),
            }
            at = end;
            progress(Stage::Clear, at, within.end);
        }
    }
    Ok(discarded)
}

/// Makes `range` zero, whatever the card can.
fn blank(card: &mut dyn Transport, range: Range<u64>) -> Result<(), Fault> {
    let zeros = Buffer::zeroed(usize::try_from(HEAD).unwrap_or(ALIGN));
    let mut at = range.start;
    while at < range.end {
        let len = (range.end - at).min(HEAD);
        write_all(card, at, &zeros[..usize::try_from(len).unwrap_or(0)])?;
        at += len;
    }
    Ok(())
}

/// Bytes that are nobody's partition table, and hardly anybody's data.
fn no_table(len: u64) -> Buffer {
    let mut bytes = Buffer::zeroed(usize::try_from(len).unwrap_or(0));
    bytes.fill(0xA6);
    bytes
}

fn compare(card: &mut dyn Transport, at: u64, expected: &[u8]) -> Result<(), Fault> {
    let mut found = Buffer::zeroed(expected.len());
    read_all(card, at, &mut found)?;
    if *found == *expected {
        return Ok(());
    }
    Err(Fault::Different { range: at..at + expected.len() as u64 })
}
