//! The orphan file: blocks of inode numbers, each block with a tail (kernel documentation, ext4
//! "Orphan file", `struct ext4_orphan_block_tail`).

use crate::bytes::{le32, put32};
use crate::csum::crc32c;
use crate::error::{Result, corrupt};
use crate::features::ro_compat;
use crate::fs::Ext4;
use crate::store::Store;

const MAGIC: u32 = 0x0B10_CA04;
/// Bytes of magic number and checksum at the end of a block.
const TAIL: usize = 8;

impl<S: Store> Ext4<S> {
    /// Ends the orphans in the file and empties it.
    pub(super) fn end_filed_orphans(&mut self) -> Result<()> {
        if !self.sb.has_ro_compat(ro_compat::ORPHAN_PRESENT) {
            return Ok(());
        }
        let number = self.sb.orphan_file_inode();
        let inode = self.live_inode(number)?;
        let seed = inode.seed(self.seed, number);
        let map = self.file_map(number, &inode)?;
        for extent in map.extents {
            for block in extent.start..extent.start + u64::from(extent.len) {
                self.end_orphans_of_block(block, seed)?;
            }
        }
        self.sb.set_ro_compat(ro_compat::ORPHAN_PRESENT, false);
        Ok(())
    }

    fn end_orphans_of_block(&mut self, block: u64, seed: u32) -> Result<()> {
        let bytes = self.volume.read(block)?;
        let tail = bytes.len() - TAIL;
        if le32(&bytes, tail) != MAGIC {
            return Err(corrupt("orphan file", format!("block {block} has no magic number")));
        }
        let sum = |entries: &[u8]| crc32c(crc32c(seed, &block.to_le_bytes()), entries);
        if self.sb.metadata_csum() && sum(&bytes[..tail]) != le32(&bytes, tail + 4) {
            return Err(corrupt("orphan file", format!("checksum of block {block} is wrong")));
        }
        let orphans: Vec<u32> =
            bytes[..tail].chunks_exact(4).map(|entry| le32(entry, 0)).filter(|&n| n != 0).collect();
        if orphans.is_empty() {
            return Ok(());
        }
        for number in orphans {
            self.end_orphan(number)?;
        }
        let sealed = self.sb.metadata_csum();
        let empty = vec![0; tail];
        let sum = sum(&empty);
        let bytes = self.volume.modify(block)?;
        bytes[..tail].fill(0);
        if sealed {
            put32(bytes, tail + 4, sum);
        }
        Ok(())
    }
}
