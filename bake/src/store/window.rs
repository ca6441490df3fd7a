//! A partition of an image as a store of its own.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::source::check_range;
use super::{BlockStore, Image, Payload};

/// An image whose partitions are open at the same time.
pub type SharedImage = Arc<Mutex<Image>>;

/// `len` bytes of a shared image from `start` on. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Window {
    image: SharedImage,
    start: u64,
    len: u64,
}

impl Window {
    /// The window `start..start+len`, both in bytes.
    ///
    /// # Errors
    /// `UnexpectedEof` where it leaves the image.
    pub fn new(image: SharedImage, start: u64, len: u64) -> io::Result<Self> {
        check_range(lock(&image).len(), start, len)?;
        Ok(Self { image, start, len })
    }

    /// The whole image as one window (a bare file system without a partition table).
    #[must_use]
    pub fn whole(image: SharedImage) -> Self {
        let len = lock(&image).len();
        Self { image, start: 0, len }
    }

    /// Byte of the image at which the window begins.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The image it looks into.
    #[must_use]
    pub fn image(&self) -> &SharedImage {
        &self.image
    }

    /// Checks that the range stays inside and moves it to the image.
    fn absolute(&self, offset: u64, len: u64) -> io::Result<u64> {
        check_range(self.len, offset, len)?;
        Ok(self.start + offset)
    }
}

/// A panic elsewhere cannot leave an image half changed: every operation on it is a whole one.
fn lock(image: &SharedImage) -> MutexGuard<'_, Image> {
    image.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BlockStore for Window {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let at = self.absolute(offset, buf.len() as u64)?;
        lock(&self.image).read_at(at, buf)
    }

    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        let at = self.absolute(offset, data.len() as u64)?;
        lock(&self.image).write_at(at, data)
    }

    fn place(&mut self, offset: u64, payload: &Payload, from: u64, len: u64) -> io::Result<()> {
        let at = self.absolute(offset, len)?;
        lock(&self.image).place(at, payload, from, len)
    }

    fn zero(&mut self, offset: u64, len: u64) -> io::Result<()> {
        let at = self.absolute(offset, len)?;
        lock(&self.image).zero(at, len)
    }
}
