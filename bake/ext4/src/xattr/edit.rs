//! Setting and removing attributes: in the inode where there is room, else in the block.

use super::codec::{self, Attr, MAGIC};
use super::{IN_INODE, acl, split_name};
use crate::bytes::put32;
use crate::error::{Error, Result};
use crate::fs::Ext4;
use crate::inode::{Inode, Stamp};
use crate::store::Store;

impl<S: Store> Ext4<S> {
    pub(crate) fn change_xattr(
        &mut self,
        number: u32,
        full: &str,
        value: Option<&[u8]>,
    ) -> Result<()> {
        let (index, name) = split_name(full)?;
        let value = match value {
            Some(value) if acl::is_acl(index) => Some(acl::to_disk(value).ok_or_else(|| {
                let reason = "the value is not an access control list";
                Error::InvalidName { path: full.to_owned(), reason }
            })?),
            value => value.map(<[u8]>::to_vec),
        };
        let mut inode = self.live_inode(number)?;
        if let Some(list) = value.as_ref().filter(|_| index == acl::ACCESS) {
            inode.set_mode(acl::mode_of(list, inode.mode()));
        }
        self.store_attr(number, &mut inode, index, &name, value)?;
        inode.set_time(Stamp::Change, self.clock);
        self.write_inode(number, &inode)
    }

    /// Makes the access control list of an inode, if it has one, agree with its mode.
    pub(crate) fn sync_acl(&mut self, number: u32, inode: &mut Inode) -> Result<()> {
        let mut attrs = self.inode_attrs(number, inode)?;
        if inode.file_acl() != 0 {
            attrs.extend(self.read_xattr_block(number, inode.file_acl())?.attrs);
        }
        let Some(list) = attrs.into_iter().find(|attr| attr.index == acl::ACCESS) else {
            return Ok(());
        };
        let mut value = list.value.clone();
        acl::apply_mode(&mut value, inode.mode());
        if value == list.value {
            return Ok(());
        }
        self.store_attr(number, inode, list.index, &list.name, Some(value))
    }

    /// Sets or removes one attribute as it is on disk; the caller writes the inode.
    fn store_attr(
        &mut self,
        number: u32,
        inode: &mut Inode,
        index: u8,
        name: &[u8],
        value: Option<Vec<u8>>,
    ) -> Result<()> {
        let limit = self.volume.block_size() as u64;
        let too_large = |size| Error::TooLarge { what: "extended attributes", size, limit };
        let mut inner = self.inode_attrs(number, inode)?;
        let mut outer = match inode.file_acl() {
            0 => Vec::new(),
            block => self.read_xattr_block(number, block)?.attrs,
        };
        let before = (inner.clone(), outer.clone());
        let same = |attr: &Attr| attr.index == index && attr.name == name;
        inner.retain(|attr| !same(attr));
        outer.retain(|attr| !same(attr));
        if let Some(value) = value {
            if value.len() as u64 > limit {
                return Err(too_large(value.len() as u64));
            }
            let attr = Attr { index, name: name.to_vec(), value };
            inner.push(attr.clone());
            if !self.set_inner(&mut inode.clone(), &mut inner) {
                inner.retain(|other| *other != attr);
                outer.push(attr);
            }
        }
        if inner != before.0 {
            self.set_inner(inode, &mut inner);
        }
        if outer != before.1 && !self.set_block_attrs(number, inode, &mut outer)? {
            let bytes = |attr: &Attr| (attr.name.len() + attr.value.len()) as u64;
            return Err(too_large(outer.iter().map(bytes).sum()));
        }
        Ok(())
    }

    /// Makes `attrs` the attributes behind the fields of the inode; false where they do not fit.
    fn set_inner(&self, inode: &mut Inode, attrs: &mut [Attr]) -> bool {
        inode.widen(self.sb.want_extra_isize());
        let area = inode.xattr_area_mut();
        if area.len() < IN_INODE + 4 {
            return attrs.is_empty();
        }
        if !codec::encode(&mut area[IN_INODE..], 0, attrs, false) {
            return false;
        }
        put32(area, 0, if attrs.is_empty() { 0 } else { MAGIC });
        true
    }
}
