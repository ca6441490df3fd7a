//! `struct journal_superblock_s`: 1,024 bytes at the start of the journal, big-endian.

use super::block::{JOURNAL_MAGIC, be32, put_be32};
use crate::csum::{crc32c, crc32c_without};
use crate::error::{Result, corrupt, unsupported};

/// Length on disk, in bytes.
pub(crate) const LEN: usize = 1024;

const COMPAT_CHECKSUM: u32 = 0x1;
const INCOMPAT_64BIT: u32 = 0x2;
const INCOMPAT_ASYNC_COMMIT: u32 = 0x4;
const INCOMPAT_CSUM_V2: u32 = 0x8;
const INCOMPAT_CSUM_V3: u32 = 0x10;
const INCOMPAT_FAST_COMMIT: u32 = 0x20;
const INCOMPAT_KNOWN: u32 = 0x3F;
const CHECKSUM_AT: usize = 0xFC;

/// How the blocks of the log are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checksums {
    None,
    /// One CRC-32 over a whole transaction, in its commit block.
    Transaction,
    /// CRC-32C in every block; of a data block's only the low half fits its tag.
    V2,
    /// CRC-32C in every block, whole.
    V3,
}

/// What recovery needs of the journal's superblock.
#[derive(Debug, Clone)]
pub(crate) struct JournalSuperblock {
    raw: Vec<u8>,
    pub(crate) block_size: u32,
    /// First block of the log.
    pub(crate) first: u32,
    /// Block after the last of the log; fast commits lie beyond.
    pub(crate) end: u32,
    /// Transaction expected first.
    pub(crate) sequence: u32,
    /// Where the log starts; 0 when there is nothing to replay.
    pub(crate) start: u32,
    pub(crate) checksums: Checksums,
    /// Start value of CRC-32C checksums.
    pub(crate) seed: u32,
    pub(crate) wide: bool,
    pub(crate) async_commit: bool,
    pub(crate) fast_commit: bool,
}

impl JournalSuperblock {
    /// Reads and checks the superblock; `blocks` is the length of the journal's inode in blocks.
    pub(crate) fn parse(raw: &[u8], block_size: u32, blocks: u32) -> Result<Self> {
        let bad = |reason: String| corrupt("journal superblock", reason);
        let kind = be32(raw, 4);
        if be32(raw, 0) != JOURNAL_MAGIC || !(kind == 3 || kind == 4) {
            return Err(bad("bad magic number".into()));
        }
        let extended = kind == 4;
        let feature = |at: usize| if extended { be32(raw, at) } else { 0 };
        let (compat, incompat, ro) = (feature(0x24), feature(0x28), feature(0x2C));
        if incompat & !INCOMPAT_KNOWN != 0 || ro != 0 {
            return Err(unsupported(format!("journal features {incompat:#x}, {ro:#x}")));
        }
        let checksums = if incompat & INCOMPAT_CSUM_V3 != 0 {
            Checksums::V3
        } else if incompat & INCOMPAT_CSUM_V2 != 0 {
            Checksums::V2
        } else if compat & COMPAT_CHECKSUM != 0 {
            Checksums::Transaction
        } else {
            Checksums::None
        };
        if matches!(checksums, Checksums::V2 | Checksums::V3) {
            if raw[0x50] != 4 {
                return Err(unsupported(format!("journal checksum type {}", raw[0x50])));
            }
            if crc32c_without(!0, &raw[..LEN], CHECKSUM_AT) != be32(raw, CHECKSUM_AT) {
                return Err(bad("checksum does not match".into()));
            }
        }
        let fast_commit = incompat & INCOMPAT_FAST_COMMIT != 0;
        let length = be32(raw, 0x10);
        // 256 is what a count of zero means (JBD2_DEFAULT_FAST_COMMIT_BLOCKS).
        let fast_blocks = match (fast_commit, be32(raw, 0x54)) {
            (false, _) => 0,
            (true, 0) => 256,
            (true, n) => n,
        };
        let parsed = Self {
            block_size: be32(raw, 0x0C),
            first: be32(raw, 0x14),
            end: length.saturating_sub(fast_blocks),
            sequence: be32(raw, 0x18),
            start: be32(raw, 0x1C),
            checksums,
            seed: crc32c(!0, &raw[0x30..0x40]),
            wide: incompat & INCOMPAT_64BIT != 0,
            async_commit: incompat & INCOMPAT_ASYNC_COMMIT != 0,
            fast_commit,
            raw: raw[..LEN].to_vec(),
        };
        if parsed.block_size != block_size {
            return Err(bad(format!("block size {} is not {block_size}", parsed.block_size)));
        }
        if length > blocks || parsed.first == 0 || parsed.first >= parsed.end {
            return Err(bad(format!("log from {} to {length} of {blocks} blocks", parsed.first)));
        }
        if parsed.start != 0 && !(parsed.first..parsed.end).contains(&parsed.start) {
            return Err(bad(format!("log starts at block {}, outside of it", parsed.start)));
        }
        if be32(raw, 0x20) != 0 {
            return Err(bad("the file system was in error when it was last used".into()));
        }
        Ok(parsed)
    }

    /// The superblock of an empty log whose next transaction is `sequence`.
    pub(crate) fn emptied(&self, sequence: u32) -> Vec<u8> {
        let mut raw = self.raw.clone();
        put_be32(&mut raw, 0x18, sequence);
        put_be32(&mut raw, 0x1C, 0);
        if self.has_block_checksums() {
            let checksum = crc32c_without(!0, &raw, CHECKSUM_AT);
            put_be32(&mut raw, CHECKSUM_AT, checksum);
        }
        raw
    }

    /// Whether every block of the log carries a checksum of its own.
    pub(crate) fn has_block_checksums(&self) -> bool {
        matches!(self.checksums, Checksums::V2 | Checksums::V3)
    }
}
