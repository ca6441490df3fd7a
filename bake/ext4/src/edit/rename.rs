//! Moving files and directories, over what is there.

use crate::dir::Dir;
use crate::error::{Error, Result, show};
use crate::fs::Ext4;
use crate::inode::{Inode, S_IFDIR, Stamp};
use crate::path::components;
use crate::store::Store;

impl<S: Store> Ext4<S> {
    pub(crate) fn move_entry(&mut self, old: &[u8], new: &[u8]) -> Result<()> {
        let (source, old_name) = self.resolve_parent(old)?;
        let Some(found) = self.find_entry(&source, old_name)? else {
            return Err(Error::NotFound { path: show(old) });
        };
        let number = found.inode;
        self.require_ordinary(number)?;
        let mut inode = self.live_inode(number)?;
        let (mut target, new_name) = self.resolve_parent(new)?;
        let inside = components(new)?.starts_with(&components(old)?);
        if inode.is_dir() && inside && components(new)?.len() > components(old)?.len() {
            let reason = "a directory cannot be moved into itself";
            return Err(Error::Invalid { path: show(new), reason });
        }
        let existing = self.find_entry(&target, new_name)?;
        if existing.is_some_and(|existing| existing.inode == number) {
            return Ok(());
        }
        if let Some(existing) = existing {
            self.make_way(existing.inode, &inode, &mut target, new)?;
            self.set_entry(&target, existing, number, inode.mode())?;
        } else {
            self.add_entry(&mut target, new_name, number, inode.mode())?;
        }
        let moves_dir = inode.is_dir() && source.number != target.number;
        if moves_dir {
            self.count_subdir(&mut target, new)?;
        }
        self.touch_dir(&mut target)?;

        // Adding the new name may have moved the old one within the same directory.
        let mut source = self.dir(source.number)?;
        let Some(found) = self.find_entry(&source, old_name)? else {
            return Err(source.corrupt("lost an entry"));
        };
        self.remove_entry(&source, found)?;
        if moves_dir {
            self.uncount_subdir(&mut source);
            self.set_parent(number, &inode, target.number)?;
        }
        self.touch_dir(&mut source)?;
        inode.set_time(Stamp::Change, self.clock);
        self.write_inode(number, &inode)
    }

    /// Frees what is replaced, where rename(2) allows it.
    fn make_way(
        &mut self,
        existing: u32,
        moved: &Inode,
        target: &mut Dir,
        path: &[u8],
    ) -> Result<()> {
        self.require_ordinary(existing)?;
        if moved.is_dir() {
            self.discard_dir(existing, path)?;
            self.uncount_subdir(target);
            return Ok(());
        }
        if self.live_inode(existing)?.is_dir() {
            return Err(Error::IsADirectory { path: show(path) });
        }
        self.drop_link(existing)
    }

    /// Points `..` of a directory to its new parent.
    fn set_parent(&mut self, number: u32, inode: &Inode, parent: u32) -> Result<()> {
        let dir = Dir { number, inode: inode.clone() };
        let found = self.parent_entry(&dir)?;
        self.set_entry(&dir, found, parent, S_IFDIR)
    }
}
