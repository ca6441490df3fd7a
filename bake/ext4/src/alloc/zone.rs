//! The blocks that belong to the file system itself and can never be part of a file.

use crate::fs::Ext4;
use crate::store::Store;

impl<S: Store> Ext4<S> {
    /// Bitmaps, inode tables, superblocks and descriptors: ascending, disjoint `(start, end)`.
    pub(crate) fn system_zone(&self) -> Vec<(u64, u64)> {
        let g = &self.sb.geometry;
        let mut zone = vec![(0, u64::from(g.first_data_block) + 1)];
        for (group, desc) in self.groups.iter() {
            let start = g.group_start(group);
            let copies = self.super_blocks(group).min(1 + g.gdt_blocks());
            zone.push((start, start + u64::from(copies)));
            zone.push((desc.block_bitmap, desc.block_bitmap + 1));
            zone.push((desc.inode_bitmap, desc.inode_bitmap + 1));
            zone.push((desc.inode_table, desc.inode_table + u64::from(g.inode_table_blocks())));
        }
        zone.retain(|(start, end)| start < end);
        zone.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::new();
        for (start, end) in zone {
            match merged.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        merged
    }

    /// Whether a run of blocks touches the file system's own.
    pub(crate) fn is_system(&self, start: u64, len: u64) -> bool {
        let zone = self.zone.get_or_init(|| self.system_zone());
        let after = zone.partition_point(|&(_, end)| end <= start);
        zone.get(after).is_some_and(|&(first, _)| first < start.saturating_add(len))
    }
}
