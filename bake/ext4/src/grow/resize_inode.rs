//! Inode 7 keeps the blocks reserved for group descriptors from being used for anything else: its
//! double-indirect block names the reserved blocks of the primary table, and each of those names
//! the blocks at the same place in every backup (kernel `fs/ext4/resize.c`, `verify_reserved_gdb`;
//! e2fsprogs `lib/ext2fs/res_gdt.c`).

use crate::bytes::{le32, low32, put32};
use crate::error::{Result, corrupt, unsupported};
use crate::features::{compat, ro_compat};
use crate::fs::Ext4;
use crate::inode::RESIZE;
use crate::store::Store;

/// `i_block[EXT4_DIND_BLOCK]`, in bytes.
const DOUBLE_INDIRECT: usize = 13 * 4;

impl<S: Store> Ext4<S> {
    /// Makes the resize inode name what is reserved under the present geometry.
    pub(super) fn rebuild_resize_inode(&mut self) -> Result<()> {
        if !self.sb.has_compat(compat::RESIZE_INODE) {
            return Ok(());
        }
        let g = self.sb.geometry;
        let reserved = self.sb.reserved_gdt_blocks();
        let mut inode = self.read_inode(RESIZE)?;
        let root = u64::from(le32(inode.block_area(), DOUBLE_INDIRECT));
        if root == 0 && reserved == 0 {
            return Ok(());
        }
        if root <= u64::from(g.first_data_block + g.gdt_blocks() + reserved) || root >= g.blocks {
            let place = format!("inode {RESIZE}");
            return Err(corrupt(place, format!("its double-indirect block is {root}")));
        }
        let backups: Vec<u32> = (1..g.groups).filter(|&n| self.sb.has_super(n)).collect();
        let slots = g.block_size / 4;
        if backups.len() > slots as usize {
            return Err(unsupported(format!("more than {slots} backups of the superblock")));
        }
        let mut roots = vec![0; g.block_size as usize];
        for n in g.gdt_blocks()..g.gdt_blocks() + reserved {
            let block = g.first_data_block + 1 + n;
            put32(&mut roots, (n % slots) as usize * 4, block);
            let mut names = vec![0; g.block_size as usize];
            for (slot, &group) in backups.iter().enumerate() {
                put32(&mut names, slot * 4, low32(g.group_start(group)) + 1 + n);
            }
            self.volume.replace(u64::from(block), names)?;
        }
        self.volume.replace(root, roots)?;
        let blocks = 1 + u64::from(reserved) * (1 + backups.len() as u64);
        let huge = self.sb.has_ro_compat(ro_compat::HUGE_FILE);
        if !inode.set_blocks(blocks, g.block_size as usize, huge) {
            return Err(corrupt(format!("inode {RESIZE}"), "owns too many blocks"));
        }
        self.write_inode(RESIZE, &inode)
    }
}
