//! Checksums (kernel documentation, ext4 "Checksums"): CRC-32C for `metadata_csum`, CRC-16 for
//! `uninit_bg`/`gdt_csum` group descriptors.

use crate::bytes::put32;

/// CRC-32C without initial or final inversion, as ext4 chains it: `seed` is the previous value,
/// or all ones at the start.
pub(crate) fn crc32c(seed: u32, data: &[u8]) -> u32 {
    !crc32c::crc32c_append(!seed, data)
}

/// CRC-16 (polynomial 0x8005, reflected), as the kernel's `crc16`.
pub(crate) fn crc16(seed: u16, data: &[u8]) -> u16 {
    data.iter().fold(seed, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 }
        })
    })
}

/// Checksum of `data` in which the four bytes at `at` count as zero.
pub(crate) fn crc32c_without(seed: u32, data: &[u8], at: usize) -> u32 {
    let crc = crc32c(crc32c(seed, &data[..at]), &[0; 4]);
    crc32c(crc, &data[at + 4..])
}

/// Seed of everything that belongs to one inode: directory blocks, extent blocks, the inode.
pub(crate) fn inode_seed(fs_seed: u32, inode: u32, generation: u32) -> u32 {
    let mut bytes = [0; 8];
    put32(&mut bytes, 0, inode);
    put32(&mut bytes, 4, generation);
    crc32c(fs_seed, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_vectors() {
        assert_eq!(!crc32c(!0, b"123456789"), 0xE306_9283);
        assert_eq!(crc16(0, b"123456789"), 0xBB3D);
        let data = [1, 2, 9, 9, 9, 9, 3];
        assert_eq!(crc32c_without(7, &data, 2), crc32c(7, &[1, 2, 0, 0, 0, 0, 3]));
    }
}
