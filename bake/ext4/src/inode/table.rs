//! Finding inodes in the tables of their groups.

use super::{FLAGS_REFUSED, Inode};
use crate::error::{Result, corrupt, unsupported};
use crate::fs::Ext4;
use crate::store::Store;

impl<S: Store> Ext4<S> {
    /// Block and byte within it of an inode.
    fn inode_place(&self, number: u32) -> Result<(u64, usize)> {
        let g = &self.sb.geometry;
        if number == 0 || number > g.inodes() {
            return Err(corrupt(format!("inode {number}"), "no such inode number"));
        }
        let (group, index) = ((number - 1) / g.inodes_per_group, (number - 1) % g.inodes_per_group);
        let byte = u64::from(index) * u64::from(g.inode_size);
        let block = self.groups.get(group).inode_table + byte / u64::from(g.block_size);
        Ok((block, usize::try_from(byte % u64::from(g.block_size)).unwrap_or(0)))
    }

    /// Reads an inode, in use or not, and checks its checksum and the size of its fields.
    pub(crate) fn read_inode(&self, number: u32) -> Result<Inode> {
        let (block, at) = self.inode_place(number)?;
        let bytes = self.volume.read(block)?;
        let inode = Inode::from_raw(&bytes[at..at + self.sb.geometry.inode_size as usize]);
        let place = || format!("inode {number}");
        let extra = u32::from(inode.extra_isize());
        if extra > self.sb.geometry.inode_size - 128 || !extra.is_multiple_of(4) {
            return Err(corrupt(place(), "impossible size of its extra fields"));
        }
        if self.sb.metadata_csum() && !inode.checksum_is_right(self.seed, number) {
            return Err(corrupt(place(), "its checksum is wrong"));
        }
        Ok(inode)
    }

    /// Reads an inode something refers to: it must be in use, and of a kind we handle.
    pub(crate) fn live_inode(&self, number: u32) -> Result<Inode> {
        let inode = self.read_inode(number)?;
        if inode.links() == 0 || inode.mode() == 0 {
            return Err(corrupt(format!("inode {number}"), "is referred to but not in use"));
        }
        if inode.flags() & FLAGS_REFUSED != 0 {
            return Err(unsupported(format!(
                "flags {:#x} of inode {number}",
                inode.flags() & FLAGS_REFUSED
            )));
        }
        Ok(inode)
    }

    /// Makes an inode all zero, which is how inodes look that were never used.
    pub(crate) fn clear_inode(&mut self, number: u32) -> Result<()> {
        let (block, at) = self.inode_place(number)?;
        let size = self.sb.geometry.inode_size as usize;
        self.volume.modify(block)?[at..at + size].fill(0);
        Ok(())
    }

    /// Writes an inode with its checksum.
    pub(crate) fn write_inode(&mut self, number: u32, inode: &Inode) -> Result<()> {
        let (block, at) = self.inode_place(number)?;
        let mut inode = inode.clone();
        if self.sb.metadata_csum() {
            inode.seal(self.seed, number);
        }
        let raw = inode.raw();
        self.volume.modify(block)?[at..at + raw.len()].copy_from_slice(raw);
        Ok(())
    }
}
