//! Bringing everything to the device: sums, descriptors, superblock and their copies, then one
//! pass over all that changed.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::bitmap;
use crate::error::Result;
use crate::fs::Ext4;
use crate::store::Store;
use crate::superblock::{self, SIZE};

impl<S: Store> Ext4<S> {
    pub(crate) fn write_everything(&mut self) -> Result<()> {
        let sb_changed = self.sb.raw() != self.committed.raw();
        if !self.volume.is_changed() && self.groups.dirty().is_empty() && !sb_changed {
            return Ok(());
        }
        self.sb.settle_hash_sign();
        self.sb.set_write_time(self.clock);
        self.seal_bitmaps()?;
        self.write_descriptors()?;
        self.write_superblocks()?;
        self.volume.flush()?;
        self.volume.committed();
        self.groups.committed();
        self.accept();
        self.committed = self.sb.clone();
        Ok(())
    }

    /// Groups with copies of superblock and descriptors, the first left out.
    fn copies(&self) -> Vec<u32> {
        (1..self.sb.geometry.groups).filter(|&group| self.sb.has_super(group)).collect()
    }

    /// Renews the blocks of the descriptor table in which a descriptor changed, and their copies.
    fn write_descriptors(&mut self) -> Result<()> {
        let g = self.sb.geometry;
        let per_block = g.block_size / g.desc_size;
        let blocks: BTreeSet<u32> =
            self.groups.dirty().iter().map(|group| group / per_block).collect();
        let copies = self.copies();
        for n in blocks {
            let first = g.group_start(0) + 1 + u64::from(n);
            let mut table = self.volume.read(first)?.to_vec();
            let groups = n * per_block..g.groups.min((n + 1) * per_block);
            for (group, slot) in groups.zip(table.chunks_exact_mut(g.desc_size as usize)) {
                slot.copy_from_slice(&self.groups.get(group).encode(&self.sb, group));
            }
            for &group in &copies {
                let copy = g.group_start(group) + 1 + u64::from(n);
                self.volume.replace(copy, table.clone())?;
            }
            self.volume.replace(first, table)?;
        }
        Ok(())
    }

    fn write_superblocks(&mut self) -> Result<()> {
        let g = self.sb.geometry;
        for group in self.copies() {
            let bytes = self.sb.encode_backup(group);
            self.volume.modify(g.group_start(group))?[..SIZE].copy_from_slice(&bytes);
        }
        let bs = u64::from(g.block_size);
        let (block, at) = (superblock::OFFSET / bs, superblock::OFFSET % bs);
        let at = usize::try_from(at).unwrap_or(0);
        let bytes = self.sb.encode();
        self.volume.modify(block)?[at..at + SIZE].copy_from_slice(&bytes);
        Ok(())
    }

    /// Byte ranges in use, from the block bitmaps.
    pub(crate) fn used_ranges(&self) -> Result<Vec<Range<u64>>> {
        let g = &self.sb.geometry;
        let mut used: Vec<Range<u64>> = Vec::new();
        let mut add = |start: u64, end: u64| match used.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => used.push(start..end),
        };
        if g.first_data_block > 0 {
            add(0, g.byte(u64::from(g.first_data_block)));
        }
        for group in 0..g.groups {
            let map = self.block_bitmap(group)?;
            let (first, end) = (g.group_start(group), g.group_blocks(group));
            let mut n = 0;
            loop {
                let start = bitmap::find(&map, n, end, true);
                if start == end {
                    break;
                }
                n = bitmap::find(&map, start, end, false);
                add(g.byte(first + u64::from(start)), g.byte(first + u64::from(n)));
            }
        }
        Ok(used)
    }
}
