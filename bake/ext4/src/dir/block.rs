//! Directory blocks with their checksums: leaves end in a 12-byte entry of type 0xDE, index blocks
//! in 8 bytes after their entries (kernel documentation, ext4 "Directory Leaf Block Tail").

use super::Dir;
use super::entry::{TAIL, TAIL_TYPE, entry_at};
use super::htree::node::{Shape, shape};
use crate::bytes::{le16, le32, put16, put32};
use crate::csum::crc32c;
use crate::error::Result;
use crate::fs::Ext4;
use crate::store::Store;
use crate::volume::Block;

impl<S: Store> Ext4<S> {
    /// Blocks of a directory as `(logical, device)`, holes left out.
    pub(crate) fn dir_blocks(&self, dir: &Dir) -> Result<Vec<(u32, u64)>> {
        let end = dir.inode.size().div_ceil(self.volume.block_size() as u64);
        let map = self.file_map(dir.number, &dir.inode)?;
        if map.data_blocks() > self.sb.geometry.blocks {
            return Err(dir.corrupt("maps more blocks than the file system has"));
        }
        let mut blocks = Vec::new();
        for extent in map.extents.iter().filter(|extent| !extent.unwritten) {
            let left = end.saturating_sub(u64::from(extent.logical));
            let len = extent.len.min(u32::try_from(left).unwrap_or(u32::MAX));
            blocks.extend((0..len).map(|n| (extent.logical + n, extent.start + u64::from(n))));
        }
        Ok(blocks)
    }

    /// Length of the part of a leaf that holds entries.
    pub(crate) fn entry_bytes(&self) -> usize {
        self.volume.block_size() - if self.sb.metadata_csum() { TAIL } else { 0 }
    }

    /// The part of a block that holds entries. Index blocks look like entries over the whole
    /// block; theirs may end in what was a leaf's tail before the kernel made the index.
    pub(crate) fn entry_part<'a>(&self, dir: &Dir, logical: u32, bytes: &'a [u8]) -> &'a [u8] {
        if self.index_shape(dir, logical, bytes).is_none() && self.has_tail(bytes) {
            &bytes[..self.entry_bytes()]
        } else {
            bytes
        }
    }

    fn has_tail(&self, bytes: &[u8]) -> bool {
        let at = bytes.len() - TAIL;
        self.sb.metadata_csum()
            && le32(bytes, at) == 0
            && le16(bytes, at + 4) == 12
            && bytes[at + 6] == 0
            && bytes[at + 7] == TAIL_TYPE
    }

    /// Reads a block of a directory and checks its checksum.
    pub(crate) fn dir_block(&self, dir: &Dir, logical: u32, block: u64) -> Result<Block> {
        let bytes = self.volume.read(block)?;
        if !self.sb.metadata_csum() || self.volume.is_dirty(block) {
            return Ok(bytes);
        }
        let seed = dir.inode.seed(self.seed, dir.number);
        let right = if let Some(shape) = self.index_shape(dir, logical, &bytes) {
            shape.checksum(seed, &bytes) == Some(le32(&bytes, shape.tail() + 4))
        } else {
            let end = self.entry_bytes();
            self.has_tail(&bytes) && crc32c(seed, &bytes[..end]) == le32(&bytes, end + 8)
        };
        if right {
            return Ok(bytes);
        }
        Err(dir.corrupt(format!("the checksum of its block {logical} is wrong")))
    }

    /// Shape of the block if it belongs to the index.
    fn index_shape(&self, dir: &Dir, logical: u32, bytes: &[u8]) -> Option<Shape> {
        if self.is_indexed(dir) { shape(bytes, logical == 0) } else { None }
    }

    /// Stores the checksum of a leaf, making its tail where there is none.
    pub(crate) fn seal_leaf(&self, dir: &Dir, bytes: &mut [u8]) {
        if !self.sb.metadata_csum() {
            return;
        }
        let end = self.entry_bytes();
        bytes[end..].fill(0);
        put16(bytes, end + 4, 12);
        bytes[end + 7] = TAIL_TYPE;
        let sum = crc32c(dir.inode.seed(self.seed, dir.number), &bytes[..end]);
        put32(bytes, end + 8, sum);
    }

    /// Changes the entries of a block in place and stores its checksum. `change` gets the entries
    /// and the size of the block.
    pub(crate) fn change_block(
        &mut self,
        dir: &Dir,
        block: u64,
        change: impl FnOnce(&mut [u8], usize) -> Result<(), &'static str>,
    ) -> Result<()> {
        let size = self.volume.block_size();
        let mut bytes = self.volume.read(block)?.to_vec();
        let root = self.is_indexed(dir) && is_dot(&bytes, size);
        if root {
            change(&mut bytes, size).map_err(|reason| dir.corrupt(reason))?;
            let seed = dir.inode.seed(self.seed, dir.number);
            if let Some(shape) = shape(&bytes, true)
                && self.sb.metadata_csum()
                && let Some(sum) = shape.checksum(seed, &bytes)
            {
                put32(&mut bytes, shape.tail() + 4, sum);
            }
        } else {
            let end = self.entry_bytes();
            change(&mut bytes[..end], size).map_err(|reason| dir.corrupt(reason))?;
            self.seal_leaf(dir, &mut bytes);
        }
        self.volume.replace(block, bytes)
    }
}

/// Whether a block begins with `.`: then it is the first of its directory.
fn is_dot(bytes: &[u8], size: usize) -> bool {
    entry_at(bytes, 0, size).is_ok_and(|entry| entry.name == b"." && entry.len == 12)
}
