//! What Linux does with a whole block device beyond reading and writing it. One of the two places of
//! this program with `unsafe`: three requests that no safe function covers (linux/fs.h).
#![allow(unsafe_code, reason = "ioctl(2) has no type of its own")]

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::ioctl::{Getter, NoArg, Opcode, Setter, ioctl, opcode};

/// `BLKDISCARD`, `_IO(0x12, 119)`.
const DISCARD: Opcode = opcode::none(0x12, 119);
/// `BLKFLSBUF`, `_IO(0x12, 97)`.
const FLUSH_BUFFERS: Opcode = opcode::none(0x12, 97);
/// `BLKRRPART`, `_IO(0x12, 95)`.
const READ_PARTITIONS: Opcode = opcode::none(0x12, 95);
/// `BLKGETDISKSEQ`, `_IOR(0x12, 128, __u64)`.
const SEQUENCE: Opcode = opcode::read::<u64>(0x12, 128);

/// How a device is opened to be written: past the page cache, and alone. With `O_EXCL` the
/// kernel refuses a device of which anything is mounted or held, in whatever namespace.
#[must_use]
pub fn flags() -> OFlags {
    OFlags::DIRECT | OFlags::EXCL | OFlags::NOFOLLOW
}

/// Opens a block device as [`flags`] says.
///
/// # Errors
/// The system's: `EBUSY` where it is in use.
pub fn open(path: &Path) -> io::Result<File> {
    #[allow(clippy::cast_possible_wrap, reason = "flags are small")]
    let flags = flags().bits() as i32;
    OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)
}

/// Asks udev and its like to leave the device alone while it is open (systemd's block device
/// locking). `false` where somebody is looking at it just now.
#[must_use]
pub fn try_lock(file: &File) -> bool {
    flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Major and minor number of an open device.
///
/// # Errors
/// The system's.
pub fn number(file: &File) -> io::Result<(u32, u32)> {
    let device = file.metadata()?.rdev();
    Ok((rustix::fs::major(device), rustix::fs::minor(device)))
}

/// Tells one insertion of a medium from the next; `None` before Linux 5.15.
#[must_use]
pub fn sequence(file: &File) -> Option<u64> {
    // SAFETY: BLKGETDISKSEQ writes one u64 to where its argument points, which is what Getter
    // provides for.
    unsafe { ioctl(file, Getter::<SEQUENCE, u64>::new()) }.ok()
}

/// Tells the device that nobody needs the bytes of `range`, which may then read as anything.
///
/// # Errors
/// The system's; `Unsupported` where the device cannot.
pub fn discard(file: &File, range: Range<u64>) -> io::Result<()> {
    let argument = [range.start, range.end - range.start];
    // SAFETY: BLKDISCARD reads two u64, start and length in bytes, from where its argument
    // points; Setter points it to `argument`, which lives through the call.
    Ok(unsafe { ioctl(file, Setter::<DISCARD, [u64; 2]>::new(argument)) }?)
}

/// Brings everything to the medium and drops what the kernel remembers of it.
///
/// # Errors
/// The system's.
pub fn flush(file: &File) -> io::Result<()> {
    file.sync_all()?;
    // SAFETY: BLKFLSBUF takes no argument. Only root may; nothing that was written past the page
    // cache depends on it.
    let _ = unsafe { ioctl(file, NoArg::<FLUSH_BUFFERS>::new()) };
    Ok(())
}

/// Has the kernel read the partition table anew; udev does so too when the device is closed.
pub fn read_partitions(file: &File) {
    // SAFETY: BLKRRPART takes no argument.
    let _ = unsafe { ioctl(file, NoArg::<READ_PARTITIONS>::new()) };
}
