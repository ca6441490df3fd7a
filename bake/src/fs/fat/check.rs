//! Consistency of a whole FAT file system, read only.

use std::collections::BTreeSet;

use super::boot::{Root, u32_at};
use super::directory::{Directory, Item, Place};
use super::name::{fold, show};
use super::record::{LongName, REMOVED};
use super::table::{Link, Run, Table};
use super::{device, place};
use crate::error::{Error, Result};
use crate::store::{BlockStore, Cached};

/// More faults than this are not listed.
const MOST_FAULTS: usize = 100;

struct Check<'a, S> {
    store: &'a Cached<S>,
    table: &'a Table,
    /// One bit a cluster, set where some chain has it.
    seen: Vec<u64>,
    faults: Vec<String>,
}

/// Every fault found; none means sound.
pub(super) fn check<S: BlockStore>(store: &Cached<S>, table: &Table) -> Result<Vec<String>> {
    let seen = vec![0; table.boot.end as usize / 64 + 1];
    let mut check = Check { store, table, seen, faults: Vec::new() };
    check.copies()?;
    check.info()?;
    check.tree()?;
    check.lost()?;
    Ok(check.faults)
}

impl<S: BlockStore> Check<'_, S> {
    fn fault(&mut self, text: String) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(format!("{}: {text}", place(self.table.start)));
        }
    }

    fn read(&self, at: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.store.read_at(at, &mut bytes).map_err(|e| device(self.table.start, e))?;
        Ok(bytes)
    }

    /// The tables are the same, and begin with the media byte.
    fn copies(&mut self) -> Result<()> {
        const STEP: u64 = 64 * 1024;
        let boot = self.table.boot.clone();
        if self.read(boot.tables, 1)?[0] != boot.media {
            self.fault("the allocation table does not begin with the media byte".into());
        }
        for copy in (1..boot.copies).filter(|_| boot.active.is_none()) {
            let mut at = 0;
            while at < boot.table_len {
                let len = usize::try_from(STEP.min(boot.table_len - at)).unwrap_or(0);
                let other = boot.tables + copy * boot.table_len + at;
                if self.read(boot.tables + at, len)? != self.read(other, len)? {
                    self.fault(format!("allocation tables 1 and {} differ", copy + 1));
                    break;
                }
                at += STEP;
            }
        }
        Ok(())
    }

    /// FSInfo counts right; the copy of the boot sector is one (but for the mounted flags).
    fn info(&mut self) -> Result<()> {
        if let Some(at) = self.table.boot.info {
            let bytes = self.read(at, 512)?;
            let (free, right) = (u32_at(&bytes, 488), self.table.free_count);
            if u32_at(&bytes, 0) != 0x4161_5252 || u32_at(&bytes, 484) != 0x6141_7272 {
                self.fault("the FSInfo sector lacks its signatures".into());
            } else if free != u32::MAX && free != right && !self.store.is_dirty() {
                self.fault(format!("FSInfo says {free} clusters are free, {right} are"));
            }
        }
        if let Some(at) = self.table.boot.backup {
            let (mut first, mut second) = (self.read(0, 512)?, self.read(at, 512)?);
            let state = usize::try_from(self.table.boot.state).unwrap_or(0);
            (first[state], second[state]) = (0, 0);
            if first != second {
                self.fault("the boot sector and its copy differ".into());
            }
        }
        Ok(())
    }

    /// Walks all directories.
    fn tree(&mut self) -> Result<()> {
        let root = match self.table.boot.root {
            Root::Fixed { start, len } => Place::Fixed { start, len },
            Root::Cluster(first) => Place::Chain(first),
        };
        let mut waiting = vec![(String::new(), root, 0)];
        while let Some((path, at, parent)) = waiting.pop() {
            let name = if path.is_empty() { "/" } else { &path };
            if let Place::Chain(first) = at
                && self.claim(name, first)?.is_none()
            {
                continue;
            }
            let directory = match Directory::read(self.store, self.table, at) {
                Ok(directory) => directory,
                Err(Error::Corrupt { reason, .. }) => {
                    self.fault(format!("{name}: {reason}"));
                    continue;
                }
                Err(other) => return Err(other),
            };
            let own = match at {
                Place::Chain(first) if !path.is_empty() => first,
                _ => 0,
            };
            if own != 0 {
                self.dots(&path, &directory, own, parent);
            }
            self.names(name, &directory);
            for item in directory.items() {
                let path = format!("{path}/{}", item.name);
                if item.record.is_directory() {
                    waiting.push((path, Place::Chain(item.record.cluster()), own));
                } else {
                    self.file(&path, &item)?;
                }
            }
        }
        Ok(())
    }

    /// A subdirectory begins with `.` and `..`, which name it and its parent.
    fn dots(&mut self, path: &str, directory: &Directory, own: u32, parent: u32) {
        let first: Vec<_> = directory.records().take(2).map(|(_, r)| r).collect();
        for (index, alias, cluster) in [(0, b".          ", own), (1, b"..         ", parent)] {
            let right = first
                .get(index)
                .is_some_and(|r| r.alias() == *alias && r.is_directory() && r.cluster() == cluster);
            if !right {
                self.fault(format!("{path}: `{}` is missing or wrong", show(alias, 0)));
            }
        }
    }

    /// No name or alias twice, no long names without an entry.
    fn names(&mut self, path: &str, directory: &Directory) {
        let mut names = BTreeSet::new();
        let mut aliases = BTreeSet::new();
        for item in directory.items() {
            let name = fold(&item.name);
            if !names.insert(name) || !aliases.insert(item.record.alias()) {
                self.fault(format!("{path}: two entries are called {}", item.name));
            }
        }
        let mut long = LongName::default();
        for (index, record) in directory.records() {
            if record.0[0] != REMOVED && record.is_long() {
                long.take(index, &record.0);
                continue;
            }
            let pending = std::mem::take(&mut long);
            if pending.is_pending()
                && (record.0[0] == REMOVED || pending.finish(&record.alias()).is_none())
            {
                self.fault(format!("{path}: a long name belongs to no entry"));
            }
        }
    }

    fn file(&mut self, path: &str, item: &Item) -> Result<()> {
        let size = u64::from(item.record.size());
        let Some(runs) = self.claim(path, item.record.cluster())? else { return Ok(()) };
        let have: u64 = runs.iter().map(|r| u64::from(r.end - r.start)).sum();
        let need = self.table.boot.clusters(size);
        if have != need {
            self.fault(format!("{path}: {size} bytes need {need} clusters, it has {have}"));
        }
        Ok(())
    }

    /// Takes the chain from `first` for `path`; `None` where it cannot have it.
    fn claim(&mut self, path: &str, first: u32) -> Result<Option<Vec<Run>>> {
        let runs = match self.table.chain(self.store, first) {
            Ok(runs) => runs,
            Err(Error::Corrupt { reason, .. }) => {
                self.fault(format!("{path}: {reason}"));
                return Ok(None);
            }
            Err(other) => return Err(other),
        };
        for cluster in runs.iter().cloned().flatten() {
            let (word, bit) = (cluster as usize / 64, 1 << (cluster % 64));
            if self.seen[word] & bit != 0 {
                self.fault(format!("{path}: cluster {cluster} belongs to another file too"));
                return Ok(None);
            }
            self.seen[word] |= bit;
        }
        Ok(Some(runs))
    }

    /// Clusters that are not free belong to someone, or are bad.
    fn lost(&mut self) -> Result<()> {
        let mut lost = 0_u32;
        for cluster in 2..self.table.boot.end {
            let seen = self.seen[cluster as usize / 64] & (1 << (cluster % 64)) != 0;
            if !seen && !self.table.is_free(cluster) {
                let bad = matches!(self.table.get(self.store, cluster), Ok(Link::Bad));
                lost += u32::from(!bad);
            }
        }
        if lost > 0 {
            self.fault(format!("{lost} clusters are taken but belong to no file"));
        }
        Ok(())
    }
}
