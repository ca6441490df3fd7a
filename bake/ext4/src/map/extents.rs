//! Reading extent trees (kernel documentation, ext4 "Extent Tree"). Every level must keep to the
//! range its parent gives it, so that a hostile tree can neither loop nor be walked twice.

use super::{Extent, FileMap, Mapping};
use crate::bytes::{join32, le16, le32};
use crate::csum::crc32c;
use crate::error::{Result, corrupt};
use crate::fs::Ext4;
use crate::inode::Inode;
use crate::store::Store;

pub(crate) const MAGIC: u16 = 0xF30A;
/// Bytes of a node's header, and of each entry.
pub(crate) const ENTRY: usize = 12;
/// Longest extent; lengths above mean this much less, unwritten.
pub(crate) const MAX_LEN: u32 = 32768;
const MAX_DEPTH: u16 = 5;

/// Entries that fit into a node of `bytes`.
pub(crate) fn capacity(bytes: usize) -> usize {
    (bytes - ENTRY) / ENTRY
}

/// Header of a checked node.
#[derive(Debug, Clone, Copy)]
struct Header {
    entries: usize,
    depth: u16,
}

fn header(node: &[u8], depth: Option<u16>) -> Result<Header, &'static str> {
    let (entries, max) = (usize::from(le16(node, 2)), usize::from(le16(node, 4)));
    let found = le16(node, 6);
    if le16(node, 0) != MAGIC {
        return Err("extent tree: no magic number");
    }
    if max > capacity(node.len()) || entries > max {
        return Err("extent tree: more entries than fit");
    }
    if found > MAX_DEPTH || depth.is_some_and(|depth| depth != found) {
        return Err("extent tree: impossible depth");
    }
    if entries == 0 && (depth.is_some() || found > 0) {
        return Err("extent tree: empty node");
    }
    Ok(Header { entries, depth: found })
}

fn leaf_entry(node: &[u8], n: usize) -> Extent {
    let at = ENTRY * (n + 1);
    let len = u32::from(le16(node, at + 4));
    Extent {
        logical: le32(node, at),
        start: join32(le32(node, at + 8), u32::from(le16(node, at + 6))),
        len: if len > MAX_LEN { len - MAX_LEN } else { len },
        unwritten: len > MAX_LEN,
    }
}

/// First block covered and node block of an index entry.
fn index_entry(node: &[u8], n: usize) -> (u32, u64) {
    let at = ENTRY * (n + 1);
    (le32(node, at), join32(le32(node, at + 4), u32::from(le16(node, at + 8))))
}

impl<S: Store> Ext4<S> {
    /// Reads a node below the root and checks its checksum.
    fn extent_node(&self, number: u32, inode: &Inode, block: u64) -> Result<crate::volume::Block> {
        self.require_file_blocks(number, block, 1)?;
        let node = self.volume.read(block)?;
        if self.sb.metadata_csum() {
            let max = usize::from(le16(&node, 4)).min(capacity(node.len()));
            let tail = ENTRY * (max + 1);
            if tail + 4 > node.len()
                || crc32c(inode.seed(self.seed, number), &node[..tail]) != le32(&node, tail)
            {
                let reason = format!("checksum of extent block {block} is wrong");
                return Err(corrupt(format!("inode {number}"), reason));
            }
        }
        Ok(node)
    }

    /// The whole tree.
    pub(super) fn extent_map(&self, number: u32, inode: &Inode) -> Result<FileMap> {
        let mut map = FileMap::default();
        self.walk_extents(number, inode, inode.block_area(), None, (0, 1 << 32), &mut map)?;
        Ok(map)
    }

    /// One node and all below it, which must lie in `range` of the file.
    fn walk_extents(
        &self,
        number: u32,
        inode: &Inode,
        node: &[u8],
        depth: Option<u16>,
        range: (u64, u64),
        map: &mut FileMap,
    ) -> Result<()> {
        let wrong = |reason: &str| corrupt(format!("inode {number}"), reason);
        let head = header(node, depth).map_err(wrong)?;
        let mut next = range.0;
        for n in 0..head.entries {
            if head.depth == 0 {
                let extent = leaf_entry(node, n);
                let logical = u64::from(extent.logical);
                if extent.len == 0 || logical < next || logical + u64::from(extent.len) > range.1 {
                    return Err(wrong("extent tree: extents overlap or are out of order"));
                }
                next = logical + u64::from(extent.len);
                self.require_file_blocks(number, extent.start, extent.len)?;
                map.push(extent);
            } else {
                let (logical, block) = index_entry(node, n);
                let end = if n + 1 < head.entries {
                    u64::from(index_entry(node, n + 1).0)
                } else {
                    range.1
                };
                if u64::from(logical) < next || u64::from(logical) >= end || end > range.1 {
                    return Err(wrong("extent tree: index entries out of order"));
                }
                next = end;
                let child = self.extent_node(number, inode, block)?;
                map.tree.push(block);
                let range = (u64::from(logical), end);
                self.walk_extents(number, inode, &child, Some(head.depth - 1), range, map)?;
            }
        }
        Ok(())
    }

    /// One block of the file.
    pub(super) fn find_in_extents(
        &self,
        number: u32,
        inode: &Inode,
        logical: u32,
    ) -> Result<Mapping> {
        let wrong = |reason: &str| corrupt(format!("inode {number}"), reason);
        let mut node: crate::volume::Block = inode.block_area().into();
        let mut head = header(&node, None).map_err(wrong)?;
        let mut end = 1_u64 << 32;
        let hole = |end: u64| {
            let len = end.saturating_sub(u64::from(logical)).min(u64::from(u32::MAX));
            Ok(Mapping { start: None, len: crate::bytes::low32(len).max(1) })
        };
        while head.depth > 0 {
            let after = partition(head.entries, |n| index_entry(&node, n).0 <= logical);
            if after < head.entries {
                end = end.min(u64::from(index_entry(&node, after).0));
            }
            let Some(n) = after.checked_sub(1) else { return hole(end) };
            let child = self.extent_node(number, inode, index_entry(&node, n).1)?;
            head = header(&child, Some(head.depth - 1)).map_err(wrong)?;
            node = child;
        }
        let after = partition(head.entries, |n| leaf_entry(&node, n).logical <= logical);
        if after < head.entries {
            end = end.min(u64::from(leaf_entry(&node, after).logical));
        }
        let Some(n) = after.checked_sub(1) else { return hole(end) };
        let extent = leaf_entry(&node, n);
        let skip = logical - extent.logical;
        if skip >= extent.len {
            return hole(end);
        }
        self.require_file_blocks(number, extent.start, extent.len)?;
        let start = (!extent.unwritten).then(|| extent.start + u64::from(skip));
        Ok(Mapping { start, len: extent.len - skip })
    }
}

/// How many of the first `len` numbers satisfy an ascending condition.
fn partition(len: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = usize::midpoint(low, high);
        if holds(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
