//! Directories without an index: every block is searched.

use super::entry::{entries, insert};
use super::{Dir, Found};
use crate::error::Result;
use crate::features::compat;
use crate::fs::Ext4;
use crate::inode::FLAG_INDEX;
use crate::store::Store;

impl<S: Store> Ext4<S> {
    pub(super) fn linear_find(&self, dir: &Dir, name: &[u8]) -> Result<Option<Found>> {
        for (logical, block) in self.dir_blocks(dir)? {
            if let Some(found) = self.find_in_leaf(dir, logical, block, name)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Finds an entry in one block.
    pub(super) fn find_in_leaf(
        &self,
        dir: &Dir,
        logical: u32,
        block: u64,
        name: &[u8],
    ) -> Result<Option<Found>> {
        let bytes = self.dir_block(dir, logical, block)?;
        for entry in entries(self.entry_part(dir, logical, &bytes), bytes.len()) {
            let entry = entry.map_err(|reason| dir.corrupt(reason))?;
            if entry.inode != 0 && entry.name == name {
                return Ok(Some(Found { inode: entry.inode, block, at: entry.at }));
            }
        }
        Ok(None)
    }

    /// Puts an entry into the first gap, or into a new block; a directory that outgrows its only
    /// block becomes indexed where the file system has indexes.
    pub(super) fn linear_insert(
        &mut self,
        dir: &mut Dir,
        name: &[u8],
        inode: u32,
        file_type: u8,
    ) -> Result<()> {
        // An index that nobody kept up would mislead a kernel that has the feature.
        dir.inode.set_flags(dir.inode.flags() & !FLAG_INDEX);
        let blocks = self.dir_blocks(dir)?;
        for &(logical, block) in &blocks {
            self.dir_block(dir, logical, block)?;
            let mut done = false;
            let mut bytes = self.volume.read(block)?.to_vec();
            let end = self.entry_bytes();
            let size = bytes.len();
            done |= insert(&mut bytes[..end], size, inode, name, file_type)
                .map_err(|reason| dir.corrupt(reason))?;
            if done {
                self.seal_leaf(dir, &mut bytes);
                return self.volume.replace(block, bytes);
            }
        }
        if blocks.len() == 1 && self.sb.has_compat(compat::DIR_INDEX) {
            self.make_index(dir)?;
            return self.htree_insert(dir, name, inode, file_type);
        }
        let (_, block) = self.append_block(dir)?;
        let mut bytes = vec![0; self.volume.block_size()];
        let end = self.entry_bytes();
        super::entry::pack(&mut bytes[..end], [(inode, name, file_type)].into_iter());
        self.seal_leaf(dir, &mut bytes);
        self.volume.replace(block, bytes)
    }
}
