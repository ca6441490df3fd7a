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

    /// These ranges, in any order, of an image of `len` bytes.
    #[must_use]
    pub fn of(ranges: impl IntoIterator<Item = Range<u64>>, len: u64) -> Self {
        let clipped = ranges.into_iter().map(|r| r.start..r.end.min(len));
        Self { ranges: merged(clipped.collect()) }
    }

    /// What is in this or in `other`.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self { ranges: merged(self.ranges.iter().chain(&other.ranges).cloned().collect()) }
    }

    /// What is in this and not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = Vec::new();
        let mut next = 0;
        for range in &self.ranges {
            // Those that end before this range ends before all that follow.
            while other.ranges.get(next).is_some_and(|gap| gap.end <= range.start) {
                next += 1;
            }
            let mut at = range.start;
            for gap in other.ranges[next..].iter().take_while(|gap| gap.start < range.end) {
                rest.push(at..gap.start.max(at));
                at = gap.end;
            }
            rest.push(at.min(range.end)..range.end);
        }
        Self { ranges: merged(rest) }
    }

    /// What is in this and in `other`.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        self.without(&self.without(other))
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
        self.ranges = merged(all);
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

/// Ascending, without empty ones, and one for each stretch.
fn merged(mut all: Vec<Range<u64>>) -> Vec<Range<u64>> {
    all.retain(|r| r.start < r.end);
    all.sort_by_key(|r| r.start);
    let mut ranges: Vec<Range<u64>> = Vec::with_capacity(all.len());
    for range in all {
        match ranges.last_mut() {
            Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
            _ => ranges.push(range),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(bits: &[bool]) -> InUse {
        let on = |(i, bit): (usize, &bool)| bit.then_some(i as u64..i as u64 + 1);
        InUse::of(bits.iter().enumerate().filter_map(on), bits.len() as u64)
    }

    proptest! {
        #[test]
        fn sets_of_ranges_are_sets(
            bits in prop::collection::vec((any::<bool>(), any::<bool>()), 0..60)
        ) {
            let (a, b): (Vec<bool>, Vec<bool>) = bits.iter().copied().unzip();
            let each = |f: fn(bool, bool) -> bool| {
                let bits: Vec<bool> = bits.iter().map(|(a, b)| f(*a, *b)).collect();
                set(&bits)
            };
            prop_assert_eq!(set(&a).or(&set(&b)), each(|a, b| a || b));
            prop_assert_eq!(set(&a).and(&set(&b)), each(|a, b| a && b));
            prop_assert_eq!(set(&a).without(&set(&b)), each(|a, b| a && !b));
        }
    }

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
