//! The resize inode: what it names must be exactly what is reserved (see `grow::resize_inode`).

use super::Check;
use crate::bytes::{le32, low32};
use crate::error::Result;
use crate::inode::{Inode, RESIZE};
use crate::store::Store;

/// `i_block[EXT4_DIND_BLOCK]`, in bytes.
const DOUBLE_INDIRECT: usize = 13 * 4;

impl<S: Store> Check<'_, S> {
    pub(super) fn resize_inode(&mut self, inode: &Inode) -> Result<()> {
        let place = format!("inode {RESIZE}");
        let g = self.fs.sb.geometry;
        let reserved = self.fs.sb.reserved_gdt_blocks();
        let root = u64::from(le32(inode.block_area(), DOUBLE_INDIRECT));
        if root == 0 {
            if reserved > 0 {
                self.find(place, "does not hold the reserved descriptor blocks");
            }
            return Ok(());
        }
        self.mark(&place, root, 1);
        let Some(roots) = self.note(&place, self.fs.volume.read(root))? else { return Ok(()) };
        let backups: Vec<u32> = (1..g.groups).filter(|&n| self.fs.sb.has_super(n)).collect();
        let slots = g.block_size / 4;
        for n in g.gdt_blocks()..g.gdt_blocks() + reserved {
            let block = g.first_data_block + 1 + n;
            if le32(&roots, (n % slots) as usize * 4) != block {
                self.find(&place, format!("does not hold the reserved block {block}"));
                continue;
            }
            let names = self.note(&place, self.fs.volume.read(u64::from(block)))?;
            let Some(names) = names else { continue };
            let expected = |group: u32| low32(g.group_start(group)) + 1 + n;
            let held = (0..).step_by(4).zip(&backups).take(slots as usize);
            if held.clone().any(|(at, &group)| le32(&names, at) != expected(group)) {
                self.find(&place, format!("does not hold all backups of block {block}"));
            }
            let rest = names.get(backups.len().min(slots as usize) * 4..).unwrap_or_default();
            if rest.iter().any(|&byte| byte != 0) {
                self.find(&place, format!("holds more than the backups of block {block}"));
            }
        }
        let owned = 1 + u64::from(reserved) * (1 + backups.len() as u64);
        self.block_count(&place, inode, owned);
        Ok(())
    }
}
