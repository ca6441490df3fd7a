//! Index blocks. Block 0 holds `.`, `..`, eight bytes about the tree and then entries; other index
//! blocks hold one unused entry over the whole block and then entries. An entry is a hash and a
//! block of the directory, both u32; the first has limit and count (u16) in place of its hash.

use crate::bytes::{le16, le32, put16, put32};
use crate::csum::crc32c;
use crate::dir::entry::entry_at;

/// Byte of `dx_root_info` in block 0: reserved u32, hash version u8, length u8, levels u8, flags
/// u8.
pub(super) const INFO: usize = 24;
const ROOT_ENTRIES: usize = 32;
const NODE_ENTRIES: usize = 8;
const ENTRY: usize = 8;
/// Bytes of the checksum after the entries.
const TAIL: usize = 8;

/// Where the entries of an index block are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    start: usize,
    pub(super) limit: usize,
    pub(super) count: usize,
}

/// Shape of an index block; `None` where the block is none or contradicts itself.
pub(crate) fn shape(bytes: &[u8], root: bool) -> Option<Shape> {
    let size = bytes.len();
    let first = entry_at(bytes, 0, size).ok()?;
    let start = if root {
        let second = entry_at(bytes, 12, size).ok()?;
        let right = first.len == 12
            && first.name == b"."
            && second.len == size - 12
            && second.name == b".."
            && le32(bytes, INFO) == 0
            && bytes[INFO + 5] == 8;
        right.then_some(ROOT_ENTRIES)?
    } else {
        (first.inode == 0 && first.len == size).then_some(NODE_ENTRIES)?
    };
    let (limit, count) = (usize::from(le16(bytes, start)), usize::from(le16(bytes, start + 2)));
    (count >= 1 && count <= limit && start + limit * ENTRY <= size).then_some(Shape {
        start,
        limit,
        count,
    })
}

impl Shape {
    /// The shape a new block gets, without entries yet.
    pub(super) fn new(size: usize, root: bool, checksums: bool) -> Self {
        let start = if root { ROOT_ENTRIES } else { NODE_ENTRIES };
        let tail = if checksums { TAIL } else { 0 };
        Self { start, limit: (size - start - tail) / ENTRY, count: 0 }
    }

    /// First byte after the room for entries, where the checksum is.
    pub(crate) fn tail(&self) -> usize {
        self.start + self.limit * ENTRY
    }

    /// The checksum: entries in use, then the tail with zeros in place of the sum. `None` where
    /// there is no room for a tail.
    pub(crate) fn checksum(&self, seed: u32, bytes: &[u8]) -> Option<u32> {
        let tail = self.tail();
        if tail + TAIL > bytes.len() {
            return None;
        }
        let crc = crc32c(seed, &bytes[..self.start + self.count * ENTRY]);
        Some(crc32c(crc32c(crc, &bytes[tail..tail + 4]), &[0; 4]))
    }

    /// Smallest hash of entry `n`; the first entry takes all below the second.
    pub(super) fn hash(&self, bytes: &[u8], n: usize) -> u32 {
        if n == 0 { 0 } else { le32(bytes, self.start + n * ENTRY) }
    }

    /// Block of the directory entry `n` leads to.
    pub(super) fn block(&self, bytes: &[u8], n: usize) -> u32 {
        le32(bytes, self.start + n * ENTRY + 4) & 0x0FFF_FFFF
    }

    /// The last entry whose hash is not above `hash`.
    pub(super) fn find(&self, bytes: &[u8], hash: u32) -> usize {
        let (mut low, mut high) = (1, self.count);
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.hash(bytes, middle) > hash {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low - 1
    }

    /// All entries, the first with hash 0.
    pub(super) fn list(&self, bytes: &[u8]) -> Vec<(u32, u32)> {
        (0..self.count).map(|n| (self.hash(bytes, n), self.block(bytes, n))).collect()
    }

    /// Writes entries; no more than `limit`, and at least one.
    pub(super) fn store(&mut self, bytes: &mut [u8], list: &[(u32, u32)]) {
        self.count = list.len();
        let end = self.tail();
        bytes[self.start..end].fill(0);
        for (n, &(hash, block)) in list.iter().enumerate() {
            put32(bytes, self.start + n * ENTRY, hash);
            put32(bytes, self.start + n * ENTRY + 4, block);
        }
        let small = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        put16(bytes, self.start, small(self.limit));
        put16(bytes, self.start + 2, small(self.count));
    }
}
