//! Allocating and freeing blocks. Large requests get few, long runs; small ones the first gap
//! near their goal.

use super::Run;
use crate::bitmap;
use crate::bytes::low32;
use crate::error::{Error, Result, corrupt};
use crate::fs::Ext4;
use crate::store::Store;

/// Highest block a block map can name, plus one (its entries are 32 bits wide).
const BLOCK_MAP_END: u64 = 1 << 32;

impl<S: Store> Ext4<S> {
    /// Refuses a request for more blocks than are free.
    pub(crate) fn require_blocks(&self, count: u64) -> Result<()> {
        let free = self.sb.free_blocks();
        if count > free {
            let bytes = |n: u64| n.saturating_mul(self.volume.block_size() as u64);
            return Err(Error::NoSpace { needed: bytes(count), free: bytes(free) });
        }
        Ok(())
    }

    /// Allocates `count` blocks in as few runs as can be had, the first as near behind `goal` as
    /// such a run is. The runs are in the order the content should be laid out.
    pub(crate) fn allocate(&mut self, count: u64, goal: u64) -> Result<Vec<Run>> {
        self.require_blocks(count)?;
        let mut runs: Vec<Run> = Vec::new();
        let mut left = count;
        let mut goal = goal;
        while left > 0 {
            let want = low32(left.min(u64::from(self.sb.geometry.blocks_per_group)));
            let Some((group, index, found)) = self.find_run(want, goal)? else {
                let free = 0;
                let needed = left.saturating_mul(self.volume.block_size() as u64);
                return Err(Error::NoSpace { needed, free });
            };
            let len = found.min(want);
            self.take(group, index, len)?;
            let start = self.sb.geometry.group_start(group) + u64::from(index);
            match runs.last_mut() {
                Some(last) if last.start + u64::from(last.len) == start => last.len += len,
                _ => runs.push(Run { start, len }),
            }
            goal = start + u64::from(len);
            left -= u64::from(len);
        }
        Ok(runs)
    }

    /// One block near `goal`.
    pub(crate) fn allocate_one(&mut self, goal: u64) -> Result<u64> {
        let runs = self.allocate(1, goal)?;
        runs.first().map(|run| run.start).ok_or_else(|| corrupt("allocator", "gave nothing"))
    }

    /// The first run of at least `want` free blocks at or after `goal`, going round; else the
    /// longest there is. Group, index in it, length.
    fn find_run(&mut self, want: u32, goal: u64) -> Result<Option<(u32, u32, u32)>> {
        let g = self.sb.geometry;
        let (first, index) = g.locate(goal).unwrap_or((0, 0));
        let end = self.usable_groups();
        let order = (first..end).chain(0..first.min(end));
        let mut best: Option<(u32, u32)> = None;
        for group in order {
            let free = self.groups.get(group).free_blocks;
            if free == 0 || best.is_some_and(|(_, len)| free <= len) {
                continue;
            }
            let longest = self.longest_run(group)?;
            if longest >= want {
                let from = if group == first { index } else { 0 };
                let (index, len) = self.first_run(group, want, from)?;
                return Ok(Some((group, index, len)));
            }
            if longest > best.map_or(0, |(_, len)| len) {
                best = Some((group, longest));
            }
        }
        let Some((group, longest)) = best else { return Ok(None) };
        let (index, len) = self.first_run(group, longest, 0)?;
        Ok(Some((group, index, len)))
    }

    /// Groups whose blocks files may use: without extents only those 32 bits can name.
    fn usable_groups(&self) -> u32 {
        let g = &self.sb.geometry;
        if self.uses_extents() || g.blocks <= BLOCK_MAP_END {
            g.groups
        } else {
            low32(BLOCK_MAP_END / u64::from(g.blocks_per_group))
        }
    }

    /// Length of the longest run of free blocks within a group.
    fn longest_run(&mut self, group: u32) -> Result<u32> {
        if let Some(known) = self.longest[group as usize] {
            return Ok(known);
        }
        let map = self.block_bitmap(group)?;
        let end = self.sb.geometry.group_blocks(group);
        let longest = bitmap::clear_runs(&map, 0, end).map(|(_, len)| len).max().unwrap_or(0);
        self.longest[group as usize] = Some(longest);
        Ok(longest)
    }

    /// First run of at least `want` blocks from index `from`, else from the group's start; the
    /// caller knows there is one.
    fn first_run(&self, group: u32, want: u32, from: u32) -> Result<(u32, u32)> {
        let map = self.block_bitmap(group)?;
        let end = self.sb.geometry.group_blocks(group);
        bitmap::clear_runs(&map, from, end)
            .chain(bitmap::clear_runs(&map, 0, end))
            .find(|&(_, len)| len >= want)
            .ok_or_else(|| corrupt(format!("group {group}"), "its free run vanished"))
    }

    /// Marks free blocks as used.
    fn take(&mut self, group: u32, index: u32, len: u32) -> Result<()> {
        let start = self.sb.geometry.group_start(group) + u64::from(index);
        if self.is_system(start, u64::from(len)) {
            let reason = "the block bitmap shows the file system's own blocks as free";
            return Err(corrupt(format!("group {group}"), reason));
        }
        bitmap::fill(self.block_bitmap_mut(group)?, index, len, true);
        self.adjust(group, |free| free.checked_sub(len), |free| free.checked_sub(u64::from(len)))?;
        self.volume.forget(start, u64::from(len));
        Ok(())
    }

    /// Frees blocks, which must be in use and not the file system's own.
    pub(crate) fn free(&mut self, start: u64, len: u64) -> Result<()> {
        let place = || format!("blocks {start}+{len}");
        let g = self.sb.geometry;
        if start.checked_add(len).is_none_or(|end| end > g.blocks) || self.is_system(start, len) {
            return Err(corrupt(place(), "part of a file, but not a place for files"));
        }
        self.volume.forget(start, len);
        let (mut at, end) = (start, start + len);
        while at < end {
            let Some((group, index)) = g.locate(at) else {
                return Err(corrupt(place(), "outside of all groups"));
            };
            let now = low32((end - at).min(u64::from(g.group_blocks(group) - index)));
            let map = self.block_bitmap_mut(group)?;
            if bitmap::find(map, index, index + now, false) != index + now {
                return Err(corrupt(place(), "part of a file, but free in the block bitmap"));
            }
            bitmap::fill(map, index, now, false);
            let total = u64::from(now);
            self.adjust(group, |free| free.checked_add(now), |free| free.checked_add(total))?;
            at += total;
        }
        Ok(())
    }

    fn adjust(
        &mut self,
        group: u32,
        of_group: impl FnOnce(u32) -> Option<u32>,
        of_all: impl FnOnce(u64) -> Option<u64>,
    ) -> Result<()> {
        let wrong = || corrupt(format!("group {group}"), "its free block count is wrong");
        let desc = self.groups.get_mut(group);
        desc.free_blocks = of_group(desc.free_blocks).ok_or_else(wrong)?;
        self.sb.set_free_blocks(of_all(self.sb.free_blocks()).ok_or_else(|| {
            corrupt("superblock", "the free block count does not fit those of the groups")
        })?);
        self.longest[group as usize] = None;
        Ok(())
    }
}
