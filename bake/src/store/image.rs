//! A whole image: a base that is never written, frozen layers shared between nodes, and one
//! working layer that takes the edits.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::source::check_range;
use super::{BlockStore, Layer, Payload, Piece, ReadAt};

/// Where the bytes of a [`Segment`] come from.
#[derive(Debug, Clone)]
pub enum Origin<'a> {
    /// The base, at the segment's own offset.
    Base,
    /// Memory of a layer.
    Memory(&'a [u8]),
    /// A payload, from this offset in it.
    Payload(&'a Payload, u64),
    /// Zeros: nothing has to be read.
    Zero,
}

/// A stretch of an image with one origin.
#[derive(Debug, Clone)]
pub struct Segment<'a> {
    /// Bytes of the image.
    pub range: Range<u64>,
    /// What they read as.
    pub origin: Origin<'a>,
}

/// Base, frozen layers and a working layer. May be longer than its base: what lies beyond the
/// base reads as zero until it is written.
#[derive(Debug)]
pub struct Image {
    base: Arc<dyn ReadAt>,
    /// Lowest first.
    frozen: Vec<Arc<Layer>>,
    work: Layer,
    len: u64,
}

impl Image {
    /// An unchanged view of `base`.
    #[must_use]
    pub fn new(base: Arc<dyn ReadAt>) -> Self {
        let len = base.len();
        Self { base, frozen: Vec::new(), work: Layer::default(), len }
    }

    /// The base below all layers.
    #[must_use]
    pub fn base(&self) -> &Arc<dyn ReadAt> {
        &self.base
    }

    /// Freezes the working layer, so that it can be shared, and starts an empty one on top.
    pub fn freeze(&mut self) {
        if !self.work.is_empty() {
            self.frozen.push(Arc::new(std::mem::take(&mut self.work)));
        }
    }

    /// A further image on the same base and layers. Freezes the working layer first: the two
    /// share it from here on, and changes to one are not seen in the other.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        self.freeze();
        Self {
            base: self.base.clone(),
            frozen: self.frozen.clone(),
            work: Layer::default(),
            len: self.len,
        }
    }

    /// Makes the image `len` bytes long; what is added reads as zero.
    ///
    /// # Errors
    /// `InvalidInput` where it would become shorter: nothing here ever needs that.
    pub fn grow(&mut self, len: u64) -> io::Result<()> {
        if len < self.len {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("an image of {} bytes cannot shrink to {len}", self.len),
            ));
        }
        self.len = len;
        Ok(())
    }

    /// Bytes of memory that the layers hold, the shared ones included.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.frozen.iter().map(|l| l.memory()).sum::<u64>() + self.work.memory()
    }

    /// Ranges that differ from the base, ascending and merged.
    #[must_use]
    pub fn changed(&self) -> Vec<Range<u64>> {
        let mut merged: Vec<Range<u64>> = Vec::new();
        for segment in self.segments(0..self.len) {
            if matches!(segment.origin, Origin::Base) {
                continue;
            }
            match merged.last_mut() {
                Some(last) if last.end == segment.range.start => last.end = segment.range.end,
                _ => merged.push(segment.range),
            }
        }
        merged
    }

    /// Ranges that the working layer changes, ascending and merged.
    #[must_use]
    pub fn work(&self) -> Vec<Range<u64>> {
        let mut merged: Vec<Range<u64>> = Vec::new();
        for (range, _) in self.work.pieces(0..self.len) {
            match merged.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => merged.push(range),
            }
        }
        merged
    }

    /// What `range` is made of, ascending and without gaps. Holes of the base are not looked for;
    /// ask [`ReadAt::next_data`] of [`Image::base`].
    #[must_use]
    pub fn segments(&self, range: Range<u64>) -> Vec<Segment<'_>> {
        let mut found = Vec::new();
        let range = range.start..range.end.min(self.len);
        self.resolve(self.frozen.len() + 1, range, &mut |segment| found.push(segment));
        found
    }

    /// Walks `range` through the lowest `depth` layers.
    fn resolve<'a>(&'a self, depth: usize, range: Range<u64>, take: &mut dyn FnMut(Segment<'a>)) {
        if range.is_empty() {
            return;
        }
        let Some(above) = depth.checked_sub(1) else {
            let split = self.base.len().clamp(range.start, range.end);
            if range.start < split {
                take(Segment { range: range.start..split, origin: Origin::Base });
            }
            if split < range.end {
                take(Segment { range: split..range.end, origin: Origin::Zero });
            }
            return;
        };
        let layer = if above == self.frozen.len() { &self.work } else { &*self.frozen[above] };
        let mut at = range.start;
        for (range, piece) in layer.pieces(range.clone()) {
            self.resolve(above, at..range.start, take);
            at = range.end;
            let origin = match piece {
                Piece::Memory(bytes) => Origin::Memory(bytes),
                Piece::Payload(payload, from) => Origin::Payload(payload, from),
                Piece::Zero => Origin::Zero,
            };
            take(Segment { range, origin });
        }
        self.resolve(above, at..range.end, take);
    }
}

impl BlockStore for Image {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        check_range(self.len, offset, buf.len() as u64)?;
        let mut rest = buf;
        let mut outcome = Ok(());
        let end = offset + rest.len() as u64;
        self.resolve(self.frozen.len() + 1, offset..end, &mut |segment| {
            if outcome.is_err() {
                return;
            }
            #[allow(clippy::cast_possible_truncation, reason = "inside the buffer")]
            let len = (segment.range.end - segment.range.start) as usize;
            let (part, tail) = std::mem::take(&mut rest).split_at_mut(len);
            rest = tail;
            outcome = match segment.origin {
                Origin::Base => self.base.read_at(segment.range.start, part),
                Origin::Memory(bytes) => {
                    part.copy_from_slice(bytes);
                    Ok(())
                }
                Origin::Payload(payload, from) => payload.0.read_at(from, part),
                Origin::Zero => {
                    part.fill(0);
                    Ok(())
                }
            };
        });
        outcome
    }

    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        check_range(self.len, offset, data.len() as u64)?;
        self.work.write(offset, data);
        Ok(())
    }

    fn place(&mut self, offset: u64, payload: &Payload, from: u64, len: u64) -> io::Result<()> {
        check_range(self.len, offset, len)?;
        check_range(payload.0.len(), from, len)?;
        self.work.place(offset, payload, from, len);
        Ok(())
    }

    fn zero(&mut self, offset: u64, len: u64) -> io::Result<()> {
        check_range(self.len, offset, len)?;
        self.work.zero(offset, len);
        Ok(())
    }
}
