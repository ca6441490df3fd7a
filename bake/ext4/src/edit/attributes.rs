//! Mode, owner and times.

use crate::error::Result;
use crate::fs::Ext4;
use crate::inode::{S_IFMT, Stamp};
use crate::store::Store;
use crate::types::Attributes;

impl<S: Store> Ext4<S> {
    pub(crate) fn change_attributes(&mut self, number: u32, attributes: Attributes) -> Result<()> {
        self.require_ordinary(number)?;
        let mut inode = self.live_inode(number)?;
        let perm = if inode.is_symlink() { 0o777 } else { attributes.mode & 0o7777 };
        inode.set_mode(inode.mode() & S_IFMT | perm);
        self.sync_acl(number, &mut inode)?;
        inode.set_owner(attributes.uid, attributes.gid);
        for stamp in [Stamp::Access, Stamp::Change, Stamp::Modify] {
            inode.set_time(stamp, attributes.mtime);
        }
        self.write_inode(number, &inode)
    }
}
