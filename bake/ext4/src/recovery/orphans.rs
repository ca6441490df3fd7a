//! Orphans: inodes that were unlinked while open, or whose truncation was cut short. Each names
//! the next in its `i_dtime`; the superblock names the first (kernel documentation, ext4 "Orphan
//! file").

use crate::error::{Result, corrupt};
use crate::fs::Ext4;
use crate::store::Store;

impl<S: Store> Ext4<S> {
    /// Frees or truncates every orphan.
    pub(crate) fn end_orphans(&mut self) -> Result<()> {
        let mut next = self.sb.last_orphan();
        let mut left = self.sb.geometry.inodes();
        while next != 0 {
            left = left.checked_sub(1).ok_or_else(|| corrupt("orphan list", "it is a ring"))?;
            next = self.end_orphan(next)?;
        }
        if self.sb.last_orphan() != 0 {
            self.sb.set_last_orphan(0);
        }
        self.end_filed_orphans()
    }

    /// Ends one; the inode that was next to it.
    pub(super) fn end_orphan(&mut self, number: u32) -> Result<u32> {
        if number < self.sb.first_inode() || number > self.sb.geometry.inodes() {
            return Err(corrupt("orphan list", format!("inode {number} cannot be an orphan")));
        }
        let mut inode = self.read_inode(number)?;
        let next = inode.dtime();
        if inode.mode() == 0 {
            return Err(corrupt("orphan list", format!("inode {number} is not in use")));
        }
        if inode.links() == 0 {
            self.release_inode(number, &inode)?;
        } else {
            self.trim_to_size(number, &mut inode)?;
            inode.set_dtime(0);
            self.write_inode(number, &inode)?;
        }
        Ok(next)
    }
}
