//! Giving up inodes and what they own.

use crate::error::{Result, corrupt};
use crate::fs::Ext4;
use crate::inode::{Inode, Stamp};
use crate::map::Extent;
use crate::store::Store;

impl<S: Store> Ext4<S> {
    /// One name less for a file; without any it is freed.
    pub(crate) fn drop_link(&mut self, number: u32) -> Result<()> {
        let mut inode = self.live_inode(number)?;
        let links = inode.links() - 1;
        if links == 0 {
            return self.release_inode(number, &inode);
        }
        inode.set_links(links);
        inode.set_time(Stamp::Change, self.clock);
        self.write_inode(number, &inode)
    }

    /// Frees an inode with all its blocks.
    pub(crate) fn release_inode(&mut self, number: u32, inode: &Inode) -> Result<()> {
        if self.maps_blocks(inode) {
            let map = self.file_map(number, inode)?;
            for extent in &map.extents {
                self.free(extent.start, u64::from(extent.len))?;
            }
            for &block in &map.tree {
                self.free(block, 1)?;
            }
        }
        let mut inode = inode.clone();
        self.drop_xattr_block(number, &mut inode)?;
        self.free_inode(number, inode.is_dir())
    }

    /// Frees the blocks of a file beyond its size, as recovery does for a truncation that was
    /// under way. The caller writes the inode.
    pub(crate) fn trim_to_size(&mut self, number: u32, inode: &mut Inode) -> Result<()> {
        if !self.maps_blocks(inode) {
            return Ok(());
        }
        let keep = inode.size().div_ceil(self.volume.block_size() as u64);
        let mut map = self.file_map(number, inode)?;
        let mut kept = Vec::new();
        for extent in std::mem::take(&mut map.extents) {
            let left = keep.saturating_sub(u64::from(extent.logical));
            let len = extent.len.min(u32::try_from(left).unwrap_or(u32::MAX));
            if len > 0 {
                kept.push(Extent { len, ..extent });
            }
            if len < extent.len {
                let start = extent.start + u64::from(len);
                self.free(start, u64::from(extent.len - len))?;
            }
        }
        map.extents = kept;
        self.set_map(number, inode, map)
    }

    /// Refuses to touch reserved inodes through names a hostile directory gave them.
    pub(super) fn require_ordinary(&self, number: u32) -> Result<()> {
        if number < self.sb.first_inode() && number != crate::inode::ROOT {
            return Err(corrupt(format!("inode {number}"), "reserved, but has a name"));
        }
        Ok(())
    }
}
