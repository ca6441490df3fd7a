//! The allocation table: chains of clusters, and which clusters are free.

use std::ops::Range;

use super::boot::{Boot, Width};
use super::{corrupt, device};
use crate::error::{Error, Result};
use crate::store::{BlockStore, Cached};

/// What a table entry says (specification, section "FAT Data Structure").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Free,
    Next(u32),
    Bad,
    End,
}

/// Clusters in a row.
pub(super) type Run = Range<u32>;

/// The tables of a file system, with a map of the free clusters.
#[derive(Debug)]
pub(super) struct Table {
    pub boot: Boot,
    /// Byte of the image where the file system starts, for errors.
    pub start: u64,
    /// One bit a cluster, set where it is free.
    free: Vec<u64>,
    pub free_count: u32,
    /// No cluster below is free.
    lowest: u32,
    /// The cluster allocated last.
    pub newest: Option<u32>,
}

impl Table {
    /// Reads which clusters are free.
    pub fn read<S: BlockStore>(store: &Cached<S>, boot: Boot, start: u64) -> Result<Self> {
        // A multiple of 64: words are whole.
        const STEP: u32 = 16 * 1024;
        let mut table =
            Self { boot, start, free: Vec::new(), free_count: 0, lowest: 2, newest: None };
        let mut free = Vec::with_capacity(table.boot.end as usize / 64 + 1);
        let mut first = 0;
        while first < table.boot.end {
            let last = table.boot.end.min(first + STEP);
            let values = table.raw(store, first..last)?;
            free.extend(values.chunks(64).map(|values| {
                let bits = values.iter().zip(0..).map(|(value, bit)| u64::from(*value == 0) << bit);
                bits.fold(0, |word, bit| word | bit)
            }));
            first = last;
        }
        // The first two entries are no clusters.
        free.iter_mut().take(1).for_each(|word| *word &= !0b11);
        free.resize(table.boot.end as usize / 64 + 1, 0);
        table.free_count = free.iter().map(|word| word.count_ones()).sum();
        table.free = free;
        Ok(table)
    }

    pub fn is_free(&self, cluster: u32) -> bool {
        self.free[cluster as usize / 64] & (1 << (cluster % 64)) != 0
    }

    fn mark(&mut self, cluster: u32, free: bool) {
        let bit = 1 << (cluster % 64);
        let word = &mut self.free[cluster as usize / 64];
        if free {
            self.free_count += u32::from(*word & bit == 0);
            *word |= bit;
            self.lowest = self.lowest.min(cluster);
        } else {
            self.free_count -= u32::from(*word & bit != 0);
            *word &= !bit;
        }
    }

    /// Bytes of the table that entries `run` take, from its start.
    fn bytes(&self, run: &Run) -> Range<u64> {
        let (first, end) = (u64::from(run.start), u64::from(run.end));
        match self.boot.width {
            Width::Fat12 => first * 3 / 2..(end * 3).div_ceil(2),
            Width::Fat16 => first * 2..end * 2,
            Width::Fat32 => first * 4..end * 4,
        }
    }

    /// Start of the table that is believed.
    fn origin(&self) -> u64 {
        self.boot.tables + self.boot.active.unwrap_or(0) * self.boot.table_len
    }

    fn load<S: BlockStore>(&self, store: &Cached<S>, at: u64, run: &Run) -> Result<Vec<u8>> {
        let range = self.bytes(run);
        let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(0)];
        store.read_at(at + range.start, &mut bytes).map_err(|e| device(self.start, e))?;
        Ok(bytes)
    }

    /// Values of the entries `run`.
    fn raw<S: BlockStore>(&self, store: &Cached<S>, run: Run) -> Result<Vec<u32>> {
        let bytes = self.load(store, self.origin(), &run)?;
        // The whole table is read whenever a file system is opened: loops that processors like.
        Ok(match self.boot.width {
            Width::Fat12 => {
                let skip = self.bytes(&run).start;
                run.map(|cluster| self.twelve(&bytes, skip, cluster)).collect()
            }
            Width::Fat16 => {
                bytes.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b).into()).collect()
            }
            Width::Fat32 => {
                bytes.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b) & 0x0fff_ffff).collect()
            }
        })
    }

    fn twelve(&self, bytes: &[u8], skip: u64, cluster: u32) -> u32 {
        let at = usize::try_from(self.bytes(&(cluster..cluster)).start - skip).unwrap_or(0);
        let pair = u32::from(super::boot::u16_at(bytes, at));
        if cluster % 2 == 1 { pair >> 4 } else { pair & 0xfff }
    }

    fn encode(&self, bytes: &mut [u8], skip: u64, cluster: u32, value: u32) {
        let at = usize::try_from(self.bytes(&(cluster..cluster)).start - skip).unwrap_or(0);
        let [low, high, ..] = value.to_le_bytes();
        match self.boot.width {
            Width::Fat12 if cluster % 2 == 1 => {
                bytes[at] = bytes[at] & 0x0f | low << 4;
                bytes[at + 1] = low >> 4 | high << 4;
            }
            Width::Fat12 => {
                bytes[at] = low;
                bytes[at + 1] = bytes[at + 1] & 0xf0 | high & 0x0f;
            }
            Width::Fat16 => bytes[at..at + 2].copy_from_slice(&[low, high]),
            // The upper four bits are reserved and must be kept.
            Width::Fat32 => {
                let kept = super::boot::u32_at(bytes, at) & 0xf000_0000;
                bytes[at..at + 4].copy_from_slice(&(kept | value).to_le_bytes());
            }
        }
    }

    fn link(&self, value: u32, at: u32) -> Result<Link> {
        let top = match self.boot.width {
            Width::Fat12 => 0xfff,
            Width::Fat16 => 0xffff,
            Width::Fat32 => 0x0fff_ffff,
        };
        match value {
            0 => Ok(Link::Free),
            n if n == top - 8 => Ok(Link::Bad),
            n if n >= top - 7 => Ok(Link::End),
            n if self.boot.holds(n) => Ok(Link::Next(n)),
            n => Err(corrupt(
                self.start + self.origin() + self.bytes(&(at..at)).start,
                format!("the entry of cluster {at} leads to cluster {n}, which does not exist"),
            )),
        }
    }

    /// What the entry of `cluster` says.
    pub fn get<S: BlockStore>(&self, store: &Cached<S>, cluster: u32) -> Result<Link> {
        let value = self.raw(store, cluster..cluster + 1)?;
        self.link(value[0], cluster)
    }

    /// The clusters of the chain from `first` on; none where `first` is 0.
    pub fn chain<S: BlockStore>(&self, store: &Cached<S>, first: u32) -> Result<Vec<Run>> {
        let mut runs: Vec<Run> = Vec::new();
        let mut count = 0;
        let mut next = first;
        while next != 0 {
            if !self.boot.holds(next) {
                let reason = format!("a chain starts at cluster {next}, which does not exist");
                return Err(corrupt(self.start, reason));
            }
            match runs.last_mut() {
                Some(run) if run.end == next => run.end += 1,
                _ => runs.push(next..next + 1),
            }
            count += 1;
            next = match self.get(store, next)? {
                Link::End => 0,
                Link::Next(_) if count >= self.boot.end => {
                    let reason = format!("the chain of cluster {first} is a loop");
                    return Err(corrupt(self.start, reason));
                }
                Link::Next(n) => n,
                Link::Free | Link::Bad => {
                    let reason = format!("the chain of cluster {first} breaks off at {next}");
                    return Err(corrupt(self.start, reason));
                }
            };
        }
        Ok(runs)
    }

    /// Takes `count` free clusters and chains them: in one run where there is one, else the
    /// lowest ones. Nothing changes where there are too few.
    pub fn allocate<S: BlockStore>(
        &mut self,
        store: &mut Cached<S>,
        count: u64,
    ) -> Result<Vec<Run>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        if count > u64::from(self.free_count) {
            return Err(Error::NoSpace {
                what: super::place(self.start),
                needed: count * self.boot.cluster,
                free: u64::from(self.free_count) * self.boot.cluster,
            });
        }
        let runs = self.find_free(u32::try_from(count).unwrap_or(u32::MAX));
        for (index, run) in runs.iter().enumerate() {
            let next = runs.get(index + 1).map_or(u32::MAX, |r| r.start);
            let values = run.clone().map(|n| if n + 1 < run.end { n + 1 } else { next });
            self.put(store, run.clone(), values)?;
            run.clone().for_each(|n| self.mark(n, false));
            self.newest = Some(run.end - 1);
        }
        if let Some(first) = runs.first().filter(|r| r.start == self.lowest) {
            self.lowest = first.end;
        }
        Ok(runs)
    }

    fn find_free(&mut self, count: u32) -> Vec<Run> {
        let mut found: Vec<Run> = Vec::new();
        let mut have = 0;
        let mut at = self.lowest;
        let mut first_free = None;
        while at < self.boot.end {
            if at.is_multiple_of(64) && self.free[at as usize / 64] == 0 {
                at += 64;
                continue;
            }
            if !self.is_free(at) {
                at += 1;
                continue;
            }
            first_free.get_or_insert(at);
            let mut end = at;
            while end < self.boot.end && end - at < count && self.is_free(end) {
                end += 1;
            }
            if end - at == count {
                self.lowest = first_free.unwrap_or(at);
                return std::iter::once(at..end).collect();
            }
            if have < count {
                let take = (end - at).min(count - have);
                found.push(at..at + take);
                have += take;
            }
            at = end;
        }
        found
    }

    /// Appends the chain `more` to the chain that ends in cluster `last`.
    pub fn append<S: BlockStore>(&self, store: &mut Cached<S>, last: u32, more: u32) -> Result<()> {
        self.put(store, last..last + 1, std::iter::once(more))
    }

    /// Frees the clusters `runs`.
    pub fn release<S: BlockStore>(&mut self, store: &mut Cached<S>, runs: &[Run]) -> Result<()> {
        for run in runs {
            self.put(store, run.clone(), run.clone().map(|_| 0))?;
            run.clone().for_each(|n| self.mark(n, true));
        }
        Ok(())
    }

    /// Writes entries into every table in use; `u32::MAX` ends a chain.
    fn put<S: BlockStore>(
        &self,
        store: &mut Cached<S>,
        run: Run,
        values: impl Iterator<Item = u32>,
    ) -> Result<()> {
        let top = match self.boot.width {
            Width::Fat12 => 0xfff,
            Width::Fat16 => 0xffff,
            Width::Fat32 => 0x0fff_ffff,
        };
        let values: Vec<u32> = values.map(|v| v.min(top)).collect();
        let skip = self.bytes(&run).start;
        let copies = match self.boot.active {
            Some(active) => active..active + 1,
            None => 0..self.boot.copies,
        };
        for copy in copies {
            let at = self.boot.tables + copy * self.boot.table_len;
            let mut bytes = self.load(store, at, &run)?;
            for (cluster, &value) in run.clone().zip(&values) {
                self.encode(&mut bytes, skip, cluster, value);
            }
            store.write_at(at + skip, &bytes).map_err(|e| device(self.start, e))?;
        }
        Ok(())
    }

    /// Ranges of bytes whose clusters are not free, merged, after the tables and the root
    /// directory in front of them.
    pub fn used(&self) -> Vec<Range<u64>> {
        let mut ranges = Vec::new();
        ranges.push(0..self.boot.data);
        let cluster = self.boot.cluster;
        let taken = self.free.iter().zip((0..).step_by(64)).flat_map(|(word, first)| {
            let any = if *word == u64::MAX { 0..0 } else { 0..64 };
            any.filter(move |bit| word & 1 << bit == 0).map(move |bit| first + bit)
        });
        for number in taken.skip_while(|number| *number < 2).take_while(|n| *n < self.boot.end) {
            let at = self.boot.offset(number);
            match ranges.last_mut() {
                Some(last) if last.end == at => last.end += cluster,
                _ => ranges.push(at..at + cluster),
            }
        }
        ranges
    }
}
