//! Growth to the end of a longer device, offline, as `resize2fs` leaves it.
//!
//! | module | part |
//! |---|---|
//! | [`target`] | how far the file system can and should reach |
//! | [`layout`] | where the metadata of new groups lies |
//! | [`resize_inode`] | the inode that holds the reserved descriptor blocks |
//!
//! The descriptor table grows into the blocks reserved behind it; moving what lies behind those is
//! not done, so the reserve limits the size.

mod layout;
mod resize_inode;
mod target;

use std::sync::Arc;

use self::layout::Place;
use crate::bitmap;
use crate::bytes::{put16, put32};
use crate::error::{Error, Result, unsupported};
use crate::features::compat;
use crate::fs::Ext4;
use crate::group::{BLOCK_UNINIT, Group, INODE_UNINIT, INODE_ZEROED, bitmap_checksum};
use crate::store::Store;
use crate::superblock::Geometry;
use crate::volume::Source;

/// `s_reserved_gdt_blocks`.
const RESERVED_GDT: usize = 0xCE;
/// `s_overhead_clusters`: 0 lets the kernel count again.
const OVERHEAD: usize = 0x248;

impl<S: Store> Ext4<S> {
    /// Grows the file system to fill the first `len` bytes of its device, which must be that long
    /// already. A rest too small for a group of its own stays unused. Growing to the present
    /// length does nothing.
    ///
    /// # Errors
    /// [`Error::Resize`] where `len` is less than the present length, more than the device has,
    /// or more than the blocks reserved for group descriptors allow (the error says how much they
    /// do); device and corruption.
    pub fn grow(&mut self, len: u64) -> Result<()> {
        self.edit(|fs| fs.grow_to(len))
    }

    fn grow_to(&mut self, len: u64) -> Result<()> {
        let old = self.sb.geometry;
        let device = self.volume.store().len();
        if len > device {
            let reason = format!("the device has {device} bytes");
            return Err(Error::Resize { asked: len, reason });
        }
        let new = target::target(&self.sb, len)?;
        if new == old {
            return Ok(());
        }
        if self.sb.has_compat(compat::SPARSE_SUPER2) {
            return Err(unsupported("growing with sparse_super2"));
        }
        let reserved = self.sb.reserved_gdt_blocks() - (new.gdt_blocks() - old.gdt_blocks());
        let kept = u128::from(self.sb.reserved_blocks()) * u128::from(new.blocks);
        self.sb.set_blocks(new.blocks, new.groups);
        self.volume.set_blocks(new.blocks);
        let kept = kept / u128::from(old.blocks);
        self.sb.set_reserved_blocks(u64::try_from(kept).unwrap_or(0));
        put16(self.sb.raw_mut(), RESERVED_GDT, u16::try_from(reserved).unwrap_or(0));
        put32(self.sb.raw_mut(), OVERHEAD, 0);
        self.extend_last_group(&old, &new)?;
        for n in old.gdt_blocks()..new.gdt_blocks() {
            let block = u64::from(new.first_data_block) + 1 + u64::from(n);
            self.volume.replace(block, vec![0; new.block_size as usize])?;
        }
        for place in layout::places(&self.sb, old.groups..new.groups)? {
            self.add_group(&place)?;
        }
        self.zone.take();
        self.touch_descriptors();
        self.rebuild_resize_inode()
    }

    /// The group that ended early now has more blocks, all free.
    fn extend_last_group(&mut self, old: &Geometry, new: &Geometry) -> Result<()> {
        let last = old.groups - 1;
        let (before, after) = (old.group_blocks(last), new.group_blocks(last));
        if before == after {
            return Ok(());
        }
        if !self.groups.get(last).is(&self.sb, BLOCK_UNINIT) {
            let at = self.groups.get(last).block_bitmap;
            let map = self.volume.modify(at)?;
            bitmap::fill(map, before, after - before, false);
            let sum = bitmap_checksum(&self.sb, map, new.blocks_per_group);
            self.groups.get_mut(last).block_bitmap_csum = sum;
        }
        self.groups.get_mut(last).free_blocks += after - before;
        self.longest[last as usize] = None;
        let free = self.sb.free_blocks() + u64::from(after - before);
        self.sb.set_free_blocks(free);
        Ok(())
    }

    /// Writes a group's bitmaps, zeroes its inode table and appends its descriptor.
    fn add_group(&mut self, place: &Place) -> Result<()> {
        let g = self.sb.geometry;
        let blocks = g.group_blocks(place.group);
        let mut block_map = vec![0xFF; g.block_size as usize];
        bitmap::fill(&mut block_map, 0, blocks, false);
        bitmap::fill(&mut block_map, 0, place.used, true);
        let mut inode_map = vec![0xFF; g.block_size as usize];
        bitmap::fill(&mut inode_map, 0, g.inodes_per_group, false);
        let free_blocks = bitmap::count_clear(&block_map, blocks);
        let summed = self.sb.metadata_csum();
        let sum = |map: &[u8], bits| if summed { bitmap_checksum(&self.sb, map, bits) } else { 0 };
        let group = Group {
            block_bitmap: place.block_bitmap,
            inode_bitmap: place.inode_bitmap,
            inode_table: place.inode_table,
            free_blocks,
            free_inodes: g.inodes_per_group,
            flags: if self.sb.group_csum() { INODE_UNINIT | INODE_ZEROED } else { 0 },
            itable_unused: if self.sb.group_csum() { g.inodes_per_group } else { 0 },
            block_bitmap_csum: sum(&block_map, g.blocks_per_group),
            inode_bitmap_csum: sum(&inode_map, g.inodes_per_group),
            ..Group::default()
        };
        self.zero(place.inode_table, g.inode_table_blocks());
        if place.super_blocks > 0 {
            self.zero(g.group_start(place.group), place.super_blocks);
        }
        self.volume.replace(place.block_bitmap, block_map)?;
        self.volume.replace(place.inode_bitmap, inode_map)?;
        self.groups.push(group);
        self.longest.push(None);
        let free = self.sb.free_blocks() + u64::from(free_blocks);
        self.sb.set_free_blocks(free);
        let free = self.sb.free_inodes() + g.inodes_per_group;
        self.sb.set_free_inodes(free);
        Ok(())
    }

    /// New copies of the descriptor table need all of it: every block of it counts as changed.
    fn touch_descriptors(&mut self) {
        let g = self.sb.geometry;
        for group in (0..g.groups).step_by((g.block_size / g.desc_size) as usize) {
            self.groups.get_mut(group);
        }
    }

    fn zero(&mut self, start: u64, blocks: u32) {
        self.volume.supply(start, u64::from(blocks), Arc::new(Source::Bytes(Vec::new())), 0);
    }
}
