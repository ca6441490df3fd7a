//! Replay of an internal journal.

use std::collections::BTreeMap;

use crate::error::{Result, corrupt, unsupported};
use crate::features::{compat, incompat};
use crate::fs::Ext4;
use crate::journal;
use crate::map::FileMap;
use crate::store::Store;
use crate::superblock::{OFFSET, SIZE, Superblock};
use crate::volume::Copied;

impl<S: Store> Ext4<S> {
    /// Replays the journal where it needs recovery, and leaves it clean and empty as `e2fsck`
    /// does.
    pub(crate) fn replay_journal(mut self) -> Result<Self> {
        let needed = self.sb.has_incompat(incompat::RECOVER);
        if !self.sb.has_compat(compat::HAS_JOURNAL) {
            return match needed {
                true => Err(corrupt("superblock", "needs recovery, but has no journal")),
                false => Ok(self),
            };
        }
        let number = self.sb.journal_inode();
        if number == 0 {
            return match needed {
                true => Err(unsupported("recovery from a journal on another device")),
                false => Ok(self),
            };
        }
        let inode = self.live_inode(number)?;
        let map = self.file_map(number, &inode)?;
        let g = self.sb.geometry;
        let blocks = u32::try_from(inode.size() / u64::from(g.block_size)).unwrap_or(u32::MAX);
        let read = |logical: u32, buf: &mut [u8]| {
            buf.copy_from_slice(&self.volume.read(place(&map, logical)?)?);
            Ok(())
        };
        let recovery = journal::recover(g.block_size, blocks, &read)?;
        if !needed {
            return match recovery.dirty {
                true => Err(corrupt(
                    "superblock",
                    "the journal holds changes, but is not marked as needing recovery: run e2fsck",
                )),
                false => Ok(self),
            };
        }
        let mut copies = BTreeMap::new();
        for (block, source) in recovery.copies {
            if block >= g.blocks || owns(&map, block) {
                let reason = format!("a copy of block {block}, which cannot be");
                return Err(corrupt("journal", reason));
            }
            let copy = Copied { block: place(&map, source.block)?, escaped: source.escaped };
            copies.insert(block, copy);
        }
        self.volume.recover(copies)?;
        let first = place(&map, 0)?;
        self.volume.modify(first)?[..SIZE].copy_from_slice(&recovery.superblock);
        self.reread()
    }

    /// Parses superblock and descriptors again, with the journal's changes in them.
    fn reread(mut self) -> Result<Self> {
        let block_size = u64::from(self.sb.geometry.block_size);
        let block = self.volume.read(OFFSET / block_size)?;
        let at = usize::try_from(OFFSET % block_size).unwrap_or(0);
        let mut raw = [0; SIZE];
        raw.copy_from_slice(&block[at..at + SIZE]);
        let mut sb = Superblock::parse(&raw, self.volume.store().len())?;
        if sb.geometry.block_size != self.sb.geometry.block_size {
            return Err(corrupt("journal", "it holds a superblock of another file system"));
        }
        sb.set_incompat(incompat::RECOVER, false);
        self.volume.set_blocks(sb.geometry.blocks);
        Self::assemble(self.volume, sb)
    }
}

/// Device block of a block of the journal.
fn place(map: &FileMap, logical: u32) -> Result<u64> {
    let after = map.extents.partition_point(|extent| extent.logical <= logical);
    let extent = after.checked_sub(1).map(|n| map.extents[n]);
    match extent.filter(|extent| logical - extent.logical < extent.len) {
        Some(extent) => Ok(extent.start + u64::from(logical - extent.logical)),
        None => Err(corrupt("journal", format!("has a hole at its block {logical}"))),
    }
}

/// Whether a block of the device is one of the file's.
fn owns(map: &FileMap, block: u64) -> bool {
    let within = |start: u64, len: u32| block >= start && block - start < u64::from(len);
    map.tree.contains(&block) || map.extents.iter().any(|extent| within(extent.start, extent.len))
}
