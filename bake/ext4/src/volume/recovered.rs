//! Blocks to be replayed from the journal. Their copies stay where they are until the commit, so
//! that the largest journal costs a few bytes a block.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::journal::JOURNAL_MAGIC;
use crate::store::Store;

/// The copy of a block in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Copied {
    /// Block of the device the copy lies in.
    pub(crate) block: u64,
    /// Its first four bytes must be the journal's magic number, not the zeros found there.
    pub(crate) escaped: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Recovered(BTreeMap<u64, Copied>);

impl Recovered {
    pub(crate) fn new(copies: BTreeMap<u64, Copied>) -> Self {
        Self(copies)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a block has a copy.
    pub(crate) fn holds(&self, block: u64) -> bool {
        self.0.contains_key(&block)
    }

    /// The first block after `block` that has a copy.
    pub(crate) fn next(&self, block: u64) -> Option<u64> {
        self.0.range(block + 1..).next().map(|(&next, _)| next)
    }

    /// Fills `buf`, one block long, with the newest state of `block` on the device.
    pub(crate) fn read<S: Store>(&self, store: &S, block: u64, buf: &mut [u8]) -> Result<()> {
        let len = buf.len() as u64;
        let Some(copy) = self.0.get(&block) else {
            return Ok(store.read_at(block * len, buf)?);
        };
        store.read_at(copy.block * len, buf)?;
        if copy.escaped {
            buf[..4].copy_from_slice(&JOURNAL_MAGIC.to_be_bytes());
        }
        Ok(())
    }

    /// Puts every copy in its place.
    pub(crate) fn write<S: Store>(&self, store: &mut S, block_size: usize) -> Result<()> {
        let mut bytes = vec![0; block_size];
        for &block in self.0.keys() {
            self.read(store, block, &mut bytes)?;
            store.write_at(block * block_size as u64, &bytes)?;
        }
        Ok(())
    }
}
