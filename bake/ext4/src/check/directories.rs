//! Directories: the entries of every block, and the way from each directory up to the root.

use std::collections::BTreeSet;

use super::Check;
use crate::bytes::{le16, le32};
use crate::csum::crc32c;
use crate::error::{Result, corrupt};
use crate::features::incompat;
use crate::inode::{FLAG_INDEX, Inode, ROOT, S_IFDIR, S_IFMT};
use crate::map::FileMap;
use crate::store::Store;

/// File type that marks the checksum tail of a directory block.
const TAIL_TYPE: u8 = 0xDE;
/// Bytes of that tail.
const TAIL: usize = 12;

/// A directory's place in the tree.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Family {
    /// The directory that names it, 0 if none was met yet.
    named_in: u32,
    /// What its `..` says.
    parent: u32,
}

/// One entry of a directory block.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawEntry<'a> {
    pub(super) inode: u32,
    pub(super) kind: u8,
    pub(super) name: &'a [u8],
}

impl<S: Store> Check<'_, S> {
    pub(super) fn directory(&mut self, number: u32, inode: &Inode, map: &FileMap) -> Result<()> {
        let place = format!("inode {number}");
        let indexed = inode.flags() & FLAG_INDEX != 0;
        let nodes = if indexed {
            self.note(&place, self.index(number, inode, map))?
        } else {
            Some(BTreeSet::new())
        };
        let Some(nodes) = nodes else { return Ok(()) };
        let blocks = inode.size() / self.fs.volume.block_size() as u64;
        let mut expected = 0_u64;
        for extent in &map.extents {
            for n in 0..extent.len {
                let logical = extent.logical + n;
                if u64::from(logical) >= blocks {
                    break;
                }
                if u64::from(logical) != expected {
                    self.find(&place, format!("a directory with a hole at block {expected}"));
                }
                expected = u64::from(logical) + 1;
                let is_node = nodes.contains(&logical);
                let entries = self.directory_block(
                    number,
                    inode,
                    logical,
                    extent.start + u64::from(n),
                    is_node,
                );
                self.note(&place, entries)?;
            }
        }
        Ok(())
    }

    /// Entries of one block.
    fn directory_block(
        &mut self,
        number: u32,
        inode: &Inode,
        logical: u32,
        block: u64,
        is_node: bool,
    ) -> Result<()> {
        let place = format!("inode {number}");
        let bytes = self.fs.volume.read(block)?;
        let sealed = self.fs.sb.metadata_csum() && !is_node;
        if sealed && !tail_matches(&bytes, inode.seed(self.fs.seed, number)) {
            return Err(corrupt(place, format!("checksum of directory block {logical} is wrong")));
        }
        // Of an index node only the root has entries: `.` and `..`, the rest hidden in the latter.
        if is_node && logical != 0 {
            return Ok(());
        }
        let end = bytes.len() - if sealed { TAIL } else { 0 };
        let mut ordinal = 0;
        for entry in raw_entries(&bytes, end).map_err(|reason| {
            corrupt(place.clone(), format!("directory block {logical}: {reason}"))
        })? {
            if logical == 0 && ordinal < 2 {
                self.dots(number, ordinal, &entry);
            } else if entry.inode != 0 {
                self.entry(number, &entry);
            }
            ordinal += 1;
        }
        if logical == 0 && ordinal < 2 {
            self.find(place, "a directory without `.` and `..`");
        }
        Ok(())
    }

    fn dots(&mut self, number: u32, ordinal: u32, entry: &RawEntry<'_>) {
        let place = format!("inode {number}");
        let name: &[u8] = if ordinal == 0 { b"." } else { b".." };
        if entry.name != name || entry.inode == 0 {
            self.find(place, "a directory that does not begin with `.` and `..`");
        } else if ordinal == 0 {
            if entry.inode != number {
                self.find(place, format!("its `.` is inode {}", entry.inode));
            }
            self.name(entry.inode);
        } else {
            self.families.entry(number).or_default().parent = entry.inode;
            self.name(entry.inode);
        }
    }

    fn entry(&mut self, number: u32, entry: &RawEntry<'_>) {
        let place = format!("inode {number}");
        let shown = entry.name.escape_ascii();
        let forbidden = entry.name.contains(&b'/') || entry.name.contains(&0);
        if entry.name.is_empty() || forbidden || entry.name == b"." || entry.name == b".." {
            self.find(&place, format!("an entry with the name `{shown}`"));
        }
        if entry.inode > self.links.last() {
            self.find(place, format!("`{shown}` is inode {}, which cannot be", entry.inode));
            return;
        }
        self.name(entry.inode);
        let Ok(target) = self.fs.read_inode(entry.inode) else { return };
        if target.is_dir() {
            let family = self.families.entry(entry.inode).or_default();
            if family.named_in != 0 {
                self.find(&place, format!("`{shown}` is a directory named elsewhere as well"));
            } else {
                family.named_in = number;
            }
        }
        let kind = if self.fs.sb.has_incompat(incompat::FILETYPE) { entry.kind } else { 0 };
        if kind != 0 && kind != kind_of(target.mode()) && target.mode() != 0 {
            self.find(place, format!("`{shown}` is said to be of another kind than its inode"));
        }
        if kind == 0 && self.fs.sb.has_incompat(incompat::FILETYPE) {
            self.find(format!("inode {number}"), format!("`{shown}` is said to be of no kind"));
        }
    }

    /// Counts a name of an inode, if there can be such an inode.
    fn name(&mut self, inode: u32) {
        if inode == 0 || inode > self.links.last() {
            return;
        }
        let known = self.links.get_mut(inode);
        known.named = known.named.saturating_add(1);
    }

    /// Every directory's `..` is where it is named, and every way up ends at the root.
    pub(super) fn descent(&mut self) {
        let families = std::mem::take(&mut self.families);
        let mut reached = BTreeSet::from([ROOT]);
        for (&number, family) in &families {
            let place = format!("inode {number}");
            let expected = if number == ROOT { ROOT } else { family.named_in };
            if self.links.get(number).mode & S_IFMT != S_IFDIR {
                continue;
            }
            if expected != 0 && family.parent != expected {
                let reason =
                    format!("its `..` is inode {}, it is named in {expected}", family.parent);
                self.find(&place, reason);
            }
            let mut way = BTreeSet::new();
            let mut at = number;
            while at != 0 && !reached.contains(&at) && way.insert(at) {
                at = families.get(&at).map_or(0, |family| family.named_in);
            }
            if at == 0 || !reached.contains(&at) {
                self.find(place, "a directory that cannot be reached from the root");
            }
            reached.extend(way);
        }
    }
}

/// Entries of a directory block up to `end`, unused ones included.
pub(super) fn raw_entries(bytes: &[u8], end: usize) -> Result<Vec<RawEntry<'_>>, &'static str> {
    let mut entries = Vec::new();
    let mut at = 0;
    while at < end {
        if at + 8 > end {
            return Err("an entry crosses the end");
        }
        // 65,535 and 0 mean a whole block of 64 KiB.
        let len = match le16(bytes, at + 4) {
            0 | u16::MAX if bytes.len() == 65_536 => 65_536,
            len => usize::from(len),
        };
        let name = usize::from(bytes[at + 6]);
        if len < 8 || !len.is_multiple_of(4) || at + len > end || name + 8 > len {
            return Err("an entry of impossible length");
        }
        entries.push(RawEntry {
            inode: le32(bytes, at),
            kind: bytes[at + 7],
            name: &bytes[at + 8..at + 8 + name],
        });
        at += len;
    }
    Ok(entries)
}

/// Whether the checksum tail of a directory block (`struct ext4_dir_entry_tail`) matches.
fn tail_matches(bytes: &[u8], seed: u32) -> bool {
    let tail = &bytes[bytes.len() - TAIL..];
    let shaped = le32(tail, 0) == 0 && le16(tail, 4) == 12 && tail[6] == 0 && tail[7] == TAIL_TYPE;
    shaped && crc32c(seed, &bytes[..bytes.len() - TAIL]) == le32(tail, 8)
}

/// File type of a directory entry for an inode's mode.
fn kind_of(mode: u16) -> u8 {
    match mode >> 12 {
        0x8 => 1,
        0x4 => 2,
        0x2 => 3,
        0x6 => 4,
        0x1 => 5,
        0xC => 6,
        0xA => 7,
        _ => 0,
    }
}
