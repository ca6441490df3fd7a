//! New directories, and blocks for directories that grow.

use super::Dir;
use super::entry::{needed, put};
use crate::error::{Error, Result};
use crate::features::incompat;
use crate::fs::Ext4;
use crate::inode::S_IFDIR;
use crate::map::Extent;
use crate::store::Store;

/// Largest directory without the feature `large_dir`, in bytes.
const SMALL_DIR: u64 = 1 << 31;

impl<S: Store> Ext4<S> {
    /// Adds a block to the end of a directory and returns it as `(logical, device)`; the caller
    /// fills it.
    pub(super) fn append_block(&mut self, dir: &mut Dir) -> Result<(u32, u64)> {
        let bs = self.volume.block_size() as u64;
        let size = dir.inode.size().next_multiple_of(bs);
        let limit =
            if self.sb.has_incompat(incompat::LARGEDIR) { self.max_file_size() } else { SMALL_DIR };
        if size + bs > limit {
            return Err(Error::TooLarge { what: "directory", size: size + bs, limit });
        }
        let logical = u32::try_from(size / bs).map_err(|_| dir.corrupt("is too large"))?;
        let mut map = self.file_map(dir.number, &dir.inode)?;
        let goal = match map.extents.last() {
            Some(last) if last.logical.saturating_add(last.len) > logical => {
                return Err(dir.corrupt("has blocks beyond its end"));
            }
            Some(last) => last.start + u64::from(last.len),
            None => self.inode_goal(dir.number),
        };
        let start = self.allocate_one(goal)?;
        map.push(Extent { logical, start, len: 1, unwritten: false });
        self.set_map(dir.number, &mut dir.inode, map)?;
        dir.inode.set_size(size + bs);
        Ok((logical, start))
    }

    /// Gives a new directory its first block, with `.` and `..`.
    pub(crate) fn start_dir(&mut self, dir: &mut Dir, parent: u32) -> Result<()> {
        self.start_map(&mut dir.inode);
        let (_, block) = self.append_block(dir)?;
        let mut bytes = vec![0; self.volume.block_size()];
        let end = self.entry_bytes();
        let file_type = self.stored_type(S_IFDIR);
        put(&mut bytes, 0, needed(1), dir.number, b".", file_type);
        put(&mut bytes, 12, end - 12, parent, b"..", file_type);
        self.seal_leaf(dir, &mut bytes);
        self.volume.replace(block, bytes)
    }
}
