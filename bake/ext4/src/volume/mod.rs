//! The device with all uncommitted changes on top, and the way back when an edit fails.
//!
//! Metadata is kept by block: [`Volume::read`] shows the newest state, [`Volume::modify`] and
//! [`Volume::replace`] change it in memory. New file content is kept by reference
//! ([`pending`]). Nothing reaches the store before [`Volume::flush`].

mod pending;
mod recovered;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use self::pending::Source;
use self::pending::{Pending, Run};
pub(crate) use self::recovered::Copied;
use self::recovered::Recovered;
use crate::error::{Result, corrupt};
use crate::store::Store;
use crate::superblock::Geometry;

/// Bytes of unchanged metadata kept for reading again.
const CLEAN_BYTES: usize = 8 << 20;

/// One block of metadata; cheap to clone.
pub(crate) type Block = Arc<[u8]>;

pub(crate) struct Volume<S: Store> {
    store: S,
    block_size: usize,
    blocks: u64,
    dirty: BTreeMap<u64, Block>,
    clean: RefCell<BTreeMap<u64, Block>>,
    /// What `dirty` held before the current edit, for the blocks that edit touched.
    before: BTreeMap<u64, Option<Block>>,
    pending: Pending<S::Payload>,
    /// Blocks whose newest state on the device is their copy in the journal.
    recovered: Recovered,
}

impl<S: Store> Volume<S> {
    pub(crate) fn new(store: S, geometry: &Geometry) -> Self {
        Self {
            store,
            block_size: geometry.block_size as usize,
            blocks: geometry.blocks,
            dirty: BTreeMap::new(),
            clean: RefCell::default(),
            before: BTreeMap::new(),
            pending: Pending::default(),
            recovered: Recovered::default(),
        }
    }

    /// Bytes of a block.
    pub(crate) fn block_size(&self) -> usize {
        self.block_size
    }

    /// The device below, as last committed.
    pub(crate) fn store(&self) -> &S {
        &self.store
    }

    /// Gives the device back; what was not committed is lost.
    pub(crate) fn into_store(self) -> S {
        self.store
    }

    /// The file system now has `blocks` blocks.
    pub(crate) fn set_blocks(&mut self, blocks: u64) {
        self.blocks = blocks;
    }

    fn offset(&self, block: u64) -> Result<u64> {
        if block < self.blocks {
            Ok(block * self.block_size as u64)
        } else {
            Err(corrupt(format!("block {block}"), "lies beyond the end of the file system"))
        }
    }

    /// A metadata block in its newest state.
    pub(crate) fn read(&self, block: u64) -> Result<Block> {
        if let Some(found) = self.dirty.get(&block) {
            return Ok(found.clone());
        }
        if let Some(found) = self.clean.borrow().get(&block) {
            return Ok(found.clone());
        }
        let mut bytes = vec![0; self.block_size];
        self.offset(block)?;
        if let Some((start, run)) = self.pending.covering(block) {
            run.read((block - start) * self.block_size as u64, &mut bytes)?;
            return Ok(bytes.into());
        }
        self.recovered.read(&self.store, block, &mut bytes)?;
        let bytes: Block = bytes.into();
        let mut clean = self.clean.borrow_mut();
        if clean.len() >= CLEAN_BYTES / self.block_size {
            clean.clear();
        }
        clean.insert(block, bytes.clone());
        Ok(bytes)
    }

    /// A metadata block, to be changed in part.
    pub(crate) fn modify(&mut self, block: u64) -> Result<&mut [u8]> {
        let old = self.dirty.get(&block).cloned();
        if old.is_none() {
            let bytes = self.read(block)?;
            self.clean.get_mut().remove(&block);
            self.dirty.insert(block, bytes);
        }
        self.before.entry(block).or_insert(old);
        match self.dirty.get_mut(&block) {
            Some(bytes) => Ok(Arc::make_mut(bytes)),
            None => Err(corrupt(format!("block {block}"), "vanished from the cache")),
        }
    }

    /// Sets a metadata block as a whole; `bytes` must be one block long.
    pub(crate) fn replace(&mut self, block: u64, bytes: Vec<u8>) -> Result<()> {
        self.offset(block)?;
        debug_assert_eq!(bytes.len(), self.block_size);
        self.clean.get_mut().remove(&block);
        let old = self.dirty.insert(block, bytes.into());
        self.before.entry(block).or_insert(old);
        Ok(())
    }

    /// Drops everything uncommitted about blocks that changed hands (were freed or allocated).
    pub(crate) fn forget(&mut self, start: u64, len: u64) {
        let touched: Vec<u64> = self.dirty.range(start..start + len).map(|(&n, _)| n).collect();
        for block in touched {
            let old = self.dirty.remove(&block);
            self.before.entry(block).or_insert(old);
        }
        self.pending.remove(start, len, self.block_size as u64);
    }

    /// Whether a metadata block differs from the store.
    pub(crate) fn is_dirty(&self, block: u64) -> bool {
        self.dirty.contains_key(&block)
    }

    /// Whether anything at all differs from the store.
    pub(crate) fn is_changed(&self) -> bool {
        !self.dirty.is_empty() || !self.pending.is_empty() || !self.recovered.is_empty()
    }

    /// Content for newly allocated blocks: `blocks` blocks at `start` are those of `source` from
    /// byte `from`, padded with zeros where it ends.
    pub(crate) fn supply(
        &mut self,
        start: u64,
        blocks: u64,
        source: Arc<Source<S::Payload>>,
        from: u64,
    ) {
        self.pending.insert(start, Run { blocks, source, from });
    }

    /// Reads file content: `buf.len()` bytes from byte `offset` of the device, newest state.
    pub(crate) fn read_data(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let bs = self.block_size as u64;
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            let (block, skip) = (at / bs, at % bs);
            let rest = &mut buf[done..];
            done += if let Some(bytes) = self.dirty.get(&block) {
                let skip = usize::try_from(skip).unwrap_or(0);
                let now = rest.len().min(bytes.len() - skip);
                rest[..now].copy_from_slice(&bytes[skip..skip + now]);
                now
            } else if let Some((start, run)) = self.pending.covering(block) {
                let now = limit(rest.len(), (start + run.blocks) * bs - at);
                run.read(at - start * bs, &mut rest[..now])?;
                now
            } else if self.recovered.holds(block) {
                let skip = usize::try_from(skip).unwrap_or(0);
                let mut bytes = vec![0; self.block_size];
                self.recovered.read(&self.store, block, &mut bytes)?;
                let now = rest.len().min(bytes.len() - skip);
                rest[..now].copy_from_slice(&bytes[skip..skip + now]);
                now
            } else {
                let next = self.dirty.range(block..).next().map(|(&n, _)| n);
                let stop = [next, self.pending.next_start(block), self.recovered.next(block)];
                let stop = stop.into_iter().flatten().min();
                let now = limit(rest.len(), stop.map_or(u64::MAX, |stop| stop * bs - at));
                self.offset((at + now as u64 - 1) / bs)?;
                self.store.read_at(at, &mut rest[..now])?;
                now
            };
        }
        Ok(())
    }

    /// Takes in what a journal holds: the newest state of each block on the device is its copy.
    pub(crate) fn recover(&mut self, copies: BTreeMap<u64, Copied>) -> Result<()> {
        if let Some(&last) = copies.keys().next_back() {
            self.offset(last)?;
        }
        self.clean.get_mut().clear();
        self.recovered = Recovered::new(copies);
        Ok(())
    }

    /// An edit begins or has succeeded: there is nothing to go back to.
    pub(crate) fn accept(&mut self) {
        self.before.clear();
        self.pending.accept();
    }

    /// An edit failed: everything is as before it.
    pub(crate) fn rollback(&mut self) {
        for (block, old) in std::mem::take(&mut self.before) {
            match old {
                Some(bytes) => self.dirty.insert(block, bytes),
                None => self.dirty.remove(&block),
            };
        }
        self.pending.rollback();
    }

    /// Writes content, then metadata. On failure everything stays pending, to be tried again.
    pub(crate) fn flush(&mut self) -> Result<()> {
        let bs = self.block_size as u64;
        self.recovered.write(&mut self.store, self.block_size)?;
        for (start, run) in self.pending.iter() {
            run.write(&mut self.store, start * bs, bs)?;
        }
        for (&block, bytes) in &self.dirty {
            self.store.write_at(block * bs, bytes)?;
        }
        Ok(())
    }

    /// All that was flushed is now on the device.
    pub(crate) fn committed(&mut self) {
        self.dirty.clear();
        self.clean.get_mut().clear();
        self.before.clear();
        self.pending = Pending::default();
        self.recovered = Recovered::default();
    }
}

fn limit(len: usize, most: u64) -> usize {
    usize::try_from(most).map_or(len, |most| len.min(most))
}
