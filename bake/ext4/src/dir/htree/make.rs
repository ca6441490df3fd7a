//! Turning a directory of one block into an indexed one.

use super::node::{INFO, Shape};
use crate::dir::Dir;
use crate::dir::entry::{entries, needed, pack, put};
use crate::error::Result;
use crate::fs::Ext4;
use crate::inode::FLAG_INDEX;
use crate::store::Store;

impl<S: Store> Ext4<S> {
    /// Moves the entries of a one-block directory to a leaf and makes its block the index root.
    pub(in crate::dir) fn make_index(&mut self, dir: &mut Dir) -> Result<()> {
        let parent = self.parent_entry(dir)?;
        let old = self.volume.read(parent.block)?;
        let size = self.volume.block_size();
        let mut list = Vec::new();
        let mut dots = Vec::new();
        for entry in entries(self.entry_part(dir, 0, &old), size) {
            let entry = entry.map_err(|reason| dir.corrupt(reason))?;
            if entry.name == b"." || entry.name == b".." {
                dots.push(entry.file_type);
            } else if entry.inode != 0 {
                list.push((entry.inode, entry.name, entry.file_type));
            }
        }
        if dots.len() != 2 {
            return Err(dir.corrupt("has `.` or `..` more than once"));
        }
        let (logical, leaf) = self.append_block(dir)?;
        let mut bytes = vec![0; size];
        let end = self.entry_bytes();
        pack(&mut bytes[..end], list.into_iter());
        self.seal_leaf(dir, &mut bytes);
        self.volume.replace(leaf, bytes)?;

        let mut root = vec![0; size];
        put(&mut root, 0, needed(1), dir.number, b".", dots[0]);
        put(&mut root, 12, size - 12, parent.inode, b"..", dots[1]);
        let version = self.sb.default_hash();
        root[INFO + 4] = if version <= 2 { version } else { 1 };
        root[INFO + 5] = 8;
        dir.inode.set_flags(dir.inode.flags() | FLAG_INDEX);
        let shape = Shape::new(size, true, self.sb.metadata_csum());
        self.write_index(dir, parent.block, root, shape, &[(0, logical)])
    }
}
