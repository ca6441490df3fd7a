//! Revocation blocks, `struct jbd2_journal_revoke_header_s`, and what they add up to.

use std::collections::BTreeMap;

use super::block::{be32, body_len};
use super::superblock::JournalSuperblock;
use crate::error::{Result, corrupt};

/// Blocks that were freed, with the newest transaction that says so.
#[derive(Debug, Default)]
pub(crate) struct Revocations(BTreeMap<u64, u32>);

impl Revocations {
    /// Takes in one revocation block of transaction `sequence`.
    pub(crate) fn add(
        &mut self,
        journal: &JournalSuperblock,
        block: &[u8],
        sequence: u32,
    ) -> Result<()> {
        // r_count counts the bytes in use, the 16 of the header included.
        let end = be32(block, 12) as usize;
        if end > body_len(journal, block) || end < 16 {
            let place = format!("journal transaction {sequence}");
            return Err(corrupt(place, format!("revocation block of {end} bytes")));
        }
        let len = if journal.wide { 8 } else { 4 };
        for entry in block[16..end].chunks_exact(len) {
            let number = if journal.wide {
                u64::from(be32(entry, 0)) << 32 | u64::from(be32(entry, 4))
            } else {
                u64::from(be32(entry, 0))
            };
            let newest = self.0.entry(number).or_insert(sequence);
            if after(sequence, *newest) {
                *newest = sequence;
            }
        }
        Ok(())
    }

    /// Whether a copy of `block` in transaction `sequence` must not be replayed.
    pub(crate) fn cover(&self, block: u64, sequence: u32) -> bool {
        self.0.get(&block).is_some_and(|&newest| !after(sequence, newest))
    }
}

/// Whether transaction `a` is later than `b`; their numbers wrap around.
pub(crate) fn after(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::after;

    #[test]
    fn transactions_wrap() {
        assert!(after(2, 1) && !after(1, 2) && !after(3, 3));
        assert!(after(1, u32::MAX) && !after(u32::MAX, 1));
    }
}
