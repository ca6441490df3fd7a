//! One directory: its records in memory, and where they are on disk.

use std::collections::BTreeSet;
use std::ops::Range;

use super::boot::Root;
use super::name::{alias, fold, is_short, show};
use super::record::{LongName, REMOVED, Record, SIZE, long_entries};
use super::table::{Run, Table};
use super::{corrupt, device};
use crate::error::{Error, Result};
use crate::store::{BlockStore, Cached};

/// More records than a directory may have ("FAT Directory Structure").
const MOST: usize = 65_536;

/// Where a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Fixed {
        start: u64,
        len: u64,
    },
    /// Its first cluster.
    Chain(u32),
}

/// A file or directory in a directory.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub name: String,
    pub record: Record,
    /// Its records: long-name entries and, last, the short one.
    pub slots: Range<usize>,
}

/// A directory's records.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    pub place: Place,
    pub runs: Vec<Run>,
    bytes: Vec<u8>,
}

impl Directory {
    pub fn root<S: BlockStore>(store: &Cached<S>, table: &Table) -> Result<Self> {
        match table.boot.root {
            Root::Fixed { start, len } => Self::read(store, table, Place::Fixed { start, len }),
            Root::Cluster(first) => Self::read(store, table, Place::Chain(first)),
        }
    }

    pub fn read<S: BlockStore>(store: &Cached<S>, table: &Table, place: Place) -> Result<Self> {
        let mut directory = Self { place, runs: Vec::new(), bytes: Vec::new() };
        if let Place::Chain(first) = place {
            directory.runs = table.chain(store, first)?;
            if directory.runs.is_empty() {
                return Err(corrupt(table.start, "a directory has no clusters"));
            }
        }
        let extents = directory.extents(table);
        let len: u64 = extents.iter().map(|e| e.end - e.start).sum();
        if len > (MOST * SIZE) as u64 {
            let at = table.start + extents.first().map_or(0, |e| e.start);
            return Err(corrupt(at, "a directory has more than 65,536 entries"));
        }
        directory.bytes.resize(usize::try_from(len).unwrap_or(0), 0);
        let mut rest = directory.bytes.as_mut_slice();
        for extent in extents {
            let len = usize::try_from(extent.end - extent.start).unwrap_or(0);
            let (part, tail) = rest.split_at_mut(len);
            store.read_at(extent.start, part).map_err(|e| device(table.start, e))?;
            rest = tail;
        }
        Ok(directory)
    }

    /// Byte ranges on disk, in order.
    fn extents(&self, table: &Table) -> Vec<Range<u64>> {
        let cluster = table.boot.cluster;
        match self.place {
            Place::Fixed { start, len } => std::iter::once(start..start + len).collect(),
            Place::Chain(_) => self
                .runs
                .iter()
                .map(|r| {
                    let start = table.boot.offset(r.start);
                    start..start + u64::from(r.end - r.start) * cluster
                })
                .collect(),
        }
    }

    fn slot(&self, index: usize) -> &[u8; SIZE] {
        let (records, _) = self.bytes.as_chunks();
        &records[index]
    }

    /// Every record up to the end mark, removed ones included.
    pub fn records(&self) -> impl Iterator<Item = (usize, Record)> {
        let (records, _) = self.bytes.as_chunks::<SIZE>();
        records.iter().enumerate().take_while(|(_, b)| b[0] != 0).map(|(i, b)| (i, Record(*b)))
    }

    /// Files and directories, in the order they stand; neither `.` and `..` nor the label.
    pub fn items(&self) -> Vec<Item> {
        let mut items = Vec::new();
        let mut long = LongName::default();
        for (index, record) in self.records() {
            if record.0[0] == REMOVED {
                long = LongName::default();
            } else if record.is_long() {
                long.take(index, &record.0);
            } else {
                let long = std::mem::take(&mut long).finish(&record.alias());
                if !record.is_volume() && !record.is_dots() {
                    let (name, first) =
                        long.unwrap_or_else(|| (show(&record.alias(), record.case()), index));
                    items.push(Item { name, record, slots: first..index + 1 });
                }
            }
        }
        items
    }

    /// The volume label (root directory only).
    pub fn label(&self) -> Option<String> {
        self.records()
            .map(|(_, record)| record)
            .find(|r| r.0[0] != REMOVED && r.is_volume() && !r.is_long())
            .map(|r| String::from_utf8_lossy(&r.alias()).trim_end().to_owned())
    }

    /// The item of that name, long or alias, in whatever case.
    pub fn find(&self, name: &str) -> Option<Item> {
        let name = fold(name);
        self.items()
            .into_iter()
            .find(|item| fold(&item.name) == name || fold(&show(&item.record.alias(), 0)) == name)
    }

    /// Rewrites the short entry of an item.
    pub fn update<S: BlockStore>(
        &mut self,
        store: &mut Cached<S>,
        table: &Table,
        item: &Item,
    ) -> Result<()> {
        let last = item.slots.end - 1;
        self.put(last, &item.record.0);
        self.save(store, table, last..last + 1)
    }

    /// Removes the records of an item.
    pub fn remove<S: BlockStore>(
        &mut self,
        store: &mut Cached<S>,
        table: &Table,
        item: &Item,
    ) -> Result<()> {
        for slot in item.slots.clone() {
            self.bytes[slot * SIZE] = REMOVED;
        }
        self.save(store, table, item.slots.clone())
    }

    /// Makes sure that an entry of that name will fit, taking clusters for it where needed.
    /// [`Directory::insert`] of the same name cannot fail for space after it.
    pub fn reserve<S: BlockStore>(
        &mut self,
        store: &mut Cached<S>,
        table: &mut Table,
        name: &str,
    ) -> Result<()> {
        let count = 1 + if is_short(name) { 0 } else { name.encode_utf16().count().div_ceil(13) };
        while self.gap(count).is_none() {
            let Place::Chain(_) = self.place else {
                return Err(full(table, "the root directory, whose size is fixed, is full"));
            };
            if self.bytes.len() + usize::try_from(table.boot.cluster).unwrap_or(MOST) > MOST * SIZE
            {
                return Err(full(table, "the directory has the most entries FAT allows"));
            }
            let last = self.runs.last().map_or(0, |r| r.end - 1);
            let more = table.allocate(store, 1)?;
            let first = more[0].start;
            table.append(store, last, first)?;
            let (at, len) = (table.boot.offset(first), table.boot.cluster);
            store.zero(at, len).map_err(|e| device(table.start, e))?;
            match self.runs.last_mut() {
                Some(run) if run.end == first => run.end += 1,
                _ => self.runs.extend(more),
            }
            self.bytes.resize(self.bytes.len() + usize::try_from(len).unwrap_or(0), 0);
        }
        Ok(())
    }

    /// Adds an entry called `name`; the record's alias is chosen here.
    pub fn insert<S: BlockStore>(
        &mut self,
        store: &mut Cached<S>,
        table: &mut Table,
        name: &str,
        mut record: Record,
    ) -> Result<()> {
        self.reserve(store, table, name)?;
        let taken: BTreeSet<_> = self.records().map(|(_, record)| record.alias()).collect();
        record.set_alias(alias(name, &taken));
        let long = long_entries(name, &record.alias());
        let Some(first) = self.gap(long.len() + 1) else {
            return Err(full(table, "the directory is full"));
        };
        let (end, mut slots) = (self.end(), first..first + long.len() + 1);
        for (slot, bytes) in slots.clone().zip(long.iter().chain([&record.0])) {
            self.put(slot, bytes);
        }
        // Where the end mark was overwritten, the next record becomes it.
        if slots.end > end && slots.end * SIZE < self.bytes.len() {
            self.put(slots.end, &[0; SIZE]);
            slots.end += 1;
        }
        self.save(store, table, slots)
    }

    /// Index of the record that marks the end.
    fn end(&self) -> usize {
        self.records().last().map_or(0, |(i, _)| i + 1)
    }

    /// First of `count` free records in a row.
    fn gap(&self, count: usize) -> Option<usize> {
        let end = self.end();
        let total = self.bytes.len() / SIZE;
        let mut start = 0;
        for index in 0..total {
            if index < end && self.slot(index)[0] != REMOVED {
                start = index + 1;
            } else if index + 1 - start == count {
                return Some(start);
            }
        }
        None
    }

    fn put(&mut self, slot: usize, bytes: &[u8; SIZE]) {
        self.bytes[slot * SIZE..(slot + 1) * SIZE].copy_from_slice(bytes);
    }

    /// Writes the records `slots` to the store.
    fn save<S: BlockStore>(
        &self,
        store: &mut Cached<S>,
        table: &Table,
        slots: Range<usize>,
    ) -> Result<()> {
        let (start, end) = ((slots.start * SIZE) as u64, (slots.end * SIZE) as u64);
        let mut at = 0;
        for extent in self.extents(table) {
            let len = extent.end - extent.start;
            let (from, to) = (start.max(at), end.min(at + len));
            if from < to {
                let index = |n: u64| usize::try_from(n).unwrap_or(self.bytes.len());
                store
                    .write_at(extent.start + (from - at), &self.bytes[index(from)..index(to)])
                    .map_err(|e| device(table.start, e))?;
            }
            at += len;
        }
        Ok(())
    }
}

fn full(table: &Table, reason: &str) -> Error {
    Error::Usage(format!("{}: {reason}", super::place(table.start)))
}
