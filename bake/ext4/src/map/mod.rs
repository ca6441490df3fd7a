//! Which blocks hold the content of a file: extent trees and block maps behind one interface.

mod block_map;
mod build;
mod extents;

use crate::error::{Result, corrupt};
use crate::fs::Ext4;
use crate::inode::Inode;
use crate::store::Store;

/// Neighbouring blocks of a file that are neighbours on the device as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// First block within the file.
    pub(crate) logical: u32,
    /// First block on the device.
    pub(crate) start: u64,
    pub(crate) len: u32,
    /// Allocated, but reads as zero.
    pub(crate) unwritten: bool,
}

/// All blocks of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FileMap {
    /// Content, ascending by `logical`.
    pub(crate) extents: Vec<Extent>,
    /// Blocks of the tree or map itself, parents first.
    pub(crate) tree: Vec<u64>,
}

impl FileMap {
    /// Appends blocks, to the last extent where they continue it.
    pub(crate) fn push(&mut self, extent: Extent) {
        if let Some(last) = self.extents.last_mut()
            && last.unwritten == extent.unwritten
            && last.logical.checked_add(last.len) == Some(extent.logical)
            && last.start + u64::from(last.len) == extent.start
            && let Some(len) = last.len.checked_add(extent.len)
        {
            last.len = len;
        } else {
            self.extents.push(extent);
        }
    }

    /// Blocks of content.
    pub(crate) fn data_blocks(&self) -> u64 {
        self.extents.iter().map(|extent| u64::from(extent.len)).sum()
    }
}

/// Where one block of a file is, and how many follow it in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// `None` in a hole or an unwritten extent: reads as zero.
    pub(crate) start: Option<u64>,
    pub(crate) len: u32,
}

impl<S: Store> Ext4<S> {
    /// Whether new files are mapped by extents.
    pub(crate) fn uses_extents(&self) -> bool {
        self.sb.has_incompat(crate::features::incompat::EXTENTS)
    }

    /// All blocks of a file, directory or long symbolic link.
    pub(crate) fn file_map(&self, number: u32, inode: &Inode) -> Result<FileMap> {
        if inode.has_extents() {
            self.extent_map(number, inode)
        } else {
            self.block_map(number, inode)
        }
    }

    /// Where block `logical` of a file is.
    pub(crate) fn find_block(&self, number: u32, inode: &Inode, logical: u32) -> Result<Mapping> {
        if inode.has_extents() {
            self.find_in_extents(number, inode, logical)
        } else {
            self.find_in_block_map(number, inode, logical)
        }
    }

    /// Refuses blocks no file can have.
    fn require_file_blocks(&self, number: u32, start: u64, len: u32) -> Result<()> {
        let end = start.checked_add(u64::from(len));
        if start <= u64::from(self.sb.geometry.first_data_block)
            || end.is_none_or(|end| end > self.sb.geometry.blocks)
        {
            let reason = format!("maps blocks {start}+{len}, outside the file system");
            return Err(corrupt(format!("inode {number}"), reason));
        }
        Ok(())
    }
}
