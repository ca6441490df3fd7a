//! Reading direct, indirect, double and triple indirect block maps (kernel documentation, ext4
//! "Direct/Indirect Block Addressing"). A zero is a hole.

use super::{Extent, FileMap, Mapping};
use crate::bytes::le32;
use crate::error::{Result, corrupt};
use crate::fs::Ext4;
use crate::inode::Inode;
use crate::store::Store;

/// Pointers in the inode that name content.
pub(crate) const DIRECT: u32 = 12;

/// Blocks covered by the whole map: 12 + p + p² + p³ for p pointers a block.
pub(crate) fn reach(block_size: usize) -> u64 {
    let p = block_size as u64 / 4;
    u64::from(DIRECT) + p + p * p + p * p * p
}

/// First block covered by root pointer 12 + `level` - 1, and blocks covered by one of its entries.
pub(crate) fn level(block_size: usize, level: u32) -> (u64, u64) {
    let p = block_size as u64 / 4;
    match level {
        1 => (u64::from(DIRECT), 1),
        2 => (u64::from(DIRECT) + p, p),
        _ => (u64::from(DIRECT) + p + p * p, p * p),
    }
}

impl<S: Store> Ext4<S> {
    /// The whole map.
    pub(super) fn block_map(&self, number: u32, inode: &Inode) -> Result<FileMap> {
        let mut map = FileMap::default();
        let mut total = 0;
        for logical in 0..DIRECT {
            let block = le32(inode.block_area(), 4 * logical as usize);
            self.note_block(number, u64::from(logical), block, &mut map, &mut total)?;
        }
        for depth in 1..=3 {
            let block = le32(inode.block_area(), 4 * (DIRECT + depth - 1) as usize);
            let (first, span) = level(self.volume.block_size(), depth);
            self.walk_pointers(number, block, first, span, &mut map, &mut total)?;
        }
        Ok(map)
    }

    /// One indirect block whose entries cover `span` blocks each, from `first` on.
    fn walk_pointers(
        &self,
        number: u32,
        block: u32,
        first: u64,
        span: u64,
        map: &mut FileMap,
        total: &mut u64,
    ) -> Result<()> {
        if block == 0 {
            return Ok(());
        }
        self.require_file_blocks(number, u64::from(block), 1)?;
        self.count_block(number, total)?;
        map.tree.push(u64::from(block));
        let node = self.volume.read(u64::from(block))?;
        let p = self.volume.block_size() as u64 / 4;
        for (n, pointer) in (0..).zip(node.chunks_exact(4)) {
            let pointer = le32(pointer, 0);
            let logical = first + n * span;
            if pointer == 0 {
                continue;
            }
            if span == 1 {
                self.note_block(number, logical, pointer, map, total)?;
            } else {
                self.walk_pointers(number, pointer, logical, span / p, map, total)?;
            }
        }
        Ok(())
    }

    fn note_block(
        &self,
        number: u32,
        logical: u64,
        block: u32,
        map: &mut FileMap,
        total: &mut u64,
    ) -> Result<()> {
        if block == 0 {
            return Ok(());
        }
        self.require_file_blocks(number, u64::from(block), 1)?;
        self.count_block(number, total)?;
        let logical = u32::try_from(logical)
            .map_err(|_| corrupt(format!("inode {number}"), "maps a block beyond 2^32"))?;
        map.push(Extent { logical, start: u64::from(block), len: 1, unwritten: false });
        Ok(())
    }

    /// A map that names one block again and again would otherwise grow without bound.
    fn count_block(&self, number: u32, total: &mut u64) -> Result<()> {
        *total += 1;
        if *total > self.sb.geometry.blocks {
            let reason = "maps more blocks than the file system has";
            return Err(corrupt(format!("inode {number}"), reason));
        }
        Ok(())
    }

    /// One block of the file, and those after it that lie in the same pointer block.
    pub(super) fn find_in_block_map(
        &self,
        number: u32,
        inode: &Inode,
        logical: u32,
    ) -> Result<Mapping> {
        let p = self.volume.block_size() as u64 / 4;
        if logical < DIRECT {
            let table = inode.block_area()[..4 * DIRECT as usize].to_vec();
            return self.pointer_run(number, &table, u64::from(logical));
        }
        let depth = (1..=3).rev().find(|&n| u64::from(logical) >= level(p as usize * 4, n).0);
        let depth = depth.unwrap_or(1);
        let (first, mut span) = level(self.volume.block_size(), depth);
        let mut rest = u64::from(logical) - first;
        let mut block = le32(inode.block_area(), 4 * (DIRECT + depth - 1) as usize);
        if rest / span >= p {
            return Ok(Mapping { start: None, len: 1 });
        }
        loop {
            if block == 0 {
                let len = (p * span - rest).min(u64::from(u32::MAX));
                return Ok(Mapping { start: None, len: crate::bytes::low32(len) });
            }
            self.require_file_blocks(number, u64::from(block), 1)?;
            let node = self.volume.read(u64::from(block))?;
            if span == 1 {
                return self.pointer_run(number, &node, rest);
            }
            block = le32(&node, usize::try_from(rest / span).unwrap_or(0) * 4);
            rest %= span;
            span /= p;
        }
    }

    /// Entry `index` of a table of pointers, and how many after it continue it.
    fn pointer_run(&self, number: u32, table: &[u8], index: u64) -> Result<Mapping> {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let mut pointers = table.chunks_exact(4).skip(index).map(|pointer| le32(pointer, 0));
        let Some(first) = pointers.next() else { return Ok(Mapping { start: None, len: 1 }) };
        let step = u64::from(first != 0);
        let follows = |(n, next): &(u64, u32)| u64::from(*next) == u64::from(first) + n * step;
        let len = 1 + (1_u64..).zip(pointers).take_while(follows).count();
        let len = u32::try_from(len).unwrap_or(1);
        if first == 0 {
            return Ok(Mapping { start: None, len });
        }
        self.require_file_blocks(number, u64::from(first), len)?;
        Ok(Mapping { start: Some(u64::from(first)), len })
    }
}
