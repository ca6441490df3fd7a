//! Every inode in use, one after another as they lie in their tables.

use super::{Check, Shared};
use crate::bitmap;
use crate::bytes::le32;
use crate::error::Result;
use crate::features::compat;
use crate::inode::{FLAG_HUGE_FILE, Inode, RESIZE, ROOT, S_IFMT};
use crate::map::FileMap;
use crate::store::Store;
use crate::xattr;

/// Inode 1 lists bad blocks, as a block map without being a file.
const BAD_BLOCKS: u32 = 1;

impl<S: Store> Check<'_, S> {
    pub(super) fn inodes(&mut self) -> Result<()> {
        let g = self.fs.sb.geometry;
        for group in 0..g.groups {
            let Some(map) = self.note("", self.fs.inode_bitmap(group))? else { continue };
            for index in 0..g.inodes_per_group {
                if bitmap::get(&map, index) {
                    self.inode(group * g.inodes_per_group + index + 1)?;
                }
            }
        }
        Ok(())
    }

    fn inode(&mut self, number: u32) -> Result<()> {
        let place = format!("inode {number}");
        let Some(inode) = self.note(&place, self.fs.read_inode(number))? else {
            // Unreadable, but in use: whatever names it is not at fault.
            self.links.get_mut(number).mode = S_IFMT;
            return Ok(());
        };
        let reserved = number < self.fs.sb.first_inode() && number != ROOT;
        if inode.links() == 0 && !reserved {
            self.find(place, "in use by the bitmap, but has no links");
            return Ok(());
        }
        let known = self.links.get_mut(number);
        known.counted = inode.links();
        known.mode = if reserved { inode.mode() } else { inode.mode().max(1) };
        if number == RESIZE && self.fs.sb.has_compat(compat::RESIZE_INODE) {
            return self.resize_inode(&inode);
        }
        if number == BAD_BLOCKS {
            return self.bad_blocks(&inode);
        }
        if reserved && inode.mode() == 0 {
            return Ok(());
        }
        if !kind_is_known(&inode) {
            self.find(place, format!("is of no known kind (mode {:o})", inode.mode()));
            return Ok(());
        }
        if inode.is_dir() && inode.dtime() != 0 {
            self.find(place.clone(), "has a time of deletion, but is in use");
        }
        let mut owned = self.attributes(number, &inode)?;
        if self.fs.maps_blocks(&inode) {
            let Some(map) = self.note(&place, self.fs.file_map(number, &inode))? else {
                return Ok(());
            };
            owned += self.content(number, &inode, &map);
            if inode.is_dir() {
                self.directory(number, &inode, &map)?;
            }
        }
        if le32(inode.raw(), FRAGMENT) != 0 {
            self.find(&place, "has the address of a fragment, which ext4 knows nothing of");
        }
        self.block_count(&place, &inode, owned);
        Ok(())
    }

    /// `i_blocks` counts what the inode owns.
    pub(super) fn block_count(&mut self, place: &str, inode: &Inode, owned: u64) {
        let huge = inode.flags() & FLAG_HUGE_FILE != 0;
        let unit = if huge { 1 } else { self.fs.volume.block_size() as u64 / 512 };
        let (counted, owned) = (inode.raw_blocks(), owned * unit);
        if counted != owned {
            self.find(place, format!("its block count is {counted}, should be {owned}"));
        }
    }

    /// Marks the blocks of a map and compares them with the size; how many there are.
    fn content(&mut self, number: u32, inode: &Inode, map: &FileMap) -> u64 {
        let place = format!("inode {number}");
        for &block in &map.tree {
            self.mark(&place, block, 1);
        }
        for extent in &map.extents {
            self.mark(&place, extent.start, u64::from(extent.len));
        }
        let block_size = self.fs.volume.block_size() as u64;
        let written = map.extents.iter().rev().find(|extent| !extent.unwritten);
        let end = written.map_or(0, |e| u64::from(e.logical) + u64::from(e.len)) * block_size;
        let size = inode.size();
        if inode.is_dir() {
            if !size.is_multiple_of(block_size) || size == 0 || size > end {
                self.find(&place, format!("a directory of {size} bytes with {end} in blocks"));
            }
        } else if inode.is_symlink() && (size == 0 || size > end || size >= block_size) {
            self.find(&place, format!("a symbolic link to a target of {size} bytes"));
        }
        // Preallocated blocks may lie beyond the end of a file, and of written ones one.
        if size < end.saturating_sub(block_size) && inode.flags() & EOF_BLOCKS == 0 {
            self.find(&place, format!("has {size} bytes, but content up to {end}"));
        }
        map.data_blocks() + map.tree.len() as u64
    }

    /// Extended attributes in the inode and in their block; blocks owned for them.
    fn attributes(&mut self, number: u32, inode: &Inode) -> Result<u64> {
        let place = format!("inode {number}");
        self.note(&place, self.fs.all_attrs(number))?;
        let block = inode.file_acl();
        if block == 0 {
            return Ok(0);
        }
        if let Some(shared) = self.shared.get_mut(&block) {
            shared.found += 1;
            return Ok(1);
        }
        self.mark(&place, block, 1);
        if let Some(bytes) = self.note(&place, self.fs.volume.read(block))? {
            if le32(&bytes, 0) == xattr::MAGIC {
                let promised = le32(&bytes, 4);
                self.shared.insert(block, Shared { promised, found: 1 });
            } else {
                self.find(place, format!("block {block} is no block of attributes"));
            }
        }
        Ok(1)
    }

    fn bad_blocks(&mut self, inode: &Inode) -> Result<()> {
        if let Some(map) = self.note("inode 1", self.fs.file_map(BAD_BLOCKS, inode))? {
            for &block in &map.tree {
                self.mark("inode 1", block, 1);
            }
            for extent in &map.extents {
                // Bad blocks may be anybody's: they are marked without a finding.
                self.usage.mark(extent.start, u64::from(extent.len));
            }
        }
        Ok(())
    }
}

/// `i_obso_faddr`.
const FRAGMENT: usize = 0x70;
/// `EXT4_EOFBLOCKS_FL`, of kernels before 3.5: blocks beyond the end are meant.
const EOF_BLOCKS: u32 = 0x40_0000;

fn kind_is_known(inode: &Inode) -> bool {
    matches!(inode.mode() >> 12, 0x1 | 0x2 | 0x4 | 0x6 | 0x8 | 0xA | 0xC)
}
