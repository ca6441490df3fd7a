//! The superblock: 1024 bytes at byte 1024 (kernel documentation, ext4 "Super Block").

use crate::bytes::{high32, join32, le16, le32, low16, low32, put16, put32};
use crate::csum::crc32c;
use crate::error::{Result, corrupt, unsupported};
use crate::features::{self, compat, incompat, ro_compat};

/// Where the primary superblock lies, in bytes.
pub(crate) const OFFSET: u64 = 1024;
/// Length of a superblock, in bytes.
pub(crate) const SIZE: usize = 1024;
const MAGIC: u16 = 0xEF53;
const CHECKSUM: usize = 0x3FC;

/// `s_state`: cleanly unmounted.
pub(crate) const STATE_VALID: u16 = 1;
/// `s_state`: the kernel saw errors.
pub(crate) const STATE_ERROR: u16 = 2;
const FLAG_SIGNED_HASH: u32 = 1;
const FLAG_UNSIGNED_HASH: u32 = 2;

/// Numbers that place everything else; they change only when the file system grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Bytes, 1024 to 65536.
    pub(crate) block_size: u32,
    /// 1 with 1 KiB blocks, else 0.
    pub(crate) first_data_block: u32,
    /// Blocks of the file system, block 0 included.
    pub(crate) blocks: u64,
    pub(crate) blocks_per_group: u32,
    pub(crate) inodes_per_group: u32,
    pub(crate) groups: u32,
    /// Bytes on disk of one inode.
    pub(crate) inode_size: u32,
    /// Bytes of one group descriptor, 32 to 1024.
    pub(crate) desc_size: u32,
}

impl Geometry {
    /// First block of a group.
    pub(crate) fn group_start(&self, group: u32) -> u64 {
        u64::from(self.first_data_block) + u64::from(group) * u64::from(self.blocks_per_group)
    }

    /// Blocks in a group: all are full but the last.
    pub(crate) fn group_blocks(&self, group: u32) -> u32 {
        let left = self.blocks - self.group_start(group);
        low32(left.min(u64::from(self.blocks_per_group)))
    }

    /// Group and index within it of a block that holds data or metadata of a group.
    pub(crate) fn locate(&self, block: u64) -> Option<(u32, u32)> {
        let n = block.checked_sub(u64::from(self.first_data_block))?;
        let per_group = u64::from(self.blocks_per_group);
        (block < self.blocks).then(|| (low32(n / per_group), low32(n % per_group)))
    }

    /// Blocks of one group's inode table.
    pub(crate) fn inode_table_blocks(&self) -> u32 {
        low32(
            (u64::from(self.inodes_per_group) * u64::from(self.inode_size))
                .div_ceil(u64::from(self.block_size)),
        )
    }

    /// Blocks of the whole descriptor table.
    pub(crate) fn gdt_blocks(&self) -> u32 {
        low32(
            (u64::from(self.groups) * u64::from(self.desc_size))
                .div_ceil(u64::from(self.block_size)),
        )
    }

    /// Inodes of the whole file system; numbers run from 1 to this.
    pub(crate) fn inodes(&self) -> u32 {
        self.groups * self.inodes_per_group
    }

    /// Byte offset of a block.
    pub(crate) fn byte(&self, block: u64) -> u64 {
        block * u64::from(self.block_size)
    }
}

/// The superblock, kept as its bytes so that fields unknown to us survive.
#[derive(Debug, Clone)]
pub(crate) struct Superblock {
    raw: Box<[u8; SIZE]>,
    pub(crate) geometry: Geometry,
}

impl Superblock {
    /// Parses, passes the feature gate and checks every number others rely on.
    /// `device` is the length of the device in bytes.
    pub(crate) fn parse(raw: &[u8; SIZE], device: u64) -> Result<Self> {
        if le16(raw, 0x38) != MAGIC {
            return Err(corrupt("superblock", "no ext2, ext3 or ext4 file system here"));
        }
        let [compat, incompat, ro_compat] = [le32(raw, 0x5C), le32(raw, 0x60), le32(raw, 0x64)];
        if le32(raw, 0x4C) == 0 {
            return Err(unsupported("revision 0 (a file system of before 1997)"));
        }
        features::gate(compat, incompat, ro_compat)?;
        let geometry = geometry(raw, device)?;
        let sb = Self { raw: Box::new(*raw), geometry };
        if sb.metadata_csum() {
            if raw[0x175] != 1 {
                return Err(unsupported(format!("checksum type {}", raw[0x175])));
            }
            if le32(raw, CHECKSUM) != crc32c(!0, &raw[..CHECKSUM]) {
                return Err(corrupt("superblock", "its checksum is wrong"));
            }
        }
        Ok(sb)
    }

    /// Bytes of the primary superblock, checksummed.
    pub(crate) fn encode(&self) -> [u8; SIZE] {
        let mut raw = *self.raw;
        self.seal(&mut raw);
        raw
    }

    /// Bytes of the backup in `group`: never marked clean nor in need of recovery, so that whoever
    /// falls back on it checks the file system first.
    pub(crate) fn encode_backup(&self, group: u32) -> [u8; SIZE] {
        let mut raw = *self.raw;
        put16(&mut raw, 0x5A, low16(group));
        put16(&mut raw, 0x3A, self.state() & !STATE_VALID);
        put32(&mut raw, 0x60, self.incompat() & !incompat::RECOVER);
        self.seal(&mut raw);
        raw
    }

    fn seal(&self, raw: &mut [u8; SIZE]) {
        if self.metadata_csum() {
            let sum = crc32c(!0, &raw[..CHECKSUM]);
            put32(raw, CHECKSUM, sum);
        }
    }

    /// Raw bytes, for fields that only one module cares for.
    pub(crate) fn raw(&self) -> &[u8; SIZE] {
        &self.raw
    }

    /// As [`Superblock::raw`], to change. Geometry fields change through
    /// [`Superblock::set_blocks`] only.
    pub(crate) fn raw_mut(&mut self) -> &mut [u8; SIZE] {
        &mut self.raw
    }

    pub(crate) fn compat(&self) -> u32 {
        le32(&*self.raw, 0x5C)
    }

    pub(crate) fn incompat(&self) -> u32 {
        le32(&*self.raw, 0x60)
    }

    pub(crate) fn ro_compat(&self) -> u32 {
        le32(&*self.raw, 0x64)
    }

    pub(crate) fn has_compat(&self, bit: u32) -> bool {
        self.compat() & bit != 0
    }

    pub(crate) fn has_incompat(&self, bit: u32) -> bool {
        self.incompat() & bit != 0
    }

    pub(crate) fn has_ro_compat(&self, bit: u32) -> bool {
        self.ro_compat() & bit != 0
    }

    /// Sets or clears bits of `s_feature_compat`.
    pub(crate) fn set_compat(&mut self, bit: u32, on: bool) {
        let bits = if on { self.compat() | bit } else { self.compat() & !bit };
        put32(&mut *self.raw, 0x5C, bits);
    }

    /// Sets or clears bits of `s_feature_incompat`.
    pub(crate) fn set_incompat(&mut self, bit: u32, on: bool) {
        let bits = if on { self.incompat() | bit } else { self.incompat() & !bit };
        put32(&mut *self.raw, 0x60, bits);
    }

    /// Sets or clears bits of `s_feature_ro_compat`.
    pub(crate) fn set_ro_compat(&mut self, bit: u32, on: bool) {
        let bits = if on { self.ro_compat() | bit } else { self.ro_compat() & !bit };
        put32(&mut *self.raw, 0x64, bits);
    }

    /// CRC-32C over all metadata.
    pub(crate) fn metadata_csum(&self) -> bool {
        self.has_ro_compat(ro_compat::METADATA_CSUM)
    }

    /// Whether group descriptors carry a checksum, UNINIT flags and `bg_itable_unused`.
    pub(crate) fn group_csum(&self) -> bool {
        self.has_ro_compat(ro_compat::METADATA_CSUM | ro_compat::GDT_CSUM)
    }

    /// Seed of all CRC-32C sums but the superblock's own.
    pub(crate) fn csum_seed(&self) -> u32 {
        if self.has_incompat(incompat::CSUM_SEED) {
            le32(&*self.raw, 0x270)
        } else {
            crc32c(!0, &self.uuid())
        }
    }

    /// Blocks of the file system, after growing; the geometry follows.
    pub(crate) fn set_blocks(&mut self, blocks: u64, groups: u32) {
        put32(&mut *self.raw, 0x4, low32(blocks));
        if self.has_incompat(incompat::IS_64BIT) {
            put32(&mut *self.raw, 0x150, high32(blocks));
        }
        self.geometry.blocks = blocks;
        self.geometry.groups = groups;
        let inodes = self.geometry.inodes();
        put32(&mut *self.raw, 0x0, inodes);
    }

    /// Blocks kept for root.
    pub(crate) fn reserved_blocks(&self) -> u64 {
        self.wide(0x8, 0x154)
    }

    pub(crate) fn set_reserved_blocks(&mut self, n: u64) {
        self.set_wide(0x8, 0x154, n);
    }

    pub(crate) fn free_blocks(&self) -> u64 {
        self.wide(0xC, 0x158)
    }

    pub(crate) fn set_free_blocks(&mut self, n: u64) {
        self.set_wide(0xC, 0x158, n);
    }

    pub(crate) fn free_inodes(&self) -> u32 {
        le32(&*self.raw, 0x10)
    }

    pub(crate) fn set_free_inodes(&mut self, n: u32) {
        put32(&mut *self.raw, 0x10, n);
    }

    fn wide(&self, low: usize, high: usize) -> u64 {
        let wide = self.has_incompat(incompat::IS_64BIT);
        join32(le32(&*self.raw, low), if wide { le32(&*self.raw, high) } else { 0 })
    }

    fn set_wide(&mut self, low: usize, high: usize, value: u64) {
        put32(&mut *self.raw, low, low32(value));
        if self.has_incompat(incompat::IS_64BIT) {
            put32(&mut *self.raw, high, high32(value));
        }
    }

    /// `s_state`.
    pub(crate) fn state(&self) -> u16 {
        le16(&*self.raw, 0x3A)
    }

    /// Time of the last write, seconds since the epoch (40 bits on disk).
    pub(crate) fn write_time(&self) -> i64 {
        i64::from(le32(&*self.raw, 0x30)) | i64::from(self.raw[0x274]) << 32
    }

    pub(crate) fn set_write_time(&mut self, seconds: i64) {
        let seconds = seconds.clamp(0, (1 << 40) - 1).cast_unsigned();
        put32(&mut *self.raw, 0x30, low32(seconds));
        self.raw[0x274] = high32(seconds).to_le_bytes()[0];
    }

    /// First inode not reserved, 11 as a rule (`lost+found`).
    pub(crate) fn first_inode(&self) -> u32 {
        le32(&*self.raw, 0x54)
    }

    pub(crate) fn uuid(&self) -> [u8; 16] {
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&self.raw[0x68..0x78]);
        uuid
    }

    /// Volume label, without its padding.
    pub(crate) fn label(&self) -> &[u8] {
        let label = &self.raw[0x78..0x88];
        &label[..label.iter().position(|&b| b == 0).unwrap_or(label.len())]
    }

    /// Inode of the internal journal, 0 if none.
    pub(crate) fn journal_inode(&self) -> u32 {
        le32(&*self.raw, 0xE0)
    }

    /// Head of the list of orphaned inodes, 0 if empty.
    pub(crate) fn last_orphan(&self) -> u32 {
        le32(&*self.raw, 0xE8)
    }

    pub(crate) fn set_last_orphan(&mut self, inode: u32) {
        put32(&mut *self.raw, 0xE8, inode);
    }

    /// Inode of the orphan file, 0 if none.
    pub(crate) fn orphan_file_inode(&self) -> u32 {
        if self.has_compat(compat::ORPHAN_FILE) { le32(&*self.raw, 0x280) } else { 0 }
    }

    /// Seed of directory hashes; all zero means the built-in one.
    pub(crate) fn hash_seed(&self) -> [u32; 4] {
        std::array::from_fn(|n| le32(&*self.raw, 0xEC + 4 * n))
    }

    /// Hash of new indexed directories: 0 legacy, 1 half-MD4, 2 TEA.
    pub(crate) fn default_hash(&self) -> u8 {
        self.raw[0xFC]
    }

    /// Whether names are hashed as unsigned characters.
    pub(crate) fn unsigned_hash(&self) -> bool {
        le32(&*self.raw, 0x160) & FLAG_UNSIGNED_HASH != 0
    }

    /// Records that names are hashed as signed characters where nothing is recorded yet, as the
    /// kernel does on the machines such file systems come from.
    pub(crate) fn settle_hash_sign(&mut self) {
        let flags = le32(&*self.raw, 0x160);
        if flags & (FLAG_SIGNED_HASH | FLAG_UNSIGNED_HASH) == 0 {
            put32(&mut *self.raw, 0x160, flags | FLAG_SIGNED_HASH);
        }
    }

    /// Blocks set aside after the descriptors for their growth.
    pub(crate) fn reserved_gdt_blocks(&self) -> u32 {
        u32::from(le16(&*self.raw, 0xCE))
    }

    /// Bytes of an inode beyond 128 that new inodes use.
    pub(crate) fn want_extra_isize(&self) -> u16 {
        let room = self.geometry.inode_size - 128;
        let want = le16(&*self.raw, 0x15E).max(le16(&*self.raw, 0x15C));
        let want = if want == 0 { 32 } else { want & !3 };
        want.min(u16::try_from(room).unwrap_or(u16::MAX))
    }

    /// Groups in one flexible group; 1 without `flex_bg`.
    pub(crate) fn flex_groups(&self) -> u32 {
        let log = u32::from(self.raw[0x174]);
        if self.has_incompat(incompat::FLEX_BG) && log < 31 { 1 << log } else { 1 }
    }

    /// Whether a group starts with a copy of superblock and descriptors: group 0, and with
    /// `sparse_super` only 1 and the powers of 3, 5 and 7; with `sparse_super2` two named groups.
    pub(crate) fn has_super(&self, group: u32) -> bool {
        if group == 0 {
            return true;
        }
        if self.has_compat(compat::SPARSE_SUPER2) {
            return [0x24C, 0x250].iter().any(|&at| le32(&*self.raw, at) == group);
        }
        if group == 1 || !self.has_ro_compat(ro_compat::SPARSE_SUPER) {
            return true;
        }
        [3_u32, 5, 7].iter().any(|&base| {
            let mut power = base;
            while power < group {
                power = power.saturating_mul(base);
            }
            power == group
        })
    }

    /// Names of the features set.
    pub(crate) fn features(&self) -> Vec<String> {
        features::list(self.compat(), self.incompat(), self.ro_compat())
    }
}

/// Reads and checks every number of the layout.
fn geometry(raw: &[u8; SIZE], device: u64) -> Result<Geometry> {
    let wrong = |reason: &str| Err(corrupt("superblock", reason));
    let log_block = le32(raw, 0x18);
    if log_block > 6 {
        return wrong("block size above 64 KiB");
    }
    let block_size = 1024 << log_block;
    let is_64bit = le32(raw, 0x60) & incompat::IS_64BIT != 0;
    let blocks = join32(le32(raw, 0x4), if is_64bit { le32(raw, 0x150) } else { 0 });
    let first_data_block = le32(raw, 0x14);
    if first_data_block != u32::from(log_block == 0) {
        return wrong("first data block does not fit the block size");
    }
    if blocks > device / u64::from(block_size) {
        return wrong("the file system is larger than its device");
    }
    let blocks_per_group = le32(raw, 0x20);
    if blocks_per_group == 0
        || blocks_per_group > block_size * 8
        || !blocks_per_group.is_multiple_of(8)
    {
        return wrong("impossible number of blocks per group");
    }
    let inode_size = u32::from(le16(raw, 0x58));
    if !(128..=block_size).contains(&inode_size) || !inode_size.is_power_of_two() {
        return wrong("impossible inode size");
    }
    let inodes_per_group = le32(raw, 0x28);
    if inodes_per_group == 0
        || inodes_per_group > block_size * 8
        || !inodes_per_group.is_multiple_of(8)
    {
        return wrong("impossible number of inodes per group");
    }
    let desc_size = if is_64bit { u32::from(le16(raw, 0xFE)) } else { 32 };
    if !(32..=1024).contains(&desc_size)
        || !desc_size.is_power_of_two()
        || (is_64bit && desc_size < 64)
    {
        return wrong("impossible size of group descriptors");
    }
    let Some(data) = blocks.checked_sub(u64::from(first_data_block)).filter(|&n| n > 0) else {
        return wrong("no blocks");
    };
    let groups = data.div_ceil(u64::from(blocks_per_group));
    match groups.checked_mul(u64::from(inodes_per_group)) {
        Some(n) if n == u64::from(le32(raw, 0)) => {}
        _ => return wrong("number of inodes does not fit the number of groups"),
    }
    Ok(Geometry {
        block_size,
        first_data_block,
        blocks,
        blocks_per_group,
        inodes_per_group,
        groups: low32(groups),
        inode_size,
        desc_size,
    })
}
