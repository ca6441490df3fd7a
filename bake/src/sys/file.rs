//! Positioned file I/O and what file systems know about their files.

use std::fs::File;
use std::io;
use std::ops::Range;

/// Fills `buf` from byte `offset`; the file's own position is not used.
///
/// # Errors
/// The system's, `UnexpectedEof` where the file ends before.
#[cfg(unix)]
pub fn read_exact_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buf, offset)
}

/// Fills `buf` from byte `offset`.
///
/// # Errors
/// The system's, `UnexpectedEof` where the file ends before.
#[cfg(windows)]
pub fn read_exact_at(file: &File, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !buf.is_empty() {
        match file.seek_read(buf, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                buf = &mut buf[n..];
                offset += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Writes all of `data` at byte `offset`.
///
/// # Errors
/// The system's.
#[cfg(unix)]
pub fn write_all_at(file: &File, data: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, data, offset)
}

/// Writes all of `data` at byte `offset`.
///
/// # Errors
/// The system's.
#[cfg(windows)]
pub fn write_all_at(file: &File, mut data: &[u8], mut offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !data.is_empty() {
        match file.seek_write(data, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                data = &data[n..];
                offset += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// First stretch of `range` that is not a hole (lseek(2), `SEEK_DATA` and `SEEK_HOLE`), clipped
/// to `range`; `None` where the rest is one hole. File systems that keep no holes, and systems
/// without the call, answer with the whole range.
#[cfg(target_os = "linux")]
#[must_use]
pub fn next_data(file: &File, range: Range<u64>) -> Option<Range<u64>> {
    use rustix::fs::{SeekFrom, seek};
    let start = match seek(file, SeekFrom::Data(range.start)) {
        Ok(start) => start,
        Err(rustix::io::Errno::NXIO) => return None,
        Err(_) => return Some(range),
    };
    if start >= range.end {
        return None;
    }
    let start = start.max(range.start);
    let end = seek(file, SeekFrom::Hole(start)).unwrap_or(range.end);
    Some(start..end.min(range.end))
}

/// Holes are not looked for on this system.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn next_data(_: &File, range: Range<u64>) -> Option<Range<u64>> {
    Some(range)
}

/// Makes `target` share all blocks of `source` (ioctl_ficlone(2)); `false` where the file system
/// cannot, or the two files lie on different ones.
///
/// # Errors
/// The system's, where it can in principle and failed.
#[cfg(target_os = "linux")]
pub fn reflink(source: &File, target: &File) -> io::Result<bool> {
    use rustix::io::Errno;
    match rustix::fs::ioctl_ficlone(target, source) {
        Ok(()) => Ok(true),
        Err(
            Errno::OPNOTSUPP
            | Errno::XDEV
            | Errno::INVAL
            | Errno::NOTTY
            | Errno::NOSYS
            | Errno::PERM,
        ) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// No reflinks on this system.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn reflink(_: &File, _: &File) -> io::Result<bool> {
    Ok(false)
}

/// Makes `range` of `file` a hole that reads as zero, its length unchanged (fallocate(2)).
///
/// # Errors
/// The system's.
#[cfg(target_os = "linux")]
pub fn punch_hole(file: &File, range: Range<u64>) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(fallocate(file, flags, range.start, range.end - range.start)?)
}

/// Holes cannot be punched on this system.
///
/// # Errors
/// Always `Unsupported`; only outputs made by [`reflink`] need it.
#[cfg(not(target_os = "linux"))]
pub fn punch_hole(_: &File, _: Range<u64>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Bytes that an unprivileged user may still write on the file system of `path`.
#[cfg(unix)]
#[must_use]
pub fn free_space(path: &std::path::Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

/// Not known on this system.
#[cfg(not(unix))]
#[must_use]
pub fn free_space(_: &std::path::Path) -> Option<u64> {
    None
}
