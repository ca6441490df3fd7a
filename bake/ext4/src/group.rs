//! Group descriptors, 32 or 64 bytes (kernel documentation, ext4 "Block Group Descriptors").

use std::collections::{BTreeMap, BTreeSet};

use crate::bytes::{high16, high32, join16, join32, le16, le32, low16, low32, put16, put32};
use crate::csum::{crc16, crc32c};
use crate::error::{Result, corrupt};
use crate::features::incompat;
use crate::superblock::Superblock;

/// `bg_flags`: inode bitmap and table are not initialised; all inodes are free.
pub(crate) const INODE_UNINIT: u16 = 1;
/// `bg_flags`: the block bitmap is not initialised; only the group's own metadata is in use.
pub(crate) const BLOCK_UNINIT: u16 = 2;
/// `bg_flags`: the inode table is zeroed.
pub(crate) const INODE_ZEROED: u16 = 4;
const CHECKSUM: usize = 0x1E;

/// One descriptor, decoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Group {
    pub(crate) block_bitmap: u64,
    pub(crate) inode_bitmap: u64,
    pub(crate) inode_table: u64,
    pub(crate) free_blocks: u32,
    pub(crate) free_inodes: u32,
    pub(crate) used_dirs: u32,
    pub(crate) flags: u16,
    /// Inodes at the end of the table that were never used.
    pub(crate) itable_unused: u32,
    pub(crate) block_bitmap_csum: u32,
    pub(crate) inode_bitmap_csum: u32,
    /// `bg_exclude_bitmap`, and of long descriptors what lies beyond 60 bytes; kept.
    pub(crate) exclude: [u8; 4],
    pub(crate) rest: Vec<u8>,
}

impl Group {
    /// Decodes descriptor `raw`, which is `desc_size` long.
    pub(crate) fn decode(raw: &[u8]) -> Self {
        let wide = raw.len() >= 64;
        let hi32 = |at: usize| if wide { le32(raw, at) } else { 0 };
        let hi16 = |at: usize| if wide { le16(raw, at) } else { 0 };
        Self {
            block_bitmap: join32(le32(raw, 0x0), hi32(0x20)),
            inode_bitmap: join32(le32(raw, 0x4), hi32(0x24)),
            inode_table: join32(le32(raw, 0x8), hi32(0x28)),
            free_blocks: join16(le16(raw, 0xC), hi16(0x2C)),
            free_inodes: join16(le16(raw, 0xE), hi16(0x2E)),
            used_dirs: join16(le16(raw, 0x10), hi16(0x30)),
            flags: le16(raw, 0x12),
            exclude: [raw[0x14], raw[0x15], raw[0x16], raw[0x17]],
            block_bitmap_csum: join16(le16(raw, 0x18), hi16(0x38)),
            inode_bitmap_csum: join16(le16(raw, 0x1A), hi16(0x3A)),
            itable_unused: join16(le16(raw, 0x1C), hi16(0x32)),
            rest: if wide {
                raw[0x34..0x38].iter().chain(&raw[0x3C..]).copied().collect()
            } else {
                Vec::new()
            },
        }
    }

    /// Encodes with its checksum.
    pub(crate) fn encode(&self, sb: &Superblock, number: u32) -> Vec<u8> {
        let mut raw = vec![0; sb.geometry.desc_size as usize];
        put32(&mut raw, 0x0, low32(self.block_bitmap));
        put32(&mut raw, 0x4, low32(self.inode_bitmap));
        put32(&mut raw, 0x8, low32(self.inode_table));
        put16(&mut raw, 0xC, low16(self.free_blocks));
        put16(&mut raw, 0xE, low16(self.free_inodes));
        put16(&mut raw, 0x10, low16(self.used_dirs));
        put16(&mut raw, 0x12, self.flags);
        raw[0x14..0x18].copy_from_slice(&self.exclude);
        put16(&mut raw, 0x18, low16(self.block_bitmap_csum));
        put16(&mut raw, 0x1A, low16(self.inode_bitmap_csum));
        put16(&mut raw, 0x1C, low16(self.itable_unused));
        if raw.len() >= 64 {
            self.encode_high(&mut raw);
        }
        let sum = checksum(sb, number, &raw);
        put16(&mut raw, CHECKSUM, sum);
        raw
    }

    fn encode_high(&self, raw: &mut [u8]) {
        put32(raw, 0x20, high32(self.block_bitmap));
        put32(raw, 0x24, high32(self.inode_bitmap));
        put32(raw, 0x28, high32(self.inode_table));
        put16(raw, 0x2C, high16(self.free_blocks));
        put16(raw, 0x2E, high16(self.free_inodes));
        put16(raw, 0x30, high16(self.used_dirs));
        put16(raw, 0x32, high16(self.itable_unused));
        put16(raw, 0x38, high16(self.block_bitmap_csum));
        put16(raw, 0x3A, high16(self.inode_bitmap_csum));
        let rest = self.rest.len().min(raw.len() - 0x38);
        if rest >= 4 {
            raw[0x34..0x38].copy_from_slice(&self.rest[..4]);
            raw[0x3C..0x38 + rest].copy_from_slice(&self.rest[4..rest]);
        }
    }

    /// Whether a flag is set; without group checksums no flag means anything.
    pub(crate) fn is(&self, sb: &Superblock, flag: u16) -> bool {
        sb.group_csum() && self.flags & flag != 0
    }
}

/// `bg_checksum` of an encoded descriptor; 0 where the file system keeps none.
pub(crate) fn checksum(sb: &Superblock, number: u32, raw: &[u8]) -> u16 {
    let number = number.to_le_bytes();
    if sb.metadata_csum() {
        let crc = crc32c(crc32c(sb.csum_seed(), &number), &raw[..CHECKSUM]);
        low16(crc32c(crc32c(crc, &[0; 2]), &raw[CHECKSUM + 2..]))
    } else if sb.group_csum() {
        let crc = crc16(crc16(crc16(!0, &sb.uuid()), &number), &raw[..CHECKSUM]);
        let tail = if sb.has_incompat(incompat::IS_64BIT) { &raw[CHECKSUM + 2..] } else { &[] };
        crc16(crc, tail)
    } else {
        0
    }
}

/// Checksum of a bitmap's meaningful bytes, as far as the descriptor can hold it.
pub(crate) fn bitmap_checksum(sb: &Superblock, map: &[u8], bits: u32) -> u32 {
    let crc = crc32c(sb.csum_seed(), &map[..bits as usize / 8]);
    if sb.geometry.desc_size >= 64 { crc } else { crc & 0xFFFF }
}

/// All descriptors, and which of them changed since the last commit and in the current edit.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    all: Vec<Group>,
    dirty: BTreeSet<u32>,
    /// State before the current edit, and whether it was already uncommitted.
    before: BTreeMap<u32, (Group, bool)>,
}

impl Groups {
    /// Decodes the table and checks its checksums and every place it names.
    pub(crate) fn parse(table: &[u8], sb: &Superblock) -> Result<Self> {
        let size = sb.geometry.desc_size as usize;
        let mut all = Vec::with_capacity(sb.geometry.groups as usize);
        for (raw, number) in table.chunks_exact(size).zip(0..sb.geometry.groups) {
            let place = || format!("group {number}");
            if checksum(sb, number, raw) != le16(raw, CHECKSUM) && sb.group_csum() {
                return Err(corrupt(place(), "the checksum of its descriptor is wrong"));
            }
            let group = Group::decode(raw);
            check(&group, sb).map_err(|reason| corrupt(place(), reason))?;
            all.push(group);
        }
        Ok(Self { all, ..Self::default() })
    }

    /// Descriptor of a group below `geometry.groups`.
    pub(crate) fn get(&self, number: u32) -> &Group {
        &self.all[number as usize]
    }

    /// As [`Groups::get`], to change.
    pub(crate) fn get_mut(&mut self, number: u32) -> &mut Group {
        let group = &mut self.all[number as usize];
        let clean = self.dirty.insert(number);
        self.before.entry(number).or_insert_with(|| (group.clone(), !clean));
        group
    }

    /// Appends the descriptor of a new group.
    pub(crate) fn push(&mut self, group: Group) {
        self.dirty.insert(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        self.all.push(group);
    }

    /// All descriptors in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Group)> {
        (0..).zip(&self.all)
    }

    /// Numbers of those changed since the last commit.
    pub(crate) fn dirty(&self) -> &BTreeSet<u32> {
        &self.dirty
    }

    /// The current state is on the device.
    pub(crate) fn committed(&mut self) {
        self.dirty.clear();
    }

    /// An edit begins or has succeeded: there is nothing to go back to.
    pub(crate) fn accept(&mut self) {
        self.before.clear();
    }

    /// An edit failed; returns the groups that were restored.
    pub(crate) fn rollback(&mut self, groups: u32) -> Vec<u32> {
        self.all.truncate(groups as usize);
        let before = std::mem::take(&mut self.before);
        let restored = before.keys().copied().collect();
        self.dirty.retain(|&number| number < groups);
        for (number, (group, was_dirty)) in before {
            if !was_dirty {
                self.dirty.remove(&number);
            }
            if let Some(slot) = self.all.get_mut(number as usize) {
                *slot = group;
            }
        }
        restored
    }
}

fn check(group: &Group, sb: &Superblock) -> Result<(), &'static str> {
    let g = &sb.geometry;
    let within = |block: u64, len: u32| {
        block > u64::from(g.first_data_block)
            && block.checked_add(u64::from(len)).is_some_and(|end| end <= g.blocks)
    };
    if !within(group.block_bitmap, 1) || !within(group.inode_bitmap, 1) {
        return Err("a bitmap lies outside the file system");
    }
    if !within(group.inode_table, g.inode_table_blocks()) {
        return Err("its inode table lies outside the file system");
    }
    if group.free_blocks > g.blocks_per_group
        || group.free_inodes > g.inodes_per_group
        || group.itable_unused > g.inodes_per_group
        || group.used_dirs > g.inodes_per_group
    {
        return Err("a count is larger than the group");
    }
    Ok(())
}
