//! Telling an MBR, a GPT and a bare file system apart.
//!
//! A FAT boot sector carries the same 0x55AA mark as an MBR, so the mark alone says nothing.

use super::{SECTOR, corrupt, read_bytes, u16_at, u32_at};
use crate::error::{Error, Result};
use crate::store::BlockStore;

/// Offset of the four 16-byte entries in an MBR.
pub(super) const ENTRIES: usize = 446;
/// MBR type of the entry that protects a GPT (UEFI 2.10, section 5.2.3).
pub(super) const PROTECTIVE: u8 = 0xee;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Mbr,
    Gpt,
    Bare,
}

/// What the first sectors of `store` say.
pub(super) fn detect<S: BlockStore + ?Sized>(store: &S) -> Result<Found> {
    if store.len() < SECTOR {
        return Err(corrupt(0, format!("the image has only {} bytes", store.len())));
    }
    let sector = read_bytes(store, 0, 512)?;
    if u16_at(&sector, 510) != 0xaa55 || is_fat(&sector) {
        return without_mark(store);
    }
    let entry = |i: usize| &sector[ENTRIES + 16 * i..ENTRIES + 16 * (i + 1)];
    if let Some(i) = (0..4).find(|&i| entry(i)[0] & 0x7f != 0) {
        // No table after all: boot code of a bare file system, or nothing we know.
        if is_ext(store)? {
            return Ok(Found::Bare);
        }
        let offset = (ENTRIES + 16 * i) as u64;
        return Err(corrupt(offset, format!("entry {} has the flag {:#04x}", i + 1, entry(i)[0])));
    }
    let used = |i: &usize| entry(*i)[4] != 0 && u32_at(entry(*i), 12) != 0;
    let protective = (0..4).find(|&i| entry(i)[4] == PROTECTIVE);
    match protective {
        None if (0..4).all(|i| entry(i)[4] == 0) && is_ext(store)? => Ok(Found::Bare),
        None => Ok(Found::Mbr),
        Some(i) if (0..4).filter(used).any(|other| other != i) => Err(Error::Unsupported {
            what: "partition table (byte 446)".into(),
            feature: "hybrid MBR, an MBR that lists partitions beside the GPT".into(),
        }),
        Some(_) => Ok(Found::Gpt),
    }
}

fn without_mark<S: BlockStore + ?Sized>(store: &S) -> Result<Found> {
    // A GPT whose protective MBR was lost is not a bare file system.
    if store.len() >= 2 * SECTOR && read_bytes(store, SECTOR, 8)? == super::gpt::SIGNATURE {
        return Err(corrupt(0, "there is a GPT but no protective MBR in front of it"));
    }
    Ok(Found::Bare)
}

/// ext2/3/4 magic number: 0xEF53 at byte 56 of the superblock, which starts at byte 1024
/// (Linux, Documentation/filesystems/ext4/super.rst).
fn is_ext<S: BlockStore + ?Sized>(store: &S) -> Result<bool> {
    Ok(store.len() >= 2048 && u16_at(&read_bytes(store, 1080, 2)?, 0) == 0xef53)
}

/// A FAT boot sector: a jump, a sector size, and the type's name where FAT12/16 or FAT32 put it
/// (Microsoft FAT specification 1.03, section 3).
fn is_fat(sector: &[u8]) -> bool {
    let jump = sector[0] == 0xeb || sector[0] == 0xe9;
    let size = matches!(u16_at(sector, 11), 512 | 1024 | 2048 | 4096);
    jump && size && (&sector[54..57] == b"FAT" || &sector[82..85] == b"FAT")
}
