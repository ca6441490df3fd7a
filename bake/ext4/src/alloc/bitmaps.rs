//! Loading bitmaps: checked against their descriptors, made up where the group is marked UNINIT
//! (kernel documentation, ext4 "Block and inode Bitmaps" and "Lazy Block Group Initialization").

use crate::bitmap;
use crate::bytes::low32;
use crate::error::{Result, corrupt};
use crate::fs::Ext4;
use crate::group::{BLOCK_UNINIT, INODE_UNINIT, bitmap_checksum};
use crate::store::Store;
use crate::volume::Block;

impl<S: Store> Ext4<S> {
    /// Block bitmap of a group in its newest state.
    pub(crate) fn block_bitmap(&self, group: u32) -> Result<Block> {
        let desc = self.groups.get(group);
        let g = &self.sb.geometry;
        let map: Block = if desc.is(&self.sb, BLOCK_UNINIT) {
            self.uninit_block_bitmap(group).into()
        } else {
            let map = self.volume.read(desc.block_bitmap)?;
            let sum = || bitmap_checksum(&self.sb, &map, g.blocks_per_group);
            let trusted = self.volume.is_dirty(desc.block_bitmap) || !self.sb.metadata_csum();
            if !trusted && sum() != desc.block_bitmap_csum {
                return Err(corrupt(format!("group {group}"), "block bitmap checksum is wrong"));
            }
            map
        };
        if !self.volume.is_dirty(desc.block_bitmap) {
            let free = bitmap::count_clear(&map, g.group_blocks(group));
            if free != desc.free_blocks {
                let reason = format!(
                    "the block bitmap shows {free} free blocks, the descriptor {}",
                    desc.free_blocks
                );
                return Err(corrupt(format!("group {group}"), reason));
            }
        }
        Ok(map)
    }

    /// As [`Ext4::block_bitmap`], to change; an UNINIT group becomes initialised.
    pub(crate) fn block_bitmap_mut(&mut self, group: u32) -> Result<&mut [u8]> {
        let map = self.block_bitmap(group)?;
        let desc = self.groups.get(group);
        let block = desc.block_bitmap;
        if desc.is(&self.sb, BLOCK_UNINIT) {
            self.volume.replace(block, map.to_vec())?;
            self.groups.get_mut(group).flags &= !BLOCK_UNINIT;
        }
        self.volume.modify(block)
    }

    /// Bitmap of a group in which only its own metadata is in use.
    fn uninit_block_bitmap(&self, group: u32) -> Vec<u8> {
        let g = &self.sb.geometry;
        let mut map = vec![0; self.volume.block_size()];
        let end = g.group_blocks(group);
        let mut mark = |start: u64, len: u32| {
            for block in start..start.saturating_add(u64::from(len)) {
                if let Some((at, index)) = g.locate(block)
                    && at == group
                {
                    bitmap::fill(&mut map, index, 1, true);
                }
            }
        };
        mark(g.group_start(group), self.super_blocks(group));
        let desc = self.groups.get(group);
        mark(desc.block_bitmap, 1);
        mark(desc.inode_bitmap, 1);
        mark(desc.inode_table, g.inode_table_blocks());
        bitmap::fill(&mut map, end, g.block_size * 8 - end, true);
        map
    }

    /// Blocks at the start of a group that hold copies of superblock and descriptors, those
    /// reserved for the growth of the descriptors included.
    pub(crate) fn super_blocks(&self, group: u32) -> u32 {
        if self.sb.has_super(group) {
            1 + self.sb.geometry.gdt_blocks() + self.sb.reserved_gdt_blocks()
        } else {
            0
        }
    }

    /// Inode bitmap of a group in its newest state.
    pub(crate) fn inode_bitmap(&self, group: u32) -> Result<Block> {
        let desc = self.groups.get(group);
        let g = &self.sb.geometry;
        if desc.is(&self.sb, INODE_UNINIT) {
            let mut map = vec![0; self.volume.block_size()];
            bitmap::fill(&mut map, g.inodes_per_group, g.block_size * 8 - g.inodes_per_group, true);
            return Ok(map.into());
        }
        let map = self.volume.read(desc.inode_bitmap)?;
        if !self.volume.is_dirty(desc.inode_bitmap) {
            let sum = || bitmap_checksum(&self.sb, &map, g.inodes_per_group);
            if self.sb.metadata_csum() && sum() != desc.inode_bitmap_csum {
                return Err(corrupt(format!("group {group}"), "inode bitmap checksum is wrong"));
            }
            let free = bitmap::count_clear(&map, g.inodes_per_group);
            if free != desc.free_inodes {
                let reason = format!(
                    "the inode bitmap shows {free} free inodes, the descriptor {}",
                    desc.free_inodes
                );
                return Err(corrupt(format!("group {group}"), reason));
            }
        }
        Ok(map)
    }

    /// As [`Ext4::inode_bitmap`], to change; an UNINIT group becomes initialised.
    pub(crate) fn inode_bitmap_mut(&mut self, group: u32) -> Result<&mut [u8]> {
        let map = self.inode_bitmap(group)?;
        let desc = self.groups.get(group);
        let block = desc.inode_bitmap;
        if desc.is(&self.sb, INODE_UNINIT) {
            self.volume.replace(block, map.to_vec())?;
            self.groups.get_mut(group).flags &= !INODE_UNINIT;
        }
        self.volume.modify(block)
    }

    /// Brings the bitmap checksums of changed groups up to date.
    pub(crate) fn seal_bitmaps(&mut self) -> Result<()> {
        if !self.sb.metadata_csum() {
            return Ok(());
        }
        let g = self.sb.geometry;
        for group in self.groups.dirty().clone() {
            let desc = self.groups.get(group);
            let (blocks, inodes) = (desc.block_bitmap, desc.inode_bitmap);
            if self.volume.is_dirty(blocks) {
                let sum = bitmap_checksum(&self.sb, &self.volume.read(blocks)?, g.blocks_per_group);
                self.groups.get_mut(group).block_bitmap_csum = sum;
            }
            if self.volume.is_dirty(inodes) {
                let sum = bitmap_checksum(&self.sb, &self.volume.read(inodes)?, g.inodes_per_group);
                self.groups.get_mut(group).inode_bitmap_csum = sum;
            }
        }
        Ok(())
    }

    /// Adds up the free counts of all groups: those of the superblock are written outside of the
    /// journal and fall behind, and neither kernel nor `e2fsck` trusts them.
    pub(crate) fn recount(&mut self) {
        let blocks = self.groups.iter().map(|(_, desc)| u64::from(desc.free_blocks)).sum();
        let inodes = self.groups.iter().map(|(_, desc)| u64::from(desc.free_inodes)).sum();
        self.sb.set_free_blocks(blocks);
        self.sb.set_free_inodes(low32(inodes));
    }
}
