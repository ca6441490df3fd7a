//! Allocating and freeing inodes: files beside their directory, directories beside theirs, those
//! directly in the root spread out.

use crate::bitmap;
use crate::error::{Error, Result, corrupt};
use crate::fs::Ext4;
use crate::group::{Group, INODE_UNINIT};
use crate::inode::{Inode, ROOT};
use crate::store::Store;

impl<S: Store> Ext4<S> {
    /// Group an inode lies in.
    pub(crate) fn inode_group(&self, number: u32) -> u32 {
        number.saturating_sub(1) / self.sb.geometry.inodes_per_group
    }

    /// A goal for blocks of an inode: the start of its group.
    pub(crate) fn inode_goal(&self, number: u32) -> u64 {
        self.sb.geometry.group_start(self.inode_group(number))
    }

    /// Allocates an inode for an entry of directory `parent`; its bytes are all zero but for the
    /// size of its extra fields.
    pub(crate) fn allocate_inode(&mut self, parent: u32, directory: bool) -> Result<(u32, Inode)> {
        let group = self.choose_group(parent, directory).ok_or(Error::NoInodes)?;
        let g = self.sb.geometry;
        let reserved = self.sb.first_inode().saturating_sub(1);
        let first = if group == 0 { reserved.min(g.inodes_per_group) } else { 0 };
        let map = self.inode_bitmap_mut(group)?;
        let index = bitmap::find(map, first, g.inodes_per_group, false);
        if index == g.inodes_per_group {
            let reason = "the inode bitmap is full, the descriptor says it is not";
            return Err(corrupt(format!("group {group}"), reason));
        }
        bitmap::fill(map, index, 1, true);
        let sums = self.sb.group_csum();
        let desc = self.groups.get_mut(group);
        desc.free_inodes -= 1;
        desc.used_dirs += u32::from(directory);
        if sums {
            desc.itable_unused = desc.itable_unused.min(g.inodes_per_group - index - 1);
        }
        let free = self.sb.free_inodes().checked_sub(1).ok_or(Error::NoInodes)?;
        self.sb.set_free_inodes(free);
        let number = group * g.inodes_per_group + index + 1;
        let inode = Inode::empty(g.inode_size, self.sb.want_extra_isize());
        Ok((number, inode))
    }

    /// Group for a new inode in `parent`.
    fn choose_group(&self, parent: u32, directory: bool) -> Option<u32> {
        let near = self.inode_group(parent);
        let groups = self.sb.geometry.groups;
        let round = || (near..groups).chain(0..near);
        let free = |group: &u32| self.groups.get(*group).free_inodes > self.held_back(*group);
        if directory {
            let spread = || self.spread_group().filter(|_| parent == ROOT);
            let roomy = |group: &u32| free(group) && self.groups.get(*group).free_blocks > 0;
            if let Some(group) = spread().or_else(|| round().find(roomy)) {
                return Some(group);
            }
        }
        round().find(free)
    }

    /// Reserved inodes count as free nowhere; a bitmap that shows them free must not tempt us.
    fn held_back(&self, group: u32) -> u32 {
        if group != 0 {
            return 0;
        }
        let reserved = self.sb.first_inode().saturating_sub(1);
        self.inode_bitmap(0).map_or(0, |map| {
            bitmap::count_clear(&map, reserved.min(self.sb.geometry.inodes_per_group))
        })
    }

    /// The group with the fewest directories among those in use with at least the average of
    /// free inodes and blocks.
    fn spread_group(&self) -> Option<u32> {
        let groups = u64::from(self.sb.geometry.groups);
        let inodes = u64::from(self.sb.free_inodes()) / groups;
        let blocks = self.sb.free_blocks() / groups;
        let fits = |desc: &Group| {
            desc.free_inodes > 0
                && u64::from(desc.free_inodes) >= inodes
                && u64::from(desc.free_blocks) >= blocks
                && !desc.is(&self.sb, INODE_UNINIT)
        };
        let candidates = self.groups.iter().filter(|&(n, desc)| n > 0 && fits(desc));
        candidates.min_by_key(|&(n, desc)| (desc.used_dirs, n)).map(|(n, _)| n)
    }

    /// Frees an inode whose blocks are free already; its bytes become zero.
    pub(crate) fn free_inode(&mut self, number: u32, directory: bool) -> Result<()> {
        let g = self.sb.geometry;
        if number < self.sb.first_inode() || number > g.inodes() {
            return Err(corrupt(format!("inode {number}"), "reserved, but about to be freed"));
        }
        let group = self.inode_group(number);
        let index = (number - 1) % g.inodes_per_group;
        let map = self.inode_bitmap_mut(group)?;
        if !bitmap::get(map, index) {
            return Err(corrupt(format!("inode {number}"), "in use, but free in the bitmap"));
        }
        bitmap::fill(map, index, 1, false);
        let desc = self.groups.get_mut(group);
        desc.free_inodes += 1;
        desc.used_dirs = desc.used_dirs.saturating_sub(u32::from(directory));
        self.sb.set_free_inodes(self.sb.free_inodes().saturating_add(1));
        self.clear_inode(number)
    }
}
