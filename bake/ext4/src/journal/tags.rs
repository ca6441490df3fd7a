//! Descriptor blocks: `journal_block_tag_t` and `journal_block_tag3_t`.

use super::block::{be32, body_len};
use super::superblock::{Checksums, JournalSuperblock};
use crate::csum::crc32c;

const ESCAPED: u32 = 1;
const SAME_UUID: u32 = 2;
const LAST: u32 = 8;

/// One block of the file system that follows a descriptor in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag {
    /// Block of the file system.
    pub(crate) block: u64,
    /// The copy's first four bytes were the journal's magic number and are zero in the log.
    pub(crate) escaped: bool,
    checksum: u32,
}

impl Tag {
    /// Whether the copy in the log, still escaped, is the one the tag was made for.
    pub(crate) fn matches(&self, journal: &JournalSuperblock, sequence: u32, copy: &[u8]) -> bool {
        let checksum = || crc32c(crc32c(journal.seed, &sequence.to_be_bytes()), copy);
        match journal.checksums {
            Checksums::None | Checksums::Transaction => true,
            Checksums::V2 => checksum() & 0xFFFF == self.checksum,
            Checksums::V3 => checksum() == self.checksum,
        }
    }
}

/// All tags of a descriptor block, in the order of the copies that follow it.
pub(crate) fn tags(journal: &JournalSuperblock, block: &[u8]) -> Vec<Tag> {
    let len = tag_len(journal);
    let end = body_len(journal, block);
    let mut at = 12;
    let mut tags = Vec::new();
    while at + len <= end {
        let (checksum, flags) = if journal.checksums == Checksums::V3 {
            (be32(block, at + 12), be32(block, at + 4))
        } else {
            let both = be32(block, at + 4);
            (both >> 16, both & 0xFFFF)
        };
        let high = if journal.wide { be32(block, at + 8) } else { 0 };
        tags.push(Tag {
            block: u64::from(be32(block, at)) | u64::from(high) << 32,
            escaped: flags & ESCAPED != 0,
            checksum,
        });
        at += len + if flags & SAME_UUID == 0 { 16 } else { 0 };
        if flags & LAST != 0 {
            break;
        }
    }
    tags
}

/// `journal_tag_bytes`: version 2 has two bytes more than its fields, for compatibility.
fn tag_len(journal: &JournalSuperblock) -> usize {
    match (journal.checksums, journal.wide) {
        (Checksums::V3, _) => 16,
        (Checksums::V2, true) => 14,
        (Checksums::V2, false) => 10,
        (_, true) => 12,
        (_, false) => 8,
    }
}
