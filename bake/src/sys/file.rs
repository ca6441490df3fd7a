//! Positioned file I/O and what file systems know about their files.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

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

/// Whether `path` itself is the file that is open, not a link to it.
#[cfg(unix)]
#[must_use]
pub fn is_named(path: &Path, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    let same = |a: &std::fs::Metadata, b: &std::fs::Metadata| {
        a.is_file() && (a.dev(), a.ino()) == (b.dev(), b.ino())
    };
    match (std::fs::symlink_metadata(path), file.metadata()) {
        (Ok(named), Ok(open)) => same(&named, &open),
        _ => false,
    }
}

/// Not known on this system.
#[cfg(not(unix))]
#[must_use]
pub fn is_named(_: &Path, _: &File) -> bool {
    false
}

/// Whether `path` is the open file's only name, and the file this user's.
#[must_use]
pub fn is_only_name(path: &Path, file: &File) -> bool {
    #[cfg(unix)]
    let ours = {
        use std::os::unix::fs::MetadataExt;
        let user = rustix::process::geteuid().as_raw();
        file.metadata().is_ok_and(|found| found.nlink() == 1 && found.uid() == user)
    };
    #[cfg(not(unix))]
    let ours = false;
    ours && is_named(path, file)
}

/// Permissions of a file, as chmod(2) takes them.
///
/// # Errors
/// The system's.
pub fn mode(file: &File) -> io::Result<u32> {
    let found = file.metadata()?;
    #[cfg(unix)]
    return Ok(std::os::unix::fs::MetadataExt::mode(&found) & 0o7777);
    // Other systems have none.
    #[cfg(not(unix))]
    return Ok(if found.permissions().readonly() { 0o400 } else { 0o600 });
}

/// Changes the permissions of a file (fchmod(2)); systems without them leave it as it is.
///
/// # Errors
/// The system's.
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    return file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    return file.metadata().map(|_| _ = mode);
}

/// Whether parts of `file` take no space: zeros in it were looked for already.
#[cfg(unix)]
#[must_use]
pub fn has_holes(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|found| found.blocks().saturating_mul(512) < found.len())
}

/// Not known on this system.
#[cfg(not(unix))]
#[must_use]
pub fn has_holes(_: &File) -> bool {
    false
}

/// Copies bytes of `range` from `source` to the same place of `target` and returns how many it
/// were (copy_file_range(2)); `None` where that is not to be had between these two files.
///
/// # Errors
/// The system's, where it can in principle and failed; `UnexpectedEof` where `source` is shorter.
#[cfg(target_os = "linux")]
pub fn copy_range(source: &File, target: &File, range: Range<u64>) -> io::Result<Option<u64>> {
    use rustix::fs::copy_file_range;
    use rustix::io::Errno;
    let (mut from, mut to) = (range.start, range.start);
    let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    loop {
        return match copy_file_range(source, Some(&mut from), target, Some(&mut to), len) {
            Ok(0) if len > 0 => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(copied) => Ok(Some(copied as u64)),
            Err(Errno::INTR) => continue,
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {
                Ok(None)
            }
            Err(e) => Err(e.into()),
        };
    }
}

/// The kernel does not copy on this system.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn copy_range(_: &File, _: &File, _: Range<u64>) -> io::Result<Option<u64>> {
    Ok(None)
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
pub fn free_space(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

/// Not known on this system.
#[cfg(not(unix))]
#[must_use]
pub fn free_space(_: &Path) -> Option<u64> {
    None
}

/// A file without a name in `folder`, mode 0600, that vanishes unless it is linked (open(2),
/// `O_TMPFILE`); `None` where the file system has no such files.
#[cfg(target_os = "linux")]
#[must_use]
pub fn unnamed(folder: &Path) -> Option<File> {
    use rustix::fs::{Mode, OFlags};
    // Without it the file could not be linked in the end.
    if !Path::new("/proc/self/fd").is_dir() {
        return None;
    }
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR).ok().map(File::from)
}

/// No file without a name on this system.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn unnamed(_: &Path) -> Option<File> {
    None
}

/// Gives a file of [`unnamed`] the name `path`, which must be free.
///
/// # Errors
/// The system's; `AlreadyExists` where the name is taken.
#[cfg(target_os = "linux")]
pub fn link_unnamed(file: &File, path: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};
    use std::os::fd::AsRawFd;
    // The way for processes without CAP_DAC_READ_SEARCH (open(2)).
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(CWD, link, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

/// No file without a name on this system.
///
/// # Errors
/// Always `Unsupported`.
#[cfg(not(target_os = "linux"))]
pub fn link_unnamed(_: &File, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Renames `from` to `to`, which must be free.
///
/// # Errors
/// The system's; `AlreadyExists` where the name is taken.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            done => return Ok(done?),
        }
    }
    if std::fs::symlink_metadata(to).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    std::fs::rename(from, to)
}

/// Brings the names in a folder to disk.
///
/// # Errors
/// The system's.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return File::open(folder)?.sync_all();
    // Other systems have no such call.
    #[cfg(not(unix))]
    return std::fs::metadata(folder).map(|_| ());
}
