//! How large the root file system must be.

use std::fmt;

use crate::error::Result;
use crate::job::open::Opened;
use crate::profile::RootSize;
use crate::recipe::Traits;
use crate::recipe::traits::Growth;
use crate::units::{GIB, MIB, human};

/// What the root file system became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grown {
    from: u64,
    /// Its length now, in bytes.
    pub(super) len: u64,
}

impl fmt::Display for Grown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the root file system grows from {} to {}", human(self.from), human(self.len))
    }
}

/// Partitions end on such a boundary.
const ALIGN: u64 = 4 * MIB;

/// Free space that must be left after the edits: little where the system grows on its first boot,
/// enough to start K3s (its unpacked programs and first images) where it stays as it is.
fn headroom(growth: Growth) -> u64 {
    if growth == Growth::None { GIB } else { 128 * MIB }
}

/// Room for what each node has for itself: keys, settings, its record. Fixed, since all nodes of a
/// role share one golden image.
const NODE: u64 = 16 * MIB;

/// Grows the root file system of `opened` where `wish` or the shared `payload` (bytes) asks for it.
pub(super) fn grow(
    opened: &mut Opened,
    wish: RootSize,
    payload: u64,
    traits: &Traits,
) -> Result<Option<Grown>> {
    let from = opened.root_volume()?.partition.len;
    let free = match opened.root()?.trees().next() {
        Some((_, tree)) => tree.free_bytes()?,
        None => 0,
    };
    let len = wanted(wish, from, free, payload + NODE + headroom(traits.growth));
    if len <= from {
        return Ok(None);
    }
    opened.grow_root(len)?;
    Ok(Some(Grown { from, len }))
}

fn wanted(wish: RootSize, from: u64, free: u64, needed: u64) -> u64 {
    // New blocks bring their own metadata: about a fiftieth in inode tables and bitmaps.
    let missing = needed.saturating_sub(free);
    let auto = from + missing + missing / 50;
    let len = match wish {
        RootSize::Auto if missing == 0 => from,
        RootSize::Auto => auto,
        RootSize::Plus(bytes) => from + bytes,
        RootSize::Exactly(len) => len.max(from),
    };
    if len == from { from } else { len.next_multiple_of(ALIGN) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_only_when_asked_or_needed() {
        let gib = |n: u64| n * GIB;
        assert_eq!(wanted(RootSize::Auto, gib(2) + 512, gib(1), MIB), gib(2) + 512);
        assert_eq!(wanted(RootSize::Auto, gib(2), MIB, 101 * MIB), gib(2) + 104 * MIB);
        assert_eq!(wanted(RootSize::Plus(gib(1)), gib(2), 0, gib(9)), gib(3));
        assert_eq!(wanted(RootSize::Exactly(gib(8)), gib(2), 0, gib(1)), gib(8));
        assert_eq!(wanted(RootSize::Exactly(gib(1)), gib(2), gib(1), 0), gib(2));
    }
}
