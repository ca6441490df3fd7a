//! Directories: finding, adding, changing and removing entries, linear or indexed.

mod block;
pub(crate) mod entry;
mod grow;
pub(crate) mod hash;
pub(crate) mod htree;
mod linear;

use crate::error::{Result, corrupt};
use crate::features::{compat, incompat};
use crate::fs::Ext4;
use crate::inode::{FLAG_INDEX, Inode};
use crate::store::Store;

/// A used entry and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) inode: u32,
    /// Device block.
    pub(crate) block: u64,
    /// Byte in the block.
    pub(crate) at: usize,
}

/// A directory by number and inode; the inode must be written back after entries were added.
#[derive(Debug, Clone)]
pub(crate) struct Dir {
    pub(crate) number: u32,
    pub(crate) inode: Inode,
}

impl Dir {
    pub(crate) fn corrupt(&self, reason: impl Into<String>) -> crate::error::Error {
        corrupt(format!("directory inode {}", self.number), reason)
    }
}

impl<S: Store> Ext4<S> {
    /// Opens a directory.
    pub(crate) fn dir(&self, number: u32) -> Result<Dir> {
        let inode = self.live_inode(number)?;
        let dir = Dir { number, inode };
        if !dir.inode.is_dir() {
            return Err(dir.corrupt("is not a directory"));
        }
        Ok(dir)
    }

    /// Whether the directory is used by its index: without the feature the flag means nothing.
    pub(crate) fn is_indexed(&self, dir: &Dir) -> bool {
        self.sb.has_compat(compat::DIR_INDEX) && dir.inode.flags() & FLAG_INDEX != 0
    }

    /// File type byte to store for a mode.
    fn stored_type(&self, mode: u16) -> u8 {
        if self.sb.has_incompat(incompat::FILETYPE) { entry::type_of_mode(mode) } else { 0 }
    }

    /// Finds an entry.
    pub(crate) fn find_entry(&self, dir: &Dir, name: &[u8]) -> Result<Option<Found>> {
        if self.is_indexed(dir) { self.htree_find(dir, name) } else { self.linear_find(dir, name) }
    }

    /// Adds an entry whose name is not there yet. `mode` is that of the inode named.
    pub(crate) fn add_entry(
        &mut self,
        dir: &mut Dir,
        name: &[u8],
        inode: u32,
        mode: u16,
    ) -> Result<()> {
        let file_type = self.stored_type(mode);
        if self.is_indexed(dir) {
            self.htree_insert(dir, name, inode, file_type)
        } else {
            self.linear_insert(dir, name, inode, file_type)
        }
    }

    /// Makes an entry name another inode.
    pub(crate) fn set_entry(
        &mut self,
        dir: &Dir,
        found: Found,
        inode: u32,
        mode: u16,
    ) -> Result<()> {
        let file_type = self.stored_type(mode);
        self.change_block(dir, found.block, |bytes, _| {
            crate::bytes::put32(bytes, found.at, inode);
            bytes[found.at + 7] = file_type;
            Ok(())
        })
    }

    /// Removes an entry.
    pub(crate) fn remove_entry(&mut self, dir: &Dir, found: Found) -> Result<()> {
        self.change_block(dir, found.block, |bytes, size| entry::remove(bytes, size, found.at))
    }

    /// Calls `visit` with inode, file type and name of every used entry but `.` and `..`, until
    /// it returns false.
    pub(crate) fn each_entry(
        &self,
        dir: &Dir,
        mut visit: impl FnMut(u32, u8, &[u8]) -> bool,
    ) -> Result<()> {
        let size = self.volume.block_size();
        for (logical, block) in self.dir_blocks(dir)? {
            let bytes = self.dir_block(dir, logical, block)?;
            for entry in entry::entries(self.entry_part(dir, logical, &bytes), size) {
                let entry = entry.map_err(|reason| dir.corrupt(reason))?;
                if entry.inode != 0
                    && entry.name != b"."
                    && entry.name != b".."
                    && !visit(entry.inode, entry.file_type, entry.name)
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Whether there is nothing but `.` and `..`.
    pub(crate) fn is_empty_dir(&self, dir: &Dir) -> Result<bool> {
        let mut empty = true;
        self.each_entry(dir, |_, _, _| {
            empty = false;
            false
        })?;
        Ok(empty)
    }

    /// The entry `..`: the second of the first block.
    pub(crate) fn parent_entry(&self, dir: &Dir) -> Result<Found> {
        let Some((logical, block)) = self.dir_blocks(dir)?.first().copied() else {
            return Err(dir.corrupt("has no blocks"));
        };
        let bytes = self.dir_block(dir, logical, block)?;
        let size = self.volume.block_size();
        let mut entries = entry::entries(&bytes, size);
        match (entries.next(), entries.next()) {
            (Some(Ok(first)), Some(Ok(second)))
                if logical == 0 && first.name == b"." && second.name == b".." =>
            {
                Ok(Found { inode: second.inode, block, at: second.at })
            }
            _ => Err(dir.corrupt("does not begin with `.` and `..`")),
        }
    }
}
