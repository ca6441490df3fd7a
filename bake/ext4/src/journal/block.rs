//! `struct journal_header_s`, which begins every block of the log but copies of blocks, and
//! `struct jbd2_journal_block_tail`, which ends descriptors and revocations.

use super::superblock::JournalSuperblock;
use crate::csum::crc32c_without;

/// Magic number of the journal.
pub(crate) const JOURNAL_MAGIC: u32 = 0xC03B_3998;

/// Reads a big-endian 32-bit field.
pub(crate) fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Writes a big-endian 32-bit field.
pub(crate) fn put_be32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// What a block of the log says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockType {
    Descriptor,
    Commit,
    Revocation,
}

/// Type of a block that belongs to transaction `sequence`; `None` where the log ends.
pub(crate) fn classify(block: &[u8], sequence: u32) -> Option<BlockType> {
    if be32(block, 0) != JOURNAL_MAGIC || be32(block, 8) != sequence {
        return None;
    }
    match be32(block, 4) {
        1 => Some(BlockType::Descriptor),
        2 => Some(BlockType::Commit),
        5 => Some(BlockType::Revocation),
        _ => None,
    }
}

/// Bytes of a descriptor or revocation that are not its checksum tail.
pub(crate) fn body_len(journal: &JournalSuperblock, block: &[u8]) -> usize {
    block.len() - if journal.has_block_checksums() { 4 } else { 0 }
}

/// Whether the checksum tail of a descriptor or revocation matches, where there is one.
pub(crate) fn tail_matches(journal: &JournalSuperblock, block: &[u8]) -> bool {
    let at = block.len() - 4;
    !journal.has_block_checksums() || crc32c_without(journal.seed, block, at) == be32(block, at)
}
