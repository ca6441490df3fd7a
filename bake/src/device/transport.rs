//! What an open device can do, and the two loops that use it whole.

use std::io;
use std::ops::Range;

use super::Fault;

/// An open block device, or a test's double of one.
///
/// Offsets, lengths and the addresses of buffers are multiples of [`crate::sys::aligned::ALIGN`],
/// except that the last write of all may be a multiple of [`Transport::block`] only.
pub trait Transport: Send {
    /// Bytes it claims to have.
    fn len(&self) -> u64;
    /// Whether there is nothing at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Smallest unit of reading and writing, in bytes.
    fn block(&self) -> u32;
    /// Writes from the start of `data` at `offset`, past every cache of the system; tells how much.
    ///
    /// # Errors
    /// The device's.
    fn write(&mut self, offset: u64, data: &[u8]) -> io::Result<usize>;
    /// Reads into the start of `buf` from `offset`, from the device itself; tells how much.
    ///
    /// # Errors
    /// The device's.
    fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;
    /// Makes `range` read as zero without sending zeros; `false` where the device cannot.
    ///
    /// # Errors
    /// The device's.
    fn zero(&mut self, range: Range<u64>) -> io::Result<bool>;
    /// Tells the device that `range` is not needed; `false` where it cannot be told.
    ///
    /// # Errors
    /// The device's.
    fn discard(&mut self, range: Range<u64>) -> io::Result<bool>;
    /// Waits until the medium has everything.
    ///
    /// # Errors
    /// The device's.
    fn sync(&mut self) -> io::Result<()>;
    /// Whether the device is still there.
    fn present(&self) -> bool;
    /// Has the system look at the partition table anew, as far as it can.
    fn announce(&mut self);
}

/// Writes all of `data`.
///
/// # Errors
/// The device's, by what the user can do.
pub fn write_all(card: &mut dyn Transport, offset: u64, data: &[u8]) -> Result<(), Fault> {
    let mut done = 0;
    while done < data.len() {
        let at = offset + done as u64;
        match card.write(at, &data[done..]) {
            Ok(0) => return Err(Fault::Short { at, missing: (data.len() - done) as u64 }),
            // What is left would not begin at a block.
            Ok(n) if n % card.block() as usize != 0 => {
                return Err(Fault::Short {
                    at: at + n as u64,
                    missing: (data.len() - done - n) as u64,
                });
            }
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(first_bad_block(card, at, &data[done..], e)),
        }
    }
    Ok(())
}

/// A write of many blocks failed: goes on block by block to say which one it is.
fn first_bad_block(card: &mut dyn Transport, at: u64, data: &[u8], error: io::Error) -> Fault {
    let fault = Fault::of_write(card, at, error);
    if !matches!(fault, Fault::Failing { .. }) || data.len() <= STEP {
        return fault;
    }
    for (index, block) in data.chunks(STEP).enumerate() {
        let at = at + (index * STEP) as u64;
        match card.write(at, block) {
            Ok(n) if n == block.len() => {}
            Ok(n) => return Fault::Short { at: at + n as u64, missing: (block.len() - n) as u64 },
            Err(e) => return Fault::of_write(card, at, e),
        }
    }
    // Each alone went through, but a device that failed once is not to be trusted.
    fault
}

/// Blocks are tried one by one in this size.
const STEP: usize = crate::sys::aligned::ALIGN;

/// Fills `buf`.
///
/// # Errors
/// The device's, by what the user can do.
pub fn read_all(card: &mut dyn Transport, offset: u64, buf: &mut [u8]) -> Result<(), Fault> {
    let mut done = 0;
    while done < buf.len() {
        let at = offset + done as u64;
        match card.read(at, &mut buf[done..]) {
            Ok(n) if n > 0 && n % card.block() as usize == 0 => done += n,
            Ok(_) => {
                let source = io::ErrorKind::UnexpectedEof.into();
                return Err(Fault::of_read(card, at, source));
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Fault::of_read(card, at, e)),
        }
    }
    Ok(())
}
