//! File content that waits for the commit: runs of blocks and where their bytes come from.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::Result;
use crate::store::{Payload, Store};

/// Where new content comes from.
pub(crate) enum Source<P> {
    Bytes(Vec<u8>),
    Payload(P),
}

impl<P: Payload> Source<P> {
    /// Length in bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Payload(payload) => payload.len(),
        }
    }
}

pub(crate) struct Run<P> {
    pub(crate) blocks: u64,
    pub(crate) source: Arc<Source<P>>,
    /// Byte of the source the run begins with.
    pub(crate) from: u64,
}

impl<P> Run<P> {
    fn part(&self, skip: u64, blocks: u64, block_size: u64) -> Self {
        Self { blocks, source: self.source.clone(), from: self.from + skip * block_size }
    }
}

impl<P: Payload> Run<P> {
    /// Reads from byte `skip` of the run; zeros follow the end of the source.
    pub(crate) fn read(&self, skip: u64, buf: &mut [u8]) -> Result<()> {
        let from = self.from + skip;
        let have = self.source.len().saturating_sub(from);
        let have = usize::try_from(have).map_or(buf.len(), |have| have.min(buf.len()));
        let (content, padding) = buf.split_at_mut(have);
        padding.fill(0);
        match &*self.source {
            Source::Bytes(bytes) => {
                let from = usize::try_from(from).unwrap_or(bytes.len()).min(bytes.len());
                content.copy_from_slice(&bytes[from..from + have]);
            }
            Source::Payload(payload) if have > 0 => payload.read_at(from, content)?,
            Source::Payload(_) => {}
        }
        Ok(())
    }

    /// Writes the run to the device at byte `offset`.
    pub(crate) fn write<S: Store<Payload = P>>(
        &self,
        store: &mut S,
        offset: u64,
        block_size: u64,
    ) -> Result<()> {
        let all = self.blocks * block_size;
        let have = self.source.len().saturating_sub(self.from).min(all);
        if have > 0 {
            match &*self.source {
                Source::Bytes(bytes) => {
                    let from = usize::try_from(self.from).unwrap_or(bytes.len());
                    let len = usize::try_from(have).unwrap_or(0);
                    store.write_at(offset, &bytes[from..from + len])?;
                }
                Source::Payload(payload) => store.place(offset, payload, self.from, have)?,
            }
        }
        if have < all {
            store.zero(offset + have, all - have)?;
        }
        Ok(())
    }
}

enum Undo<P> {
    Inserted(u64),
    Removed(u64, Run<P>),
}

/// Runs by their first block; they never overlap.
pub(crate) struct Pending<P> {
    runs: BTreeMap<u64, Run<P>>,
    undo: Vec<Undo<P>>,
}

impl<P> Default for Pending<P> {
    fn default() -> Self {
        Self { runs: BTreeMap::new(), undo: Vec::new() }
    }
}

impl<P> Pending<P> {
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Run<P>)> {
        self.runs.iter().map(|(&start, run)| (start, run))
    }

    /// The run that holds `block`, with its first block.
    pub(crate) fn covering(&self, block: u64) -> Option<(u64, &Run<P>)> {
        let (&start, run) = self.runs.range(..=block).next_back()?;
        (block - start < run.blocks).then_some((start, run))
    }

    /// First block of the first run after `block`.
    pub(crate) fn next_start(&self, block: u64) -> Option<u64> {
        self.runs.range(block + 1..).next().map(|(&start, _)| start)
    }

    /// Adds a run where none is.
    pub(crate) fn insert(&mut self, start: u64, run: Run<P>) {
        self.undo.push(Undo::Inserted(start));
        self.runs.insert(start, run);
    }

    /// Removes all of `start..start + len`, cutting runs that reach beyond.
    pub(crate) fn remove(&mut self, start: u64, len: u64, block_size: u64) {
        let end = start + len;
        loop {
            let hit = self.covering(start).map(|(first, _)| first);
            let next = || self.runs.range(start..end).next().map(|(&first, _)| first);
            let Some(first) = hit.or_else(next) else { return };
            let Some(run) = self.runs.remove(&first) else { return };
            let (run_end, blocks) = (first + run.blocks, run.blocks);
            let keep_left = (first < start).then(|| run.part(0, start - first, block_size));
            let keep_right = (run_end > end)
                .then(|| run.part(blocks - (run_end - end), run_end - end, block_size));
            self.undo.push(Undo::Removed(first, run));
            if let Some(left) = keep_left {
                self.insert(first, left);
            }
            if let Some(right) = keep_right {
                self.insert(end, right);
            }
        }
    }

    /// An edit begins or has succeeded.
    pub(crate) fn accept(&mut self) {
        self.undo.clear();
    }

    /// An edit failed: takes its changes back, last first.
    pub(crate) fn rollback(&mut self) {
        while let Some(step) = self.undo.pop() {
            match step {
                Undo::Inserted(start) => {
                    self.runs.remove(&start);
                }
                Undo::Removed(start, run) => {
                    self.runs.insert(start, run);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(pending: &Pending<()>) -> Vec<(u64, u64, u64)> {
        pending.iter().map(|(start, run)| (start, run.blocks, run.from)).collect()
    }

    #[test]
    fn removal_cuts_and_rollback_restores() {
        let mut pending: Pending<()> = Pending::default();
        let source = Arc::new(Source::Bytes(Vec::new()));
        pending.insert(10, Run { blocks: 10, source: source.clone(), from: 0 });
        pending.insert(30, Run { blocks: 5, source, from: 512 });
        pending.accept();
        let before = shape(&pending);
        pending.remove(12, 3, 100);
        assert_eq!(shape(&pending), [(10, 2, 0), (15, 5, 500), (30, 5, 512)]);
        pending.remove(16, 20, 100);
        assert_eq!(shape(&pending), [(10, 2, 0), (15, 1, 500)]);
        pending.rollback();
        assert_eq!(shape(&pending), before);
    }
}
