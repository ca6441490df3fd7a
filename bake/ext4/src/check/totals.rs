//! Bitmaps, descriptors and superblock against what was found.

use super::Check;
use crate::bitmap;
use crate::error::Result;
use crate::inode::{ROOT, S_IFDIR, S_IFMT};
use crate::store::Store;

/// Directories with more links than a count holds have the count 1 (feature `dir_nlink`).
const MOST_LINKS: u16 = 65_000;

impl<S: Store> Check<'_, S> {
    pub(super) fn totals(&mut self) -> Result<()> {
        let (mut free_blocks, mut free_inodes) = (0_u64, 0_u64);
        for group in 0..self.fs.sb.geometry.groups {
            self.blocks_of(group)?;
            self.inodes_of(group)?;
            self.link_counts(group);
            let desc = self.fs.groups.get(group);
            free_blocks += u64::from(desc.free_blocks);
            free_inodes += u64::from(desc.free_inodes);
        }
        let promised = (self.fs.sb.free_blocks(), u64::from(self.fs.sb.free_inodes()));
        if promised.0 != free_blocks {
            let reason = format!("counts {} free blocks, the groups {free_blocks}", promised.0);
            self.find("superblock", reason);
        }
        if promised.1 != free_inodes {
            let reason = format!("counts {} free inodes, the groups {free_inodes}", promised.1);
            self.find("superblock", reason);
        }
        if self.fs.sb.last_orphan() != 0 {
            self.find("superblock", "orphans are waiting for their end");
        }
        Ok(())
    }

    /// The block bitmap shows what is in use, and its descriptor how many are not.
    fn blocks_of(&mut self, group: u32) -> Result<()> {
        let place = format!("group {group}");
        let Some(map) = self.note(&place, self.fs.block_bitmap(group))? else { return Ok(()) };
        let g = self.fs.sb.geometry;
        let (start, len) = (g.group_start(group), g.group_blocks(group));
        let differs =
            |index: &u32| bitmap::get(&map, *index) != self.usage.get(start + u64::from(*index));
        if let Some(index) = (0..len).find(differs) {
            let block = start + u64::from(index);
            let shown = if bitmap::get(&map, index) {
                "in use, but is free"
            } else {
                "free, but is in use"
            };
            let all = (0..len).filter(differs).count();
            self.find(&place, format!("block {block} is shown as {shown} ({all} such in all)"));
        }
        let free = bitmap::count_clear(&map, len);
        let promised = self.fs.groups.get(group).free_blocks;
        if free != promised {
            self.find(&place, format!("counts {promised} free blocks, has {free}"));
        }
        let bits = g.block_size * 8;
        if bitmap::find(&map, len, bits, false) != bits {
            self.find(&place, "the block bitmap shows blocks beyond the group as free");
        }
        Ok(())
    }

    /// As [`Check::blocks_of`] for inodes and directories.
    fn inodes_of(&mut self, group: u32) -> Result<()> {
        let place = format!("group {group}");
        let Some(map) = self.note(&place, self.fs.inode_bitmap(group))? else { return Ok(()) };
        let g = self.fs.sb.geometry;
        let desc = self.fs.groups.get(group).clone();
        let free = bitmap::count_clear(&map, g.inodes_per_group);
        if free != desc.free_inodes {
            self.find(&place, format!("counts {} free inodes, has {free}", desc.free_inodes));
        }
        let is_dir = |mode: u16| mode & S_IFMT == S_IFDIR;
        let dirs = self.links.of_group(group).filter(|(_, known)| is_dir(known.mode)).count();
        if dirs != desc.used_dirs as usize {
            self.find(&place, format!("counts {} directories, has {dirs}", desc.used_dirs));
        }
        if self.fs.sb.group_csum() {
            let unused = g.inodes_per_group.saturating_sub(desc.itable_unused);
            let used = (unused..g.inodes_per_group).find(|&n| bitmap::get(&map, n));
            if let Some(index) = used {
                self.find(&place, format!("inode at {index} lies in the part never used"));
            }
        }
        if bitmap::find(&map, g.inodes_per_group, g.block_size * 8, false) != g.block_size * 8 {
            self.find(&place, "the inode bitmap shows inodes beyond the group as free");
        }
        Ok(())
    }

    /// Every inode is named as often as it counts, and no free one is named.
    fn link_counts(&mut self, group: u32) {
        let all: Vec<_> = self.links.of_group(group).collect();
        let orphans = self.fs.sb.orphan_file_inode();
        for (number, known) in all {
            let place = || format!("inode {number}");
            if known.mode == 0 && known.named > 0 {
                self.find(place(), "named in a directory, but free");
            }
            let hidden = number < self.fs.sb.first_inode() && number != ROOT || number == orphans;
            if known.mode == 0 || known.mode == S_IFMT || hidden {
                continue;
            }
            let many = known.mode & S_IFMT == S_IFDIR && known.counted == 1;
            if known.named == 0 {
                self.find(place(), "in use, but in no directory");
            } else if known.named != known.counted && !(many && known.named > MOST_LINKS) {
                let reason = format!("counts {} links, has {}", known.counted, known.named);
                self.find(place(), reason);
            }
        }
    }
}
