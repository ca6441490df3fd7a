//! Which blocks and inodes are free, and choosing among them. Everything here is deterministic:
//! first fit from a goal, longest run first where nothing fits.

mod bitmaps;
mod blocks;
mod inodes;
mod zone;

/// Neighbouring blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) start: u64,
    pub(crate) len: u32,
}
