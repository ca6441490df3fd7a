//! Extended attributes: behind the fields of an inode, and in one block that inodes may share
//! (kernel documentation, ext4 "Extended Attributes").

mod acl;
mod block;
mod codec;
mod edit;
mod name;

pub(crate) use self::codec::{Attr, MAGIC};
pub(crate) use self::name::{full_name, split_name};

use crate::bytes::le32;
use crate::error::{Result, corrupt};
use crate::fs::Ext4;
use crate::inode::Inode;
use crate::store::Store;

/// Bytes of the magic number before the entries in an inode.
const IN_INODE: usize = 4;

impl<S: Store> Ext4<S> {
    /// Attributes behind the fields of an inode.
    pub(crate) fn inode_attrs(&self, number: u32, inode: &Inode) -> Result<Vec<Attr>> {
        let area = inode.xattr_area();
        if inode.extra_isize() == 0 || area.len() < IN_INODE + 4 || le32(area, 0) != MAGIC {
            return Ok(Vec::new());
        }
        codec::decode(&area[IN_INODE..], 0)
            .map_err(|reason| corrupt(format!("inode {number}"), reason))
    }

    /// All attributes by full name, sorted; access control lists as `getxattr` gives them.
    pub(crate) fn all_attrs(&self, number: u32) -> Result<Vec<(String, Vec<u8>)>> {
        let inode = self.live_inode(number)?;
        let mut attrs = self.inode_attrs(number, &inode)?;
        if inode.file_acl() != 0 {
            attrs.extend(self.read_xattr_block(number, inode.file_acl())?.attrs);
        }
        let mut named = Vec::new();
        for attr in attrs {
            let value = if acl::is_acl(attr.index) {
                acl::to_user(&attr.value)
                    .ok_or_else(|| corrupt(format!("inode {number}"), "malformed ACL"))?
            } else {
                attr.value
            };
            named.push((full_name(attr.index, &attr.name)?, value));
        }
        named.sort();
        Ok(named)
    }
}
