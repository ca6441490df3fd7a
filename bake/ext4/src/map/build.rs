//! Writing the tree or map of a file anew from the list of its blocks. Only directories ever grow,
//! a block at a time; everything else is written once, so trees are always packed.

use super::block_map::{DIRECT, level, reach};
use super::extents::{ENTRY, MAGIC, MAX_LEN, capacity};
use super::{Extent, FileMap};
use crate::alloc::Run;
use crate::bytes::{high32, low16, low32, put16, put32};
use crate::csum::crc32c;
use crate::error::{Error, Result, corrupt};
use crate::features::ro_compat;
use crate::fs::Ext4;
use crate::inode::{FLAG_EXTENTS, Inode};
use crate::store::Store;

/// Tree blocks that can be used again, and where new ones should be.
struct Supply {
    old: std::vec::IntoIter<u64>,
    goal: u64,
    used: u64,
}

/// One entry of a node being built: a subtree or an extent, by its first block in the file.
#[derive(Clone, Copy)]
enum Item {
    Extent(Extent),
    Node { logical: u32, block: u64 },
}

impl<S: Store> Ext4<S> {
    /// Largest file in bytes that can be mapped in the way new files are.
    pub(crate) fn max_file_size(&self) -> u64 {
        let bs = self.volume.block_size() as u64;
        let blocks = u64::from(u32::MAX);
        if self.uses_extents() {
            blocks * bs
        } else {
            let sectors = if self.sb.has_ro_compat(ro_compat::HUGE_FILE) { 48 } else { 32 };
            (blocks.min(reach(self.volume.block_size())) * bs).min(1 << (sectors + 8))
        }
    }

    /// Starts an empty map of the kind new files have.
    pub(crate) fn start_map(&self, inode: &mut Inode) {
        inode.block_area_mut().fill(0);
        if self.uses_extents() {
            inode.set_flags(inode.flags() | FLAG_EXTENTS);
            let area = inode.block_area_mut();
            put16(area, 0, MAGIC);
            put16(area, 4, 4);
        }
    }

    /// Gives an inode the blocks in `map.extents`. The blocks in `map.tree` hold its tree now and
    /// are used again or freed. Sets `i_block` and `i_blocks`.
    pub(crate) fn set_map(&mut self, number: u32, inode: &mut Inode, map: FileMap) -> Result<()> {
        let data = map.data_blocks();
        let goal = match map.extents.last() {
            Some(last) => last.start + u64::from(last.len),
            None => self.inode_goal(number),
        };
        let mut supply = Supply { old: map.tree.into_iter(), goal, used: 0 };
        if inode.has_extents() {
            self.build_extents(number, inode, &map.extents, &mut supply)?;
        } else {
            self.build_block_map(inode, &map.extents, &mut supply)?;
        }
        for unused in supply.old {
            self.free(unused, 1)?;
        }
        let xattr = u64::from(inode.file_acl() != 0);
        let blocks = data + supply.used + xattr;
        self.set_block_count(inode, blocks)
    }

    /// Sets `i_blocks` to a number of file system blocks.
    pub(crate) fn set_block_count(&self, inode: &mut Inode, blocks: u64) -> Result<()> {
        let huge = self.sb.has_ro_compat(ro_compat::HUGE_FILE);
        let bs = self.volume.block_size();
        if inode.set_blocks(blocks, bs, huge) {
            return Ok(());
        }
        let size = blocks.saturating_mul(bs as u64);
        Err(Error::TooLarge { what: "file", size, limit: 1 << 41 })
    }

    fn tree_block(&mut self, supply: &mut Supply) -> Result<u64> {
        supply.used += 1;
        if let Some(block) = supply.old.next() {
            return Ok(block);
        }
        let block = self.allocate_one(supply.goal)?;
        supply.goal = block + 1;
        Ok(block)
    }

    fn build_extents(
        &mut self,
        number: u32,
        inode: &mut Inode,
        extents: &[Extent],
        supply: &mut Supply,
    ) -> Result<()> {
        let seed = inode.seed(self.seed, number);
        let mut items: Vec<Item> = split(extents).map(Item::Extent).collect();
        let mut depth = 0;
        while items.len() > capacity(inode.block_area().len()) {
            let mut above = Vec::new();
            for chunk in items.chunks(capacity(self.volume.block_size())) {
                let block = self.tree_block(supply)?;
                let mut node = vec![0; self.volume.block_size()];
                fill_node(&mut node, chunk, depth);
                let tail = ENTRY * (capacity(node.len()) + 1);
                if self.sb.metadata_csum() {
                    let sum = crc32c(seed, &node[..tail]);
                    put32(&mut node, tail, sum);
                }
                self.volume.replace(block, node)?;
                above.push(Item::Node { logical: chunk[0].logical(), block });
            }
            items = above;
            depth += 1;
        }
        let area = inode.block_area_mut();
        area.fill(0);
        fill_node(area, &items, depth);
        Ok(())
    }

    fn build_block_map(
        &mut self,
        inode: &mut Inode,
        extents: &[Extent],
        supply: &mut Supply,
    ) -> Result<()> {
        let mut area = [0; 60];
        let last = extents.last().map_or(0, |last| u64::from(last.logical) + u64::from(last.len));
        if last > reach(self.volume.block_size()) {
            return Err(corrupt("block map", "a block beyond the reach of the map"));
        }
        for n in 0..DIRECT {
            put32(&mut area, 4 * n as usize, pointer(extents, n)?);
        }
        for depth in 1..=3 {
            let (first, span) = level(self.volume.block_size(), depth);
            let block = self.build_pointers(extents, first, span, supply)?;
            put32(&mut area, 4 * (DIRECT + depth - 1) as usize, block);
        }
        inode.block_area_mut().copy_from_slice(&area);
        Ok(())
    }

    /// Block of pointers that cover `span` blocks each from `first` on; 0 where there are none.
    fn build_pointers(
        &mut self,
        extents: &[Extent],
        first: u64,
        span: u64,
        supply: &mut Supply,
    ) -> Result<u32> {
        let p = self.volume.block_size() as u64 / 4;
        if !any_within(extents, first, first + p * span) {
            return Ok(0);
        }
        let block = self.tree_block(supply)?;
        let mut node = vec![0; self.volume.block_size()];
        for (n, slot) in (0..).zip(node.chunks_exact_mut(4)) {
            let at = first + n * span;
            let value = if span > 1 {
                self.build_pointers(extents, at, span / p, supply)?
            } else if let Ok(logical) = u32::try_from(at) {
                pointer(extents, logical)?
            } else {
                0
            };
            put32(slot, 0, value);
        }
        self.volume.replace(block, node)?;
        narrow(block)
    }

    /// The extents of new content that was allocated as `runs`.
    pub(crate) fn laid_out(runs: &[Run]) -> Vec<Extent> {
        let mut logical = 0;
        let place = |run: &Run| {
            let extent = Extent { logical, start: run.start, len: run.len, unwritten: false };
            logical += run.len;
            extent
        };
        runs.iter().map(place).collect()
    }
}

impl Item {
    fn logical(&self) -> u32 {
        match self {
            Self::Extent(extent) => extent.logical,
            Self::Node { logical, .. } => *logical,
        }
    }
}

/// Extents no longer than the format allows.
fn split(extents: &[Extent]) -> impl Iterator<Item = Extent> {
    extents.iter().flat_map(|&extent| {
        let most = if extent.unwritten { MAX_LEN - 1 } else { MAX_LEN };
        (0..extent.len.div_ceil(most)).map(move |n| Extent {
            logical: extent.logical + n * most,
            start: extent.start + u64::from(n * most),
            len: (extent.len - n * most).min(most),
            unwritten: extent.unwritten,
        })
    })
}

/// Writes header and entries of a node; the rest must be zero.
fn fill_node(node: &mut [u8], items: &[Item], depth: u16) {
    put16(node, 0, MAGIC);
    put16(node, 2, low16(u32::try_from(items.len()).unwrap_or(0)));
    put16(node, 4, low16(u32::try_from(capacity(node.len())).unwrap_or(0)));
    put16(node, 6, depth);
    for (item, entry) in items.iter().zip(node[ENTRY..].chunks_exact_mut(ENTRY)) {
        put32(entry, 0, item.logical());
        match item {
            Item::Extent(extent) => {
                let flag = if extent.unwritten { MAX_LEN } else { 0 };
                put16(entry, 4, low16(extent.len + flag));
                put16(entry, 6, low16(high32(extent.start)));
                put32(entry, 8, low32(extent.start));
            }
            Item::Node { block, .. } => {
                put32(entry, 4, low32(*block));
                put16(entry, 8, low16(high32(*block)));
            }
        }
    }
}

/// Device block of one block of a file; 0 in a hole.
fn pointer(extents: &[Extent], logical: u32) -> Result<u32> {
    let after = extents.partition_point(|extent| extent.logical <= logical);
    let Some(extent) = after.checked_sub(1).map(|n| extents[n]) else { return Ok(0) };
    let skip = logical - extent.logical;
    if skip >= extent.len { Ok(0) } else { narrow(extent.start + u64::from(skip)) }
}

fn any_within(extents: &[Extent], first: u64, end: u64) -> bool {
    let after = extents.partition_point(|e| u64::from(e.logical) + u64::from(e.len) <= first);
    extents.get(after).is_some_and(|extent| u64::from(extent.logical) < end)
}

fn narrow(block: u64) -> Result<u32> {
    u32::try_from(block).map_err(|_| corrupt("block map", "a block beyond 2^32"))
}
