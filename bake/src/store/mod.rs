//! Block stores: a base that is never written, copy-on-write layers on top, and windows into them.

mod cache;
mod image;
mod layer;
mod source;
mod window;

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

pub use cache::Cached;
pub use image::{Image, Origin, Segment};
pub use layer::{Layer, Piece};
pub use source::{BytesSource, FileSource};
pub use window::{SharedImage, Window};

/// Random-access bytes of a source file (base image, K3s binary, airgap bundle).
pub trait ReadAt: Send + Sync + Debug {
    /// Length in bytes.
    fn len(&self) -> u64;
    /// Whether there are no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Fills `buf` from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` where the range leaves the source, else the device's error.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;
    /// First stretch inside `range` that may hold anything but zeros; `None` where all the rest
    /// is a hole. Sources that do not know answer with the whole range.
    fn next_data(&self, range: Range<u64>) -> Option<Range<u64>> {
        (!range.is_empty()).then_some(range)
    }
    /// The file behind it, where it is one whole file: lets an output share its blocks.
    fn as_file(&self) -> Option<&File> {
        None
    }
}

/// Content to be placed into an image: cheap to clone, not read until needed.
#[derive(Debug, Clone)]
pub struct Payload(pub Arc<dyn ReadAt>);

/// Random-access bytes that can be changed: a whole image, a partition, a file in tests.
///
/// Offsets and lengths are bytes. Reads and writes that leave the store fail with
/// `UnexpectedEof` and change nothing.
pub trait BlockStore: Send {
    /// Length in bytes.
    fn len(&self) -> u64;
    /// Whether there are no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Fills `buf` from `offset`.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;
    /// Replaces bytes at `offset`.
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()>;
    /// Makes `len` bytes at `offset` be those of `payload` from `from`, by reference where the
    /// store can (block aligned), so that a large payload costs no memory.
    fn place(&mut self, offset: u64, payload: &Payload, from: u64, len: u64) -> io::Result<()>;
    /// Makes `len` bytes at `offset` read as zero, without storing them.
    fn zero(&mut self, offset: u64, len: u64) -> io::Result<()>;
}
