//! File systems inside an image behind one interface, [`FileTree`]: FAT and ext4.
//!
//! Paths are absolute within the tree, `/`-separated bytes, and are taken literally: no symbolic
//! link is followed, in any component. Following them the way the running system does is the job
//! of the root view that sits above the trees.

pub mod ext4;
pub mod fat;
pub mod fstab;
mod open;
pub mod path;
pub mod root;
#[cfg(test)]
pub(crate) mod testing;

use crate::error::Result;
use crate::store::Payload;

pub use open::open;

/// What a directory entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Regular file.
    File,
    /// Directory.
    Directory,
    /// Symbolic link.
    Symlink,
    /// Device node, FIFO or socket: kept, shown, never made by us.
    Special,
}

/// Mode, owner and time an edit gives to what it creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits, 0o0000 to 0o7777. FAT keeps only the write bit.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970-01-01 UTC; also given to the times of access, change and creation.
    pub mtime: i64,
}

/// What is known of one file, as `lstat` would say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: FileKind,
    /// Bytes of content (of the target, for a symbolic link).
    pub size: u64,
    /// Permission bits, owner and modification time.
    pub attributes: Attributes,
    /// Hard links; 1 on FAT.
    pub links: u32,
    /// Inode number, equal for hard links; 0 on FAT.
    pub inode: u64,
}

/// One entry of a directory; `.` and `..` are not listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name, raw bytes (ext4 does not promise UTF-8).
    pub name: Vec<u8>,
    /// What it is.
    pub kind: FileKind,
}

/// Content of a file to be written.
#[derive(Debug, Clone)]
pub enum Content {
    /// Small, in memory.
    Bytes(Vec<u8>),
    /// Large, placed by reference.
    Payload(Payload),
}

/// What a file system says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// As mount(8) names it: `ext4` or `vfat`.
    pub format: &'static str,
    /// Volume label, empty where there is none.
    pub label: String,
    /// As blkid(8) shows it: a UUID on ext4, `XXXX-XXXX` on FAT.
    pub uuid: String,
    /// Bytes the file system spans; its partition may be longer.
    pub len: u64,
}

/// A byte range of the file system's own device that is in use (metadata or content).
pub type UsedRange = std::ops::Range<u64>;

/// Offline editing of one file system.
///
/// Nothing reaches the store below before [`FileTree::commit`]; a tree dropped without it leaves
/// the store as it was.
pub trait FileTree: Send {
    /// Format, label, identifier and length.
    fn describe(&self) -> Description;
    /// Sets the time, in seconds since 1970-01-01 UTC, given to what changes without being given
    /// one; file systems that keep no such times ignore it.
    fn set_clock(&mut self, _seconds: i64) {}
    /// `lstat`; `None` where no such entry exists.
    fn metadata(&self, path: &[u8]) -> Result<Option<Metadata>>;
    /// Entries of a directory, in the order of their names' bytes.
    fn read_dir(&self, path: &[u8]) -> Result<Vec<Entry>>;
    /// Reads part of a file; returns how many bytes were there (short only at the end).
    fn read_at(&self, path: &[u8], offset: u64, buf: &mut [u8]) -> Result<usize>;
    /// Target of a symbolic link.
    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>>;
    /// Extended attributes, sorted by full name (`security.capability`). Empty on FAT.
    fn xattrs(&self, path: &[u8]) -> Result<Vec<(String, Vec<u8>)>>;

    /// Creates or replaces a regular file; the parent must exist. A replaced file keeps nothing
    /// of the old one but its name.
    fn write(&mut self, path: &[u8], content: Content, attributes: Attributes) -> Result<()>;
    /// Creates a directory; where one exists it only takes on the attributes.
    fn mkdir(&mut self, path: &[u8], attributes: Attributes) -> Result<()>;
    /// Creates or replaces a symbolic link. Unsupported on FAT.
    fn symlink(&mut self, path: &[u8], target: &[u8], attributes: Attributes) -> Result<()>;
    /// Adds a hard link `new` to the file `old`. Unsupported on FAT.
    fn hard_link(&mut self, old: &[u8], new: &[u8]) -> Result<()>;
    /// Removes a file or symbolic link.
    fn remove_file(&mut self, path: &[u8]) -> Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&mut self, path: &[u8]) -> Result<()>;
    /// Moves `old` to `new`, replacing a file or an empty directory there, as rename(2).
    fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<()>;
    /// Sets mode, owner and times of what exists; on a symbolic link of the link itself.
    fn set_attributes(&mut self, path: &[u8], attributes: Attributes) -> Result<()>;
    /// Sets (`Some`) or removes (`None`) an extended attribute. Unsupported on FAT.
    fn set_xattr(&mut self, path: &[u8], name: &str, value: Option<&[u8]>) -> Result<()>;

    /// Free space in bytes that edits may still use.
    fn free_bytes(&self) -> Result<u64>;
    /// Grows the file system to fill `len` bytes of its device, which must already be that long.
    fn grow(&mut self, len: u64) -> Result<()>;
    /// Consistency of the whole file system: an empty list means sound.
    fn check(&self) -> Result<Vec<String>>;
    /// What is in use, ascending and merged; everything else may be dropped from an output.
    fn used(&self) -> Result<Vec<UsedRange>>;
    /// Writes every pending change to the store.
    fn commit(&mut self) -> Result<()>;
}
