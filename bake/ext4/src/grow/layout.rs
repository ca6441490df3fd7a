//! Where the metadata of new groups lies. With `flex_bg` the bitmaps and inode tables of one
//! flexible group's new groups are packed into the first of them, so that the others are one free
//! piece each (kernel documentation, ext4 "Flexible Block Groups").

use std::ops::Range;

use super::target::super_blocks;
use crate::error::{Result, corrupt};
use crate::superblock::Superblock;

/// One new group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) group: u32,
    pub(crate) block_bitmap: u64,
    pub(crate) inode_bitmap: u64,
    pub(crate) inode_table: u64,
    /// Blocks of superblock, descriptors and reserve at its start.
    pub(crate) super_blocks: u32,
    /// Blocks in use from its start on, for its own metadata or others'.
    pub(crate) used: u32,
}

/// Places for all of `groups`; the superblock has the new geometry already.
pub(crate) fn places(sb: &Superblock, groups: Range<u32>) -> Result<Vec<Place>> {
    let flex = sb.flex_groups();
    let mut places = Vec::new();
    let mut start = groups.start;
    while start < groups.end {
        let end = (start / flex * flex).saturating_add(flex).min(groups.end);
        if fits(sb, start, end - start) {
            pack(sb, start..end, &mut places);
        } else {
            for group in start..end {
                if !fits(sb, group, 1) {
                    let place = format!("group {group}");
                    return Err(corrupt(place, "a new group has no room for its own inode table"));
                }
                pack(sb, group..group + 1, &mut places);
            }
        }
        start = end;
    }
    Ok(places)
}

/// Whether `group` has room for the metadata of `count` groups.
fn fits(sb: &Superblock, group: u32, count: u32) -> bool {
    let need = u64::from(count) * u64::from(2 + sb.geometry.inode_table_blocks());
    u64::from(super_blocks(sb, group)) + need <= u64::from(sb.geometry.group_blocks(group))
}

/// All metadata of `groups` goes into the first of them.
fn pack(sb: &Superblock, groups: Range<u32>, places: &mut Vec<Place>) {
    let g = &sb.geometry;
    let first = groups.start;
    let count = groups.end - first;
    let table = g.inode_table_blocks();
    let base = g.group_start(first) + u64::from(super_blocks(sb, first));
    for group in groups {
        let n = group - first;
        let super_blocks = super_blocks(sb, group);
        let packed = if group == first { count * (2 + table) } else { 0 };
        places.push(Place {
            group,
            block_bitmap: base + u64::from(n),
            inode_bitmap: base + u64::from(count + n),
            inode_table: base + u64::from(2 * count + n * table),
            super_blocks,
            used: super_blocks + packed,
        });
    }
}
