//! Inodes: 128 bytes, and beyond them `i_extra_isize` bytes and attributes (kernel documentation,
//! ext4 "Index Nodes").

mod table;
mod time;

pub(crate) use self::time::Stamp;

use crate::bytes::{high16, high32, join16, join32, le16, le32, low16, low32, put16, put32};
use crate::csum::{crc32c, inode_seed};

/// File type bits of `i_mode`.
pub(crate) const S_IFMT: u16 = 0o170_000;
pub(crate) const S_IFDIR: u16 = 0o040_000;
pub(crate) const S_IFREG: u16 = 0o100_000;
pub(crate) const S_IFLNK: u16 = 0o120_000;

/// `i_flags`: the directory has a hash tree.
pub(crate) const FLAG_INDEX: u32 = 0x1000;
/// `i_flags`: `i_blocks` counts file system blocks instead of 512-byte units.
pub(crate) const FLAG_HUGE_FILE: u32 = 0x4_0000;
/// `i_flags`: blocks are mapped by extents.
pub(crate) const FLAG_EXTENTS: u32 = 0x8_0000;
/// `i_flags` of things the feature gate keeps out: encrypt, verity, ea_inode, inline data,
/// casefold.
pub(crate) const FLAGS_REFUSED: u32 = 0x800 | 0x10_0000 | 0x20_0000 | 0x1000_0000 | 0x4000_0000;

/// Root directory.
pub(crate) const ROOT: u32 = 2;
/// The inode that holds the reserved descriptor blocks.
pub(crate) const RESIZE: u32 = 7;

const CSUM_LOW: usize = 0x7C;
const CSUM_HIGH: usize = 0x82;

/// One inode, kept as its bytes so that fields unknown to us survive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inode {
    raw: Vec<u8>,
}

impl Inode {
    /// An all-zero inode of `size` bytes, with `extra` bytes of fields beyond 128.
    pub(crate) fn empty(size: u32, extra: u16) -> Self {
        let mut raw = vec![0; size as usize];
        if raw.len() > 128 {
            put16(&mut raw, 0x80, extra);
        }
        Self { raw }
    }

    pub(crate) fn from_raw(raw: &[u8]) -> Self {
        Self { raw: raw.to_vec() }
    }

    pub(crate) fn raw(&self) -> &[u8] {
        &self.raw
    }

    pub(crate) fn mode(&self) -> u16 {
        le16(&self.raw, 0x0)
    }

    pub(crate) fn set_mode(&mut self, mode: u16) {
        put16(&mut self.raw, 0x0, mode);
    }

    pub(crate) fn is_dir(&self) -> bool {
        self.mode() & S_IFMT == S_IFDIR
    }

    pub(crate) fn is_file(&self) -> bool {
        self.mode() & S_IFMT == S_IFREG
    }

    pub(crate) fn is_symlink(&self) -> bool {
        self.mode() & S_IFMT == S_IFLNK
    }

    /// Whether `i_block` maps blocks: not for device nodes, FIFOs, sockets and short symbolic
    /// links.
    pub(crate) fn has_map(&self, sectors_of_xattr_block: u64) -> bool {
        self.is_dir()
            || self.is_file()
            || self.is_symlink() && !self.is_fast_symlink(sectors_of_xattr_block)
    }

    /// Whether the target of a symbolic link is in `i_block`: then no block but that of extended
    /// attributes counts, as the kernel's `ext4_inode_is_fast_symlink` decides.
    pub(crate) fn is_fast_symlink(&self, sectors_of_xattr_block: u64) -> bool {
        let xattr = if self.file_acl() == 0 { 0 } else { sectors_of_xattr_block };
        self.is_symlink() && self.raw_blocks().saturating_sub(xattr) == 0
    }

    pub(crate) fn uid(&self) -> u32 {
        join16(le16(&self.raw, 0x2), le16(&self.raw, 0x78))
    }

    pub(crate) fn gid(&self) -> u32 {
        join16(le16(&self.raw, 0x18), le16(&self.raw, 0x7A))
    }

    pub(crate) fn set_owner(&mut self, uid: u32, gid: u32) {
        put16(&mut self.raw, 0x2, low16(uid));
        put16(&mut self.raw, 0x78, high16(uid));
        put16(&mut self.raw, 0x18, low16(gid));
        put16(&mut self.raw, 0x7A, high16(gid));
    }

    /// Bytes of content.
    pub(crate) fn size(&self) -> u64 {
        join32(le32(&self.raw, 0x4), le32(&self.raw, 0x6C))
    }

    pub(crate) fn set_size(&mut self, size: u64) {
        put32(&mut self.raw, 0x4, low32(size));
        put32(&mut self.raw, 0x6C, high32(size));
    }

    /// Time of deletion; in orphans the next inode of the list.
    pub(crate) fn dtime(&self) -> u32 {
        le32(&self.raw, 0x14)
    }

    pub(crate) fn set_dtime(&mut self, value: u32) {
        put32(&mut self.raw, 0x14, value);
    }

    pub(crate) fn links(&self) -> u16 {
        le16(&self.raw, 0x1A)
    }

    pub(crate) fn set_links(&mut self, links: u16) {
        put16(&mut self.raw, 0x1A, links);
    }

    /// `i_blocks` as stored: 512-byte units, or file system blocks with [`FLAG_HUGE_FILE`].
    pub(crate) fn raw_blocks(&self) -> u64 {
        join32(le32(&self.raw, 0x1C), u32::from(le16(&self.raw, 0x74)))
    }

    /// Blocks owned, data and metadata, in file system blocks.
    pub(crate) fn blocks(&self, block_size: usize) -> u64 {
        let raw = self.raw_blocks();
        if self.flags() & FLAG_HUGE_FILE != 0 { raw } else { raw / (block_size as u64 / 512) }
    }

    /// Sets the number of file system blocks owned. Counts beyond 32 bits of 512-byte units need
    /// the feature `huge_file`; false where it is lacking.
    #[must_use]
    pub(crate) fn set_blocks(&mut self, blocks: u64, block_size: usize, huge_file: bool) -> bool {
        let sectors = blocks * (block_size as u64 / 512);
        let (raw, flag) = if sectors >> 48 == 0 { (sectors, 0) } else { (blocks, FLAG_HUGE_FILE) };
        if raw >> 32 != 0 && !huge_file {
            return false;
        }
        put32(&mut self.raw, 0x1C, low32(raw));
        put16(&mut self.raw, 0x74, low16(high32(raw)));
        self.set_flags(self.flags() & !FLAG_HUGE_FILE | flag);
        true
    }

    pub(crate) fn flags(&self) -> u32 {
        le32(&self.raw, 0x20)
    }

    pub(crate) fn set_flags(&mut self, flags: u32) {
        put32(&mut self.raw, 0x20, flags);
    }

    pub(crate) fn has_extents(&self) -> bool {
        self.flags() & FLAG_EXTENTS != 0
    }

    /// `i_block`: 60 bytes of extent root, block map or short link target.
    pub(crate) fn block_area(&self) -> &[u8] {
        &self.raw[0x28..0x64]
    }

    pub(crate) fn block_area_mut(&mut self) -> &mut [u8] {
        &mut self.raw[0x28..0x64]
    }

    pub(crate) fn generation(&self) -> u32 {
        le32(&self.raw, 0x64)
    }

    /// Block of extended attributes, 0 if none.
    pub(crate) fn file_acl(&self) -> u64 {
        join32(le32(&self.raw, 0x68), u32::from(le16(&self.raw, 0x76)))
    }

    pub(crate) fn set_file_acl(&mut self, block: u64) {
        put32(&mut self.raw, 0x68, low32(block));
        put16(&mut self.raw, 0x76, low16(high32(block)));
    }

    /// Bytes of fields in use beyond the first 128.
    pub(crate) fn extra_isize(&self) -> u16 {
        if self.raw.len() > 128 { le16(&self.raw, 0x80) } else { 0 }
    }

    /// The space for extended attributes behind the fields; empty in 128-byte inodes.
    pub(crate) fn xattr_area(&self) -> &[u8] {
        let start = (128 + usize::from(self.extra_isize())).min(self.raw.len());
        if self.raw.len() == 128 { &[] } else { &self.raw[start..] }
    }

    pub(crate) fn xattr_area_mut(&mut self) -> &mut [u8] {
        let start = (128 + usize::from(self.extra_isize())).min(self.raw.len());
        let start = if self.raw.len() == 128 { 128 } else { start };
        &mut self.raw[start..]
    }

    /// Gives an inode that uses nothing beyond its first 128 bytes its extra fields, all zero, as
    /// the kernel does when it next writes such an inode.
    pub(crate) fn widen(&mut self, extra: u16) {
        if self.raw.len() > 128 && self.extra_isize() == 0 {
            self.raw[128..].fill(0);
            put16(&mut self.raw, 0x80, extra);
        }
    }

    /// Whether the field of `len` bytes at `at` (beyond 128) is in use.
    fn has_extra(&self, at: usize, len: usize) -> bool {
        self.raw.len() > 128 && at + len <= 128 + usize::from(self.extra_isize())
    }

    /// Seed of the checksums of everything the inode owns.
    pub(crate) fn seed(&self, fs_seed: u32, number: u32) -> u32 {
        inode_seed(fs_seed, number, self.generation())
    }

    fn checksum(&self, seed: u32) -> u32 {
        let mut copy = self.raw.clone();
        put16(&mut copy, CSUM_LOW, 0);
        if self.has_extra(CSUM_HIGH, 2) {
            put16(&mut copy, CSUM_HIGH, 0);
        }
        crc32c(seed, &copy)
    }

    /// Whether the stored checksum is right; inodes never used are all zero and have none.
    pub(crate) fn checksum_is_right(&self, fs_seed: u32, number: u32) -> bool {
        let sum = self.checksum(self.seed(fs_seed, number));
        let high = self.has_extra(CSUM_HIGH, 2);
        (le16(&self.raw, CSUM_LOW) == low16(sum)
            && (!high || le16(&self.raw, CSUM_HIGH) == high16(sum)))
            || self.raw.iter().all(|&b| b == 0)
    }

    /// Stores the checksum.
    pub(crate) fn seal(&mut self, fs_seed: u32, number: u32) {
        let sum = self.checksum(self.seed(fs_seed, number));
        put16(&mut self.raw, CSUM_LOW, low16(sum));
        if self.has_extra(CSUM_HIGH, 2) {
            put16(&mut self.raw, CSUM_HIGH, high16(sum));
        }
    }
}
