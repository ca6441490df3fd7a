//! Which bytes of an image matter.

use std::ops::Range;

/// Ranges of an image that are in use, ascending and merged. The rest may be anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InUse {
    ranges: Vec<Range<u64>>,
}

impl InUse {
    /// All `len` bytes of an image.
    #[must_use]
    pub fn everything(len: u64) -> Self {
        Self { ranges: std::iter::once(0..len).filter(|r| !r.is_empty()).collect() }
    }

    /// Of the range `start..start+len`, a file system's, only `used` stays in use. `used` counts
    /// from `start` and is ascending, as [`crate::fs::FileTree::used`] gives it.
    pub fn limit(&mut self, start: u64, len: u64, used: &[Range<u64>]) {
        let end = start + len;
        let mut all = Vec::with_capacity(self.ranges.len() + used.len());
        for range in &self.ranges {
            all.push(range.start..range.end.min(start));
            all.push(range.start.max(end)..range.end);
        }
        all.extend(used.iter().map(|r| start + r.start..(start + r.end).min(end)));
        all.retain(|r| r.start < r.end);
        all.sort_by_key(|r| r.start);
        self.ranges = Vec::with_capacity(all.len());
        for range in all {
            match self.ranges.last_mut() {
                Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
                _ => self.ranges.push(range),
            }
        }
    }

    /// The ranges.
    #[must_use]
    pub fn ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }

    /// How many bytes are in use.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.ranges.iter().map(|r| r.end - r.start).sum()
    }

    /// What of `0..len` is not in use, ascending.
    pub fn free(&self, len: u64) -> impl Iterator<Item = Range<u64>> {
        let ends = std::iter::once(0).chain(self.ranges.iter().map(|r| r.end));
        let starts = self.ranges.iter().map(|r| r.start).chain(std::iter::once(len));
        ends.zip(starts).map(|(start, end)| start..end).filter(|r| r.start < r.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_limit_what_is_in_use() {
        let mut used = InUse::everything(100);
        used.limit(10, 40, &[0..5, 20..60]);
        used.limit(50, 30, &[]);
        assert_eq!(used.ranges(), [0..15, 30..50, 80..100]);
        assert_eq!(used.bytes(), 55);
        assert_eq!(used.free(100).collect::<Vec<_>>(), [15..30, 50..80]);
        assert_eq!(InUse::everything(0).free(0).count(), 0);
    }
}
