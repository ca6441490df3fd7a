//! The attribute block: header of 32 bytes (magic, reference count, blocks, hash, checksum), then
//! sorted entries. Inodes with equal attributes may share one.

use super::codec::{self, Attr, MAGIC};
use crate::bytes::{le32, put32};
use crate::csum::{crc32c, crc32c_without};
use crate::error::{Result, corrupt};
use crate::features::compat;
use crate::fs::Ext4;
use crate::inode::Inode;
use crate::store::Store;

const HEADER: usize = 32;
const CHECKSUM: usize = 16;

/// A decoded attribute block.
#[derive(Debug, Clone)]
pub(crate) struct XattrBlock {
    pub(crate) references: u32,
    pub(crate) attrs: Vec<Attr>,
}

impl<S: Store> Ext4<S> {
    fn xattr_checksum(&self, block: u64, bytes: &[u8]) -> u32 {
        crc32c_without(crc32c(self.seed, &block.to_le_bytes()), bytes, CHECKSUM)
    }

    /// Reads and checks an attribute block on behalf of an inode.
    pub(crate) fn read_xattr_block(&self, number: u32, block: u64) -> Result<XattrBlock> {
        let wrong = |reason: &str| {
            corrupt(format!("inode {number}"), format!("attribute block {block}: {reason}"))
        };
        if block <= u64::from(self.sb.geometry.first_data_block) {
            return Err(wrong("is not a place for one"));
        }
        let bytes = self.volume.read(block)?;
        if le32(&bytes, 0) != MAGIC || le32(&bytes, 8) != 1 {
            return Err(wrong("has no valid header"));
        }
        if self.sb.metadata_csum() && self.xattr_checksum(block, &bytes) != le32(&bytes, CHECKSUM) {
            return Err(wrong("its checksum is wrong"));
        }
        let references = le32(&bytes, 4);
        if references == 0 {
            return Err(wrong("nobody refers to it"));
        }
        let attrs = codec::decode(&bytes, HEADER).map_err(wrong)?;
        Ok(XattrBlock { references, attrs })
    }

    /// Writes an attribute block; false where the attributes do not fit.
    fn write_xattr_block(&mut self, block: u64, attrs: &mut [Attr]) -> Result<bool> {
        let mut bytes = vec![0; self.volume.block_size()];
        if !codec::encode(&mut bytes, HEADER, attrs, true) {
            return Ok(false);
        }
        put32(&mut bytes, 0, MAGIC);
        put32(&mut bytes, 4, 1);
        put32(&mut bytes, 8, 1);
        put32(&mut bytes, 12, codec::block_hash(attrs));
        if self.sb.metadata_csum() {
            let sum = self.xattr_checksum(block, &bytes);
            put32(&mut bytes, CHECKSUM, sum);
        }
        self.volume.replace(block, bytes)?;
        Ok(true)
    }

    /// One inode less refers to its attribute block; without any it is freed. The caller writes
    /// the inode.
    pub(crate) fn drop_xattr_block(&mut self, number: u32, inode: &mut Inode) -> Result<()> {
        let block = inode.file_acl();
        if block == 0 {
            return Ok(());
        }
        let references = self.read_xattr_block(number, block)?.references;
        if references == 1 {
            self.free(block, 1)?;
        } else {
            let mut bytes = self.volume.read(block)?.to_vec();
            put32(&mut bytes, 4, references - 1);
            if self.sb.metadata_csum() {
                let sum = self.xattr_checksum(block, &bytes);
                put32(&mut bytes, CHECKSUM, sum);
            }
            self.volume.replace(block, bytes)?;
        }
        inode.set_file_acl(0);
        let blocks = inode.blocks(self.volume.block_size()).saturating_sub(1);
        self.set_block_count(inode, blocks)
    }

    /// Makes `attrs` the content of the inode's attribute block: none, its own, or a new one in
    /// place of one it shares. False where they do not fit.
    pub(super) fn set_block_attrs(
        &mut self,
        number: u32,
        inode: &mut Inode,
        attrs: &mut [Attr],
    ) -> Result<bool> {
        let old = inode.file_acl();
        if attrs.is_empty() {
            self.drop_xattr_block(number, inode)?;
            return Ok(true);
        }
        if old != 0 && self.read_xattr_block(number, old)?.references == 1 {
            return self.write_xattr_block(old, attrs);
        }
        self.drop_xattr_block(number, inode)?;
        let block = self.allocate_one(self.inode_goal(number))?;
        inode.set_file_acl(block);
        let blocks = inode.blocks(self.volume.block_size()) + 1;
        self.set_block_count(inode, blocks)?;
        self.sb.set_compat(compat::EXT_ATTR, true);
        self.write_xattr_block(block, attrs)
    }
}
