//! Commit blocks, `struct commit_header`, and the CRC-32 over a whole transaction.

use super::block::be32;
use super::superblock::{Checksums, JournalSuperblock};
use crate::csum::crc32c_without;

const CHECKSUM_AT: usize = 0x10;
/// `JBD2_CRC32_CHKSUM`, with its length in bytes.
const CRC32: (u8, u8) = (1, 4);

/// Big-endian CRC-32 (polynomial 0x04C11DB7, not reflected, not inverted) as `crc32_be`.
pub(crate) fn crc32_be(seed: u32, data: &[u8]) -> u32 {
    data.iter()
        .fold(seed, |crc, &byte| (crc << 8) ^ CRC32_TABLE[(crc >> 24) as usize ^ usize::from(byte)])
}

const CRC32_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    let mut top = 0_u32;
    while i < 256 {
        let (mut crc, mut bit) = (top, 0);
        while bit < 8 {
            crc = if crc >> 31 == 1 { (crc << 1) ^ 0x04C1_1DB7 } else { crc << 1 };
            bit += 1;
        }
        table[i] = crc;
        top = top.wrapping_add(1 << 24);
        i += 1;
    }
    table
};

/// Whether a commit block closes its transaction; `sum` is [`crc32_be`] over the transaction's
/// descriptors and copies.
pub(crate) fn closes(journal: &JournalSuperblock, block: &[u8], sum: u32) -> bool {
    let found = be32(block, CHECKSUM_AT);
    match journal.checksums {
        Checksums::None => true,
        Checksums::Transaction => {
            let kind = (block[0x0C], block[0x0D]);
            (kind == CRC32 && found == sum) || (kind == (0, 0) && found == 0)
        }
        Checksums::V2 | Checksums::V3 => crc32c_without(journal.seed, block, CHECKSUM_AT) == found,
    }
}

/// Seconds since 1970 at which the transaction was committed.
pub(crate) fn time(block: &[u8]) -> u64 {
    u64::from(be32(block, 0x30)) << 32 | u64::from(be32(block, 0x34))
}

#[cfg(test)]
mod tests {
    use super::crc32_be;

    #[test]
    fn known_vector() {
        // CRC-32/MPEG-2 check value.
        assert_eq!(crc32_be(!0, b"123456789"), 0x0376_E6E7);
    }
}
