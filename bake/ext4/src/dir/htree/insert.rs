//! Adding an entry: into its leaf, or by splitting leaf and index blocks from the bottom up.

use super::node::{INFO, Shape};
use super::probe::Frame;
use crate::bytes::{put16, put32};
use crate::dir::Dir;
use crate::dir::entry::{self, entries, needed};
use crate::dir::hash::Hasher;
use crate::error::{Error, Result};
use crate::fs::Ext4;
use crate::store::Store;

/// An entry on its way to another place.
struct Moving {
    hash: u32,
    inode: u32,
    name: Vec<u8>,
    file_type: u8,
}

impl<S: Store> Ext4<S> {
    pub(crate) fn htree_insert(
        &mut self,
        dir: &mut Dir,
        name: &[u8],
        inode: u32,
        file_type: u8,
    ) -> Result<()> {
        // Every round but the last makes room in the index, which has at most three levels.
        for _ in 0..8 {
            let (root, hasher) = self.htree_root(dir)?;
            let hash = hasher.hash(name);
            let frames = self.probe(dir, root, hash)?;
            let (logical, block) = self.leaf(dir, &frames)?;
            let mut bytes = self.dir_block(dir, logical, block)?.to_vec();
            let (size, end) = (bytes.len(), self.entry_bytes());
            if entry::insert(&mut bytes[..end], size, inode, name, file_type)
                .map_err(|reason| dir.corrupt(reason))?
            {
                self.seal_leaf(dir, &mut bytes);
                return self.volume.replace(block, bytes);
            }
            let mut all = self.gather(dir, &bytes[..end], hasher)?;
            all.push(Moving { hash, inode, name: name.to_vec(), file_type });
            all.sort_by_key(|entry| entry.hash);
            if all.iter().map(|entry| needed(entry.name.len())).sum::<usize>() <= end {
                return self.write_leaf(dir, block, &all);
            }
            if frames.last().is_some_and(|last| !last.is_full()) {
                return self.split_leaf(dir, frames, block, &all);
            }
            self.make_room(dir, &frames)?;
        }
        Err(dir.corrupt("its index cannot be split"))
    }

    /// The used entries of a leaf.
    fn gather(&self, dir: &Dir, bytes: &[u8], hasher: Hasher) -> Result<Vec<Moving>> {
        let mut all = Vec::new();
        for entry in entries(bytes, self.volume.block_size()) {
            let entry = entry.map_err(|reason| dir.corrupt(reason))?;
            if entry.inode != 0 {
                all.push(Moving {
                    hash: hasher.hash(entry.name),
                    inode: entry.inode,
                    name: entry.name.to_vec(),
                    file_type: entry.file_type,
                });
            }
        }
        Ok(all)
    }

    fn write_leaf(&mut self, dir: &Dir, block: u64, all: &[Moving]) -> Result<()> {
        let mut bytes = vec![0; self.volume.block_size()];
        let end = self.entry_bytes();
        let list = all.iter().map(|entry| (entry.inode, entry.name.as_slice(), entry.file_type));
        entry::pack(&mut bytes[..end], list);
        self.seal_leaf(dir, &mut bytes);
        self.volume.replace(block, bytes)
    }

    /// Moves the upper half, by size, of a leaf's entries to a new leaf. The last index block has
    /// room for it.
    fn split_leaf(
        &mut self,
        dir: &mut Dir,
        mut frames: Vec<Frame>,
        block: u64,
        all: &[Moving],
    ) -> Result<()> {
        let total: usize = all.iter().map(|entry| needed(entry.name.len())).sum();
        let mut low = 0;
        let half = all.iter().take_while(|entry| {
            low += needed(entry.name.len());
            low <= total / 2
        });
        let split = half.count().clamp(1, all.len() - 1);
        let first = all[split].hash;
        let continued = u32::from(all[split - 1].hash == first);
        let (logical, new) = self.append_block(dir)?;
        self.write_leaf(dir, block, &all[..split])?;
        self.write_leaf(dir, new, &all[split..])?;
        match frames.pop() {
            Some(last) => self.add_to_index(dir, last, first | continued, logical),
            None => Err(dir.corrupt("has no index")),
        }
    }

    /// Adds an index entry after the one that was followed.
    fn add_to_index(&mut self, dir: &Dir, frame: Frame, hash: u32, logical: u32) -> Result<()> {
        let mut list = frame.shape.list(&frame.bytes);
        list.insert(frame.at + 1, (hash, logical));
        self.write_index(dir, frame.block, frame.bytes.to_vec(), frame.shape, &list)
    }

    /// Writes the entries of an index block and its checksum.
    pub(super) fn write_index(
        &mut self,
        dir: &Dir,
        block: u64,
        mut bytes: Vec<u8>,
        mut shape: Shape,
        list: &[(u32, u32)],
    ) -> Result<()> {
        shape.store(&mut bytes, list);
        if self.sb.metadata_csum()
            && let Some(sum) = shape.checksum(dir.inode.seed(self.seed, dir.number), &bytes)
        {
            put32(&mut bytes, shape.tail() + 4, sum);
        }
        self.volume.replace(block, bytes)
    }

    /// Splits the topmost of the full index blocks at the end of `frames`, or puts a level below
    /// the root where all are full.
    fn make_room(&mut self, dir: &mut Dir, frames: &[Frame]) -> Result<()> {
        let Some(above) = frames.iter().rposition(|frame| !frame.is_full()) else {
            return self.deepen(dir, frames);
        };
        let (parent, full) = (frames[above].clone(), frames[above + 1].clone());
        let list = full.shape.list(&full.bytes);
        let (low, high) = list.split_at(list.len() / 2);
        let (logical, new) = self.append_block(dir)?;
        self.write_index(dir, full.block, full.bytes.to_vec(), full.shape, low)?;
        self.write_node(dir, new, high)?;
        self.add_to_index(dir, parent, high[0].0, logical)
    }

    /// Writes a new index block below the root.
    fn write_node(&mut self, dir: &Dir, block: u64, list: &[(u32, u32)]) -> Result<()> {
        let size = self.volume.block_size();
        let mut bytes = vec![0; size];
        put16(&mut bytes, 4, u16::try_from(size).unwrap_or(u16::MAX));
        let shape = Shape::new(size, false, self.sb.metadata_csum());
        self.write_index(dir, block, bytes, shape, list)
    }

    /// Moves all entries of the root to a new block below it.
    fn deepen(&mut self, dir: &mut Dir, frames: &[Frame]) -> Result<()> {
        let root = &frames[0];
        let mut bytes = root.bytes.to_vec();
        if bytes[INFO + 6] >= self.max_levels() {
            let size = dir.inode.size();
            return Err(Error::TooLarge { what: "indexed directory", size, limit: size });
        }
        let (logical, new) = self.append_block(dir)?;
        self.write_node(dir, new, &root.shape.list(&root.bytes))?;
        bytes[INFO + 6] += 1;
        self.write_index(dir, root.block, bytes, root.shape, &[(0, logical)])
    }
}
