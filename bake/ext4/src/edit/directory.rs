//! Making and removing directories.

use super::LINK_MAX;
use crate::dir::Dir;
use crate::error::{Error, Result, show};
use crate::features::ro_compat;
use crate::fs::Ext4;
use crate::inode::{ROOT, S_IFDIR};
use crate::store::Store;
use crate::types::Attributes;

impl<S: Store> Ext4<S> {
    pub(crate) fn make_dir(&mut self, path: &[u8], attributes: Attributes) -> Result<()> {
        if let Some(number) = self.lookup(path)? {
            if !self.live_inode(number)?.is_dir() {
                return Err(Error::Exists { path: show(path) });
            }
            return self.change_attributes(number, attributes);
        }
        let (mut parent, name) = self.resolve_parent(path)?;
        let (number, mut inode) = self.allocate_inode(parent.number, true)?;
        self.dress(&mut inode, S_IFDIR, attributes);
        inode.set_links(2);
        let mut dir = Dir { number, inode };
        self.start_dir(&mut dir, parent.number)?;
        self.write_inode(number, &dir.inode)?;
        self.add_entry(&mut parent, name, number, S_IFDIR)?;
        self.count_subdir(&mut parent, path)?;
        self.touch_dir(&mut parent)
    }

    pub(crate) fn delete_dir(&mut self, path: &[u8]) -> Result<()> {
        let (mut parent, name) = self.resolve_parent(path)?;
        let Some(found) = self.find_entry(&parent, name)? else {
            return Err(Error::NotFound { path: show(path) });
        };
        self.discard_dir(found.inode, path)?;
        self.remove_entry(&parent, found)?;
        self.uncount_subdir(&mut parent);
        self.touch_dir(&mut parent)
    }

    /// Frees an empty directory; its entry and the count in its parent are the caller's.
    pub(super) fn discard_dir(&mut self, number: u32, path: &[u8]) -> Result<()> {
        self.require_ordinary(number)?;
        let inode = self.live_inode(number)?;
        if !inode.is_dir() {
            return Err(Error::NotADirectory { path: show(path) });
        }
        let dir = Dir { number, inode };
        if number == ROOT || !self.is_empty_dir(&dir)? {
            return Err(Error::NotEmpty { path: show(path) });
        }
        self.release_inode(number, &dir.inode)
    }

    /// One more subdirectory. Beyond 65000 the count becomes 1, "unknown", where the file system
    /// has `dir_nlink`.
    pub(super) fn count_subdir(&self, parent: &mut Dir, path: &[u8]) -> Result<()> {
        let links = parent.inode.links();
        let uncounted = self.sb.has_ro_compat(ro_compat::DIR_NLINK) && self.is_indexed(parent);
        if links >= LINK_MAX && !uncounted {
            return Err(Error::TooManyLinks { path: show(path) });
        }
        let links = if uncounted && (links == 1 || links >= LINK_MAX) { 1 } else { links + 1 };
        parent.inode.set_links(links);
        Ok(())
    }

    /// One subdirectory less; an unknown count stays unknown.
    pub(super) fn uncount_subdir(&self, parent: &mut Dir) {
        if parent.inode.links() > 2 {
            parent.inode.set_links(parent.inode.links() - 1);
        }
    }
}
