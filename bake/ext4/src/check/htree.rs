//! Indexed directories: the nodes of the hash tree, and that every name lies in the block its hash
//! leads to (kernel documentation, ext4 "Hash Tree Directories").

use std::collections::BTreeSet;

use super::Check;
use super::directories::raw_entries;
use crate::bytes::{le16, le32};
use crate::csum::crc32c;
use crate::dir::hash::Hasher;
use crate::error::{Error, Result, corrupt};
use crate::inode::Inode;
use crate::map::FileMap;
use crate::store::Store;

/// Bytes before `dx_root_info` in the root: the entries `.` and `..`.
const ROOT_INFO: usize = 24;
/// Bytes of the fake entry that hides a node.
const NODE_HEADER: usize = 8;

struct Walk<'a> {
    number: u32,
    inode: &'a Inode,
    map: &'a FileMap,
    blocks: u32,
    hasher: Hasher,
    nodes: BTreeSet<u32>,
    seen: BTreeSet<u32>,
}

impl<S: Store> Check<'_, S> {
    /// Checks the tree of a directory; the blocks of it that are nodes.
    pub(super) fn index(&self, number: u32, inode: &Inode, map: &FileMap) -> Result<BTreeSet<u32>> {
        let bad = |reason: &str| corrupt(format!("inode {number}"), reason);
        let block_size = self.fs.volume.block_size();
        let blocks = u32::try_from(inode.size() / block_size as u64).unwrap_or(u32::MAX);
        let root =
            self.fs.volume.read(place_of(map, 0).ok_or_else(|| bad("has no first block"))?)?;
        let (version, info, levels) =
            (root[ROOT_INFO + 4], root[ROOT_INFO + 5], root[ROOT_INFO + 6]);
        if le32(&root, ROOT_INFO) != 0 || info != 8 || version > 2 {
            return Err(bad("index root: unknown form"));
        }
        if levels > 2 {
            return Err(bad("index root: too deep"));
        }
        let hasher = Hasher::new(&self.fs.sb, version)?;
        let mut walk = Walk {
            number,
            inode,
            map,
            blocks,
            hasher,
            nodes: BTreeSet::from([0]),
            seen: BTreeSet::from([0]),
        };
        self.index_node(&mut walk, &root, ROOT_INFO + 8, u32::from(levels), (0, u32::MAX))?;
        if walk.seen.len() != blocks as usize {
            let reason = format!("index: {} of {blocks} blocks are in it", walk.seen.len());
            return Err(bad(&reason));
        }
        Ok(walk.nodes)
    }

    /// One node, its entries at `at`, `levels` nodes above the leaves, for hashes in `range`.
    fn index_node(
        &self,
        walk: &mut Walk<'_>,
        bytes: &[u8],
        at: usize,
        levels: u32,
        range: (u32, u32),
    ) -> Result<()> {
        let number = walk.number;
        let bad = |reason: &str| corrupt(format!("inode {number}"), format!("index: {reason}"));
        let (limit, count) = (usize::from(le16(bytes, at)), usize::from(le16(bytes, at + 2)));
        let tail = if self.fs.sb.metadata_csum() { 8 } else { 0 };
        if limit != (bytes.len() - at - tail) / 8 || count == 0 || count > limit {
            return Err(bad("impossible count of entries"));
        }
        if tail > 0 {
            let end = at + limit * 8;
            let sum = crc32c(walk.inode.seed(self.fs.seed, walk.number), &bytes[..at + count * 8]);
            let sum = crc32c(crc32c(sum, &bytes[end..end + 4]), &[0; 4]);
            if sum != le32(bytes, end + 4) {
                return Err(bad("checksum of a node is wrong"));
            }
        }
        let hash = |n: usize| if n == 0 { range.0 } else { le32(bytes, at + n * 8) };
        for n in 0..count {
            let (from, next) = (hash(n), if n + 1 < count { hash(n + 1) } else { range.1 });
            if from & !1 > next || from < range.0 {
                return Err(bad("hashes out of order"));
            }
            let logical = le32(bytes, at + n * 8 + 4) & 0x0FFF_FFFF;
            if logical >= walk.blocks || !walk.seen.insert(logical) {
                return Err(bad("a block that is none of the directory's, or in it twice"));
            }
            let block = place_of(walk.map, logical).ok_or_else(|| bad("a hole"))?;
            let child = self.fs.volume.read(block)?;
            if levels > 0 {
                walk.nodes.insert(logical);
                if le32(&child, 0) != 0 || usize::from(le16(&child, 4)) != child.len() % 65_536 {
                    return Err(bad("a node that does not look like one"));
                }
                self.index_node(walk, &child, NODE_HEADER, levels - 1, (from, next))?;
            } else {
                self.index_leaf(walk, &child, (from, next))?;
            }
        }
        Ok(())
    }

    /// Names of a leaf hash into its range; the last hash may go on in the next leaf.
    fn index_leaf(&self, walk: &Walk<'_>, bytes: &[u8], range: (u32, u32)) -> Result<()> {
        let bad = |reason: &str| corrupt(format!("inode {}", walk.number), reason);
        let end = bytes.len() - if self.fs.sb.metadata_csum() { 12 } else { 0 };
        for entry in raw_entries(bytes, end).map_err(bad)? {
            if entry.inode == 0 {
                continue;
            }
            let hash = walk.hasher.hash(entry.name);
            if hash < range.0 & !1 || hash > range.1 || (hash == range.1 && range.1 != u32::MAX) {
                let shown = entry.name.escape_ascii();
                let reason = format!("`{shown}` lies outside the range of its hash");
                return Err::<(), Error>(bad(&reason));
            }
        }
        Ok(())
    }
}

fn place_of(map: &FileMap, logical: u32) -> Option<u64> {
    let extent =
        map.extents.iter().find(|e| e.logical <= logical && logical - e.logical < e.len)?;
    Some(extent.start + u64::from(logical - extent.logical))
}
