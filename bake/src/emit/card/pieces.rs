//! Which bytes of a card must be what the image says, and which of them are zeros.

use std::ops::Range;

use super::{Content, HEAD};
use crate::emit::stream::each_stretch;
use crate::error::Result;
use crate::store::BlockStore;
use crate::sys::aligned::ALIGN;

/// Bytes written and compared at a time.
pub(super) const CHUNK: u64 = 2 << 20;
/// Gaps this small are written with what surrounds them: a card is faster at one long write.
const GAP: u64 = 64 << 10;
/// At both ends of a partition, where file systems, RAID and others leave their marks.
const MARKS: u64 = 64 << 10;

/// A stretch of at most [`CHUNK`] bytes, [`ALIGN`]ed; zeros can be longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub range: Range<u64>,
    pub zeros: bool,
}

/// What of a card is written, ascending, from [`HEAD`] on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pieces(Vec<Piece>);

impl Pieces {
    /// Decides for a card with blocks of `block` bytes.
    pub fn plan(content: Content<'_>, block: u32) -> Result<Self> {
        let len = content.image.len();
        // A last part that is no whole page is still a whole number of the card's blocks.
        let end = len.next_multiple_of(u64::from(block));
        let mut exact = content.used.ranges().to_vec();
        for partition in content.partitions {
            let Range { start, end } = *partition;
            exact.push(start..end.min(start + MARKS));
            exact.push(end.saturating_sub(MARKS).max(start)..end);
        }
        let exact = widen(exact, end);
        let mut data = Vec::new();
        each_stretch(content.image, content.used, |stretch| {
            data.push(stretch);
            Ok(())
        })?;
        let data = widen(data, end);
        let mut pieces = Vec::new();
        let mut data = data.into_iter().peekable();
        for range in exact {
            let mut at = range.start.max(HEAD);
            while at < range.end {
                while data.next_if(|d| d.end <= at).is_some() {}
                let (stop, zeros) = match data.peek() {
                    Some(d) if d.start <= at => (d.end.min(range.end), false),
                    Some(d) => (d.start.min(range.end), true),
                    None => (range.end, true),
                };
                push(&mut pieces, at..stop, zeros);
                at = stop;
            }
        }
        Ok(Self(pieces))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Piece> {
        self.0.iter()
    }

    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|p| p.range.end - p.range.start).sum()
    }

    /// What of `within` no piece covers.
    pub fn free(&self, within: Range<u64>) -> Vec<Range<u64>> {
        let ends = std::iter::once(within.start).chain(self.0.iter().map(|p| p.range.end));
        let starts = self.0.iter().map(|p| p.range.start).chain([within.end]);
        let gaps = ends.zip(starts).map(|(start, end)| start..end.min(within.end));
        gaps.filter(|gap| gap.start < gap.end).collect()
    }
}

/// Aligns ranges, closes small gaps, and ends at `end`.
fn widen(mut ranges: Vec<Range<u64>>, end: u64) -> Vec<Range<u64>> {
    ranges.sort_by_key(|r| r.start);
    let align = ALIGN as u64;
    let mut merged: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        let wide = range.start / align * align..range.end.next_multiple_of(align).min(end);
        match merged.last_mut() {
            _ if wide.is_empty() => {}
            Some(last) if wide.start <= last.end + GAP => last.end = last.end.max(wide.end),
            _ => merged.push(wide),
        }
    }
    merged
}

/// Cuts data at multiples of [`CHUNK`]; zeros stay whole.
fn push(pieces: &mut Vec<Piece>, range: Range<u64>, zeros: bool) {
    if zeros {
        pieces.push(Piece { range, zeros });
        return;
    }
    let mut at = range.start;
    while at < range.end {
        let stop = ((at / CHUNK + 1) * CHUNK).min(range.end);
        pieces.push(Piece { range: at..stop, zeros });
        at = stop;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::emit::InUse;
    use crate::store::{BytesSource, Image};

    fn plan(
        len: usize,
        used: &[Range<u64>],
        partition: Option<Range<u64>>,
    ) -> Vec<(Range<u64>, bool)> {
        let mut image = Image::new(Arc::new(BytesSource::new(vec![1; len])));
        if len > 5 << 20 {
            image.zero(4 << 20, 1 << 20).expect("zeros");
        }
        let mut in_use = InUse::everything(len as u64);
        in_use.limit(2 << 20, len as u64 - (2 << 20), used);
        let partitions = partition.as_slice();
        let content = Content { image: &image, used: &in_use, partitions };
        let pieces = Pieces::plan(content, 512).expect("plan");
        pieces.iter().map(|p| (p.range.clone(), p.zeros)).collect()
    }

    #[test]
    fn only_what_is_in_use_and_the_ends_of_partitions_are_written() {
        const M: u64 = 1 << 20;
        let len = 10 * M;
        // Used: 1000 bytes at 2 MiB, the megabyte from 3.5 MiB (half zeros), and 100 at 8 MiB.
        let used = [0..1000, M + M / 2..3 * M - M / 2, 6 * M..6 * M + 100];
        let found = plan(usize::try_from(len).unwrap(), &used, Some(2 * M..9 * M));
        let k = 1024;
        let expected = [
            (M..2 * M, false),
            (2 * M..2 * M + 4 * k, false),
            (2 * M + 4 * k..2 * M + 64 * k, true),
            (3 * M + M / 2..4 * M, false),
            (4 * M..4 * M + M / 2, true),
            (8 * M..8 * M + 4 * k, false),
            (9 * M - 64 * k..9 * M, true),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_odd_end_is_filled_up_to_a_block() {
        let found = plan((3 << 20) + 100, &[0..1 << 20, (1 << 20)..(1 << 20) + 100], None);
        assert_eq!(found.last().map(|p| p.0.end), Some((3 << 20) + 512));
    }
}
