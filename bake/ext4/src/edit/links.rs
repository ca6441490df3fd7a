//! Hard links, and removing names.

use super::LINK_MAX;
use crate::error::{Error, Result, show};
use crate::fs::Ext4;
use crate::inode::Stamp;
use crate::path::{components, require_no_root};
use crate::store::Store;

impl<S: Store> Ext4<S> {
    pub(crate) fn link(&mut self, old: &[u8], new: &[u8]) -> Result<()> {
        let number = self.resolve(old)?;
        self.require_ordinary(number)?;
        let mut inode = self.live_inode(number)?;
        if inode.is_dir() {
            return Err(Error::IsADirectory { path: show(old) });
        }
        if components(new)?.is_empty() {
            return Err(Error::Exists { path: show(new) });
        }
        let (mut dir, name) = self.resolve_parent(new)?;
        if self.find_entry(&dir, name)?.is_some() {
            return Err(Error::Exists { path: show(new) });
        }
        if inode.links() >= LINK_MAX {
            return Err(Error::TooManyLinks { path: show(old) });
        }
        inode.set_links(inode.links() + 1);
        inode.set_time(Stamp::Change, self.clock);
        self.write_inode(number, &inode)?;
        self.add_entry(&mut dir, name, number, inode.mode())?;
        self.touch_dir(&mut dir)
    }

    pub(crate) fn unlink(&mut self, path: &[u8]) -> Result<()> {
        require_no_root(path)?;
        let (mut dir, name) = self.resolve_parent(path)?;
        let Some(found) = self.find_entry(&dir, name)? else {
            return Err(Error::NotFound { path: show(path) });
        };
        self.require_ordinary(found.inode)?;
        if self.live_inode(found.inode)?.is_dir() {
            return Err(Error::IsADirectory { path: show(path) });
        }
        self.drop_link(found.inode)?;
        self.remove_entry(&dir, found)?;
        self.touch_dir(&mut dir)
    }
}
