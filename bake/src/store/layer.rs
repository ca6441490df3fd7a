//! One copy-on-write layer: which byte ranges differ from what lies below, and by what.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Payload;

/// Longest run of bytes kept as one piece in memory: bounds what a later split has to copy.
const LONGEST: usize = 64 * 1024;

/// What a changed range reads as.
#[derive(Debug, Clone)]
pub enum Piece<'a> {
    /// Bytes held by the layer.
    Memory(&'a [u8]),
    /// Bytes of a payload, from this offset in it.
    Payload(&'a Payload, u64),
    /// Zeros.
    Zero,
}

#[derive(Clone)]
enum Content {
    Memory(Vec<u8>),
    Payload { payload: Payload, from: u64, len: u64 },
    Zero(u64),
}

impl Content {
    fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Payload { len, .. } | Self::Zero(len) => *len,
        }
    }

    /// Keeps the first `at` bytes and returns the rest.
    fn split_off(&mut self, at: u64) -> Self {
        match self {
            #[allow(clippy::cast_possible_truncation, reason = "at is below the vector's length")]
            Self::Memory(bytes) => Self::Memory(bytes.split_off(at as usize)),
            Self::Payload { payload, from, len } => {
                let rest =
                    Self::Payload { payload: payload.clone(), from: *from + at, len: *len - at };
                *len = at;
                rest
            }
            Self::Zero(len) => {
                let rest = Self::Zero(*len - at);
                *len = at;
                rest
            }
        }
    }

    /// Appends `next` if the two make one piece.
    fn absorb(&mut self, next: Self) -> Result<(), Self> {
        match (&mut *self, next) {
            (Self::Memory(a), Self::Memory(b)) if a.len() + b.len() <= LONGEST => {
                a.extend_from_slice(&b);
                Ok(())
            }
            (
                Self::Payload { payload, from, len },
                Self::Payload { payload: p, from: f, len: l },
            ) if std::sync::Arc::ptr_eq(&payload.0, &p.0) && *from + *len == f => {
                *len += l;
                Ok(())
            }
            (Self::Zero(a), Self::Zero(b)) => {
                *a += b;
                Ok(())
            }
            (_, next) => Err(next),
        }
    }
}

/// Changed byte ranges of an image, each from memory, a payload, or zero. Ranges never overlap.
#[derive(Default, Clone)]
pub struct Layer {
    pieces: BTreeMap<u64, Content>,
}

impl std::fmt::Debug for Layer {
    // Bytes in memory may be secrets: only counts are shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Layer({} pieces, {} bytes in memory)", self.pieces.len(), self.memory())
    }
}

impl Layer {
    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Bytes held in memory.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.pieces.values().filter(|c| matches!(c, Content::Memory(_))).map(Content::len).sum()
    }

    /// Bytes changed, from whatever source.
    #[must_use]
    pub fn changed(&self) -> u64 {
        self.pieces.values().map(Content::len).sum()
    }

    /// Replaces bytes at `offset`.
    pub fn write(&mut self, offset: u64, data: &[u8]) {
        if data.is_empty() || self.overwrite(offset, data) {
            return;
        }
        let mut at = offset;
        self.clear(offset..offset + data.len() as u64);
        for chunk in data.chunks(LONGEST) {
            self.insert(at, Content::Memory(chunk.to_vec()));
            at += chunk.len() as u64;
        }
    }

    /// Makes `len` bytes at `offset` those of `payload` from `from`.
    pub fn place(&mut self, offset: u64, payload: &Payload, from: u64, len: u64) {
        if len > 0 {
            self.clear(offset..offset + len);
            self.insert(offset, Content::Payload { payload: payload.clone(), from, len });
        }
    }

    /// Makes `len` bytes at `offset` zero.
    pub fn zero(&mut self, offset: u64, len: u64) {
        if len > 0 {
            self.clear(offset..offset + len);
            self.insert(offset, Content::Zero(len));
        }
    }

    /// The changed parts of `range`, ascending, clipped to it.
    pub fn pieces(&self, range: Range<u64>) -> impl Iterator<Item = (Range<u64>, Piece<'_>)> {
        let first = self.pieces.range(..range.start).next_back().map_or(range.start, |(s, _)| *s);
        self.pieces.range(first..range.end.max(first)).filter_map(move |(&start, content)| {
            let clipped = start.max(range.start)..(start + content.len()).min(range.end);
            (!clipped.is_empty()).then(|| {
                let skip = clipped.start - start;
                let piece = match content {
                    #[allow(clippy::cast_possible_truncation, reason = "inside the vector")]
                    Content::Memory(bytes) => {
                        Piece::Memory(&bytes[skip as usize..(clipped.end - start) as usize])
                    }
                    Content::Payload { payload, from, .. } => Piece::Payload(payload, from + skip),
                    Content::Zero(_) => Piece::Zero,
                };
                (clipped, piece)
            })
        })
    }

    /// Writes in place where the whole range already lies inside one piece in memory.
    fn overwrite(&mut self, offset: u64, data: &[u8]) -> bool {
        let Some((start, Content::Memory(bytes))) = self.pieces.range_mut(..=offset).next_back()
        else {
            return false;
        };
        let Ok(at) = usize::try_from(offset - start) else { return false };
        let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.get_mut(..data.len())) else {
            return false;
        };
        place.copy_from_slice(data);
        true
    }

    /// Forgets what is known of `range`, splitting pieces at its ends.
    fn clear(&mut self, range: Range<u64>) {
        self.split(range.start);
        self.split(range.end);
        let gone: Vec<u64> = self.pieces.range(range).map(|(start, _)| *start).collect();
        for start in gone {
            self.pieces.remove(&start);
        }
    }

    fn split(&mut self, at: u64) {
        if let Some((&start, content)) = self.pieces.range_mut(..at).next_back()
            && start + content.len() > at
        {
            let rest = content.split_off(at - start);
            self.pieces.insert(at, rest);
        }
    }

    /// Adds a piece into a cleared range, merging it with its neighbours.
    fn insert(&mut self, offset: u64, content: Content) {
        let end = offset + content.len();
        let mut start = offset;
        let mut pending = Some(content);
        if let Some((&before, left)) = self.pieces.range_mut(..offset).next_back()
            && before + left.len() == offset
            && let Some(content) = pending.take()
        {
            match left.absorb(content) {
                Ok(()) => start = before,
                Err(content) => pending = Some(content),
            }
        }
        if let Some(content) = pending {
            self.pieces.insert(offset, content);
        }
        if let Some(right) = self.pieces.remove(&end)
            && let Some(left) = self.pieces.get_mut(&start)
            && let Err(right) = left.absorb(right)
        {
            self.pieces.insert(end, right);
        }
    }
}
