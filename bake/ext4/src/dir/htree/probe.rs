//! Finding the leaf of a hash.

use super::node::{INFO, Shape, shape};
use crate::dir::hash::Hasher;
use crate::dir::{Dir, Found};
use crate::error::Result;
use crate::features::incompat;
use crate::fs::Ext4;
use crate::store::Store;
use crate::volume::Block;

/// One index block on the way to a leaf.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// Block of the device.
    pub(super) block: u64,
    pub(super) bytes: Block,
    pub(super) shape: Shape,
    /// Entry followed.
    pub(super) at: usize,
}

impl Frame {
    pub(super) fn is_full(&self) -> bool {
        self.shape.count >= self.shape.limit
    }

    fn child(&self) -> u32 {
        self.shape.block(&self.bytes, self.at)
    }
}

impl<S: Store> Ext4<S> {
    /// Index levels below the root that are possible.
    pub(super) fn max_levels(&self) -> u8 {
        if self.sb.has_incompat(incompat::LARGEDIR) { 2 } else { 1 }
    }

    /// Device block of a block of an indexed directory, which can have no holes.
    pub(super) fn indexed_block(&self, dir: &Dir, logical: u32) -> Result<u64> {
        let end = dir.inode.size() / self.volume.block_size() as u64;
        if u64::from(logical) >= end {
            return Err(dir.corrupt(format!("its index names block {logical} of {end}")));
        }
        let found = self.find_block(dir.number, &dir.inode, logical)?;
        found.start.ok_or_else(|| dir.corrupt(format!("its block {logical} is a hole")))
    }

    fn frame(&self, dir: &Dir, logical: u32) -> Result<Frame> {
        let block = self.indexed_block(dir, logical)?;
        let bytes = self.dir_block(dir, logical, block)?;
        let root = logical == 0;
        let want = Shape::new(bytes.len(), root, self.sb.metadata_csum());
        match shape(&bytes, root).filter(|shape| shape.limit == want.limit) {
            Some(shape) => Ok(Frame { block, bytes, shape, at: 0 }),
            None => Err(dir.corrupt(format!("its index block {logical} is invalid"))),
        }
    }

    /// Root of the index, and how names are hashed.
    pub(super) fn htree_root(&self, dir: &Dir) -> Result<(Frame, Hasher)> {
        let root = self.frame(dir, 0)?;
        let hasher = Hasher::new(&self.sb, root.bytes[INFO + 4])?;
        if root.bytes[INFO + 6] > self.max_levels() {
            return Err(dir.corrupt("its index is too deep"));
        }
        Ok((root, hasher))
    }

    /// The index blocks from the root to the leaf of `hash`.
    pub(super) fn probe(&self, dir: &Dir, root: Frame, hash: u32) -> Result<Vec<Frame>> {
        let levels = root.bytes[INFO + 6];
        let mut frames = vec![root];
        for level in 0..=levels {
            let Some(last) = frames.last_mut() else { break };
            last.at = last.shape.find(&last.bytes, hash);
            let child = last.child();
            if level < levels {
                if child == 0 {
                    return Err(dir.corrupt("its index leads back to its root"));
                }
                frames.push(self.frame(dir, child)?);
            }
        }
        Ok(frames)
    }

    /// The leaf the frames lead to, as `(logical, device)`.
    pub(super) fn leaf(&self, dir: &Dir, frames: &[Frame]) -> Result<(u32, u64)> {
        let logical = frames.last().map_or(0, Frame::child);
        if logical == 0 {
            return Err(dir.corrupt("its index names its root as a leaf"));
        }
        Ok((logical, self.indexed_block(dir, logical)?))
    }

    /// Moves on to the next leaf if that continues the same hash.
    fn next_leaf(&self, dir: &Dir, frames: &mut [Frame], hash: u32) -> Result<bool> {
        let more = |frame: &Frame| frame.at + 1 < frame.shape.count;
        let Some(turn) = frames.iter().rposition(more) else { return Ok(false) };
        let frame = &mut frames[turn];
        if frame.shape.hash(&frame.bytes, frame.at + 1) & !1 != hash {
            return Ok(false);
        }
        frame.at += 1;
        for below in turn + 1..frames.len() {
            let child = frames[below - 1].child();
            frames[below] = self.frame(dir, child)?;
        }
        Ok(true)
    }

    /// Finds an entry by way of the index.
    pub(crate) fn htree_find(&self, dir: &Dir, name: &[u8]) -> Result<Option<Found>> {
        let (root, hasher) = self.htree_root(dir)?;
        let hash = hasher.hash(name);
        let mut frames = self.probe(dir, root, hash)?;
        loop {
            let (logical, block) = self.leaf(dir, &frames)?;
            let found = self.find_in_leaf(dir, logical, block, name)?;
            if found.is_some() || !self.next_leaf(dir, &mut frames, hash)? {
                return Ok(found);
            }
        }
    }
}
