//! Holds back changes until they are committed, and answers small reads from memory.

use std::cell::RefCell;
use std::io;

use super::source::check_range;
use super::{BlockStore, Layer, Payload, Piece};

/// Size of a cached page in bytes.
const PAGE: u64 = 4096;
/// Pages kept, each in the slot of its number modulo this: 1 MiB in all.
const SLOTS: usize = 256;

/// Number of a page and its bytes.
type Page = (u64, Box<[u8]>);

/// A store on top of `S` that reads whole pages once and keeps every change to itself until
/// [`Cached::commit`].
pub struct Cached<S> {
    below: S,
    pending: Layer,
    pages: RefCell<Vec<Option<Page>>>,
}

impl<S> std::fmt::Debug for Cached<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cached").field("pending", &self.pending).finish_non_exhaustive()
    }
}

impl<S: BlockStore> Cached<S> {
    /// Nothing cached, nothing pending.
    pub fn new(below: S) -> Self {
        let pages = RefCell::new((0..SLOTS).map(|_| None).collect());
        Self { below, pending: Layer::default(), pages }
    }

    /// Whether changes wait to be committed.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Hands every pending change down.
    ///
    /// # Errors
    /// Those of the store below; all changes then stay pending.
    pub fn commit(&mut self) -> io::Result<()> {
        for (range, piece) in self.pending.pieces(0..u64::MAX) {
            let len = range.end - range.start;
            match piece {
                Piece::Memory(bytes) => self.below.write_at(range.start, bytes)?,
                Piece::Payload(payload, from) => {
                    self.below.place(range.start, payload, from, len)?;
                }
                Piece::Zero => self.below.zero(range.start, len)?,
            }
        }
        self.pending = Layer::default();
        self.pages.get_mut().fill_with(|| None);
        Ok(())
    }

    /// Reads from the store below, through the pages.
    fn read_below(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        if buf.len() as u64 >= 4 * PAGE {
            return self.below.read_at(offset, buf);
        }
        let mut pages = self.pages.borrow_mut();
        let mut at = offset;
        let mut rest = buf;
        while !rest.is_empty() {
            let number = at / PAGE;
            #[allow(clippy::cast_possible_truncation, reason = "remainders of small numbers")]
            let (slot, skip) = ((number % SLOTS as u64) as usize, (at % PAGE) as usize);
            if pages[slot].as_ref().is_none_or(|(held, _)| *held != number) {
                let len = PAGE.min(self.below.len() - number * PAGE);
                #[allow(clippy::cast_possible_truncation, reason = "at most a page")]
                let mut page = vec![0; len as usize].into_boxed_slice();
                self.below.read_at(number * PAGE, &mut page)?;
                pages[slot] = Some((number, page));
            }
            let Some((_, page)) = &pages[slot] else { unreachable!("just filled") };
            let len = rest.len().min(page.len() - skip);
            let (part, tail) = rest.split_at_mut(len);
            part.copy_from_slice(&page[skip..skip + len]);
            rest = tail;
            at += len as u64;
        }
        Ok(())
    }
}

impl<S: BlockStore> BlockStore for Cached<S> {
    fn len(&self) -> u64 {
        self.below.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        check_range(self.len(), offset, buf.len() as u64)?;
        let end = offset + buf.len() as u64;
        let mut at = offset;
        let mut rest = buf;
        for (range, piece) in self.pending.pieces(offset..end) {
            #[allow(clippy::cast_possible_truncation, reason = "inside the buffer")]
            let (gap, len) = ((range.start - at) as usize, (range.end - range.start) as usize);
            let (below, tail) = rest.split_at_mut(gap);
            let (part, tail) = tail.split_at_mut(len);
            self.read_below(at, below)?;
            match piece {
                Piece::Memory(bytes) => part.copy_from_slice(bytes),
                Piece::Payload(payload, from) => payload.0.read_at(from, part)?,
                Piece::Zero => part.fill(0),
            }
            rest = tail;
            at = range.end;
        }
        self.read_below(at, rest)
    }

    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        check_range(self.len(), offset, data.len() as u64)?;
        self.pending.write(offset, data);
        Ok(())
    }

    fn place(&mut self, offset: u64, payload: &Payload, from: u64, len: u64) -> io::Result<()> {
        check_range(self.len(), offset, len)?;
        check_range(payload.0.len(), from, len)?;
        self.pending.place(offset, payload, from, len);
        Ok(())
    }

    fn zero(&mut self, offset: u64, len: u64) -> io::Result<()> {
        check_range(self.len(), offset, len)?;
        self.pending.zero(offset, len);
        Ok(())
    }
}
