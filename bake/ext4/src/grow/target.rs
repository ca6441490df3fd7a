//! How far a file system reaches on a device of a given length.

use crate::bytes::low32;
use crate::error::{Error, Result};
use crate::features::incompat;
use crate::superblock::{Geometry, Superblock};

/// Blocks a group must have beyond its own metadata to be worth making, as in mke2fs.
const WORTHWHILE: u32 = 50;

/// Geometry on `len` bytes.
pub(crate) fn target(sb: &Superblock, len: u64) -> Result<Geometry> {
    let old = sb.geometry;
    let refuse = |reason: String| Err(Error::Resize { asked: len, reason });
    let mut blocks = len / u64::from(old.block_size);
    if blocks < old.blocks {
        let present = old.byte(old.blocks);
        return refuse(format!("shrinking is not done, and it has {present} bytes"));
    }
    let first = u64::from(old.first_data_block);
    let per_group = u64::from(old.blocks_per_group);
    let rest = (blocks - first) % per_group;
    let mut groups = (blocks - first).div_ceil(per_group);
    if groups > u64::from(old.groups) && rest != 0 {
        let last = u32::try_from(groups - 1).unwrap_or(u32::MAX);
        if rest < u64::from(overhead(sb, last) + WORTHWHILE) {
            blocks -= rest;
            groups -= 1;
        }
    }
    let limit = largest(sb);
    if blocks > limit {
        let bytes = old.byte(limit);
        return refuse(format!(
            "the space reserved for group descriptors, or the width of its numbers, allows at \
             most {bytes} bytes"
        ));
    }
    Ok(Geometry { blocks, groups: low32(groups), ..old })
}

/// Blocks of its own metadata in a group that holds nobody else's.
pub(crate) fn overhead(sb: &Superblock, group: u32) -> u32 {
    super_blocks(sb, group) + 2 + sb.geometry.inode_table_blocks()
}

/// Blocks of superblock, descriptors and their reserve at the start of a group. Their sum does
/// not change by growing.
pub(crate) fn super_blocks(sb: &Superblock, group: u32) -> u32 {
    if sb.has_super(group) { 1 + sb.geometry.gdt_blocks() + sb.reserved_gdt_blocks() } else { 0 }
}

/// Most blocks the descriptor table, block numbers and inode numbers can serve.
fn largest(sb: &Superblock) -> u64 {
    let g = &sb.geometry;
    let table = u64::from(g.gdt_blocks() + sb.reserved_gdt_blocks());
    let by_table = table * u64::from(g.block_size / g.desc_size);
    let by_inodes = u64::from(u32::MAX / g.inodes_per_group);
    let groups = by_table.min(by_inodes).max(u64::from(g.groups));
    let blocks = u64::from(g.first_data_block) + groups * u64::from(g.blocks_per_group);
    // Block numbers in the resize inode have 32 bits whatever the rest has.
    let narrow = !sb.has_incompat(incompat::IS_64BIT) || sb.reserved_gdt_blocks() > 0;
    if narrow { blocks.min(u64::from(u32::MAX)) } else { blocks }
}
