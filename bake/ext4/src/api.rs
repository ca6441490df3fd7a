//! The public operations.
//!
//! Paths are absolute within the file system, `/`-separated bytes, and taken literally: no
//! symbolic link is followed in any component.

use std::ops::Range;

use crate::error::{Error, Result, show};
use crate::fs::Ext4;
use crate::store::Store;
use crate::types::{Attributes, Content, Entry, Metadata};

impl<S: Store> Ext4<S> {
    /// Sets the time given to directories that change and to the superblock, in seconds since the
    /// epoch. Until then it is the time of the last write recorded in the file system, so that
    /// the same edits always give the same bytes.
    pub fn set_clock(&mut self, seconds: i64) {
        self.clock = seconds;
    }

    /// `lstat`; `None` where no such entry exists.
    ///
    /// # Errors
    /// Device and corruption.
    pub fn metadata(&self, path: &[u8]) -> Result<Option<Metadata>> {
        self.lookup(path)?.map(|number| self.describe(number)).transpose()
    }

    /// Entries of a directory, in the order of their names' bytes, without `.` and `..`.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`, device and corruption.
    pub fn read_dir(&self, path: &[u8]) -> Result<Vec<Entry>> {
        self.list(path)
    }

    /// Reads part of a file; returns how many bytes were there (short only at the end).
    ///
    /// # Errors
    /// `NotFound`, `IsADirectory`, `Invalid` for what has no content, device and corruption.
    pub fn read_at(&self, path: &[u8], offset: u64, buf: &mut [u8]) -> Result<usize> {
        let number = self.resolve(path)?;
        let inode = self.live_inode(number)?;
        if inode.is_dir() {
            return Err(Error::IsADirectory { path: show(path) });
        }
        if !inode.is_file() {
            return Err(Error::Invalid { path: show(path), reason: "not a regular file" });
        }
        self.read_content(number, &inode, offset, buf)
    }

    /// Target of a symbolic link.
    ///
    /// # Errors
    /// `NotFound`, `Invalid` where it is none, device and corruption.
    pub fn read_link(&self, path: &[u8]) -> Result<Vec<u8>> {
        let number = self.resolve(path)?;
        let inode = self.live_inode(number)?;
        if !inode.is_symlink() {
            return Err(Error::Invalid { path: show(path), reason: "not a symbolic link" });
        }
        self.link_target(number, &inode)
    }

    /// Extended attributes, sorted by full name (`security.capability`).
    ///
    /// # Errors
    /// `NotFound`, device and corruption.
    pub fn xattrs(&self, path: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
        self.all_attrs(self.resolve(path)?)
    }

    /// Creates or replaces a regular file; the parent must exist. A replaced file keeps nothing of
    /// the old one but its name; other hard links of the old one keep the old content.
    ///
    /// # Errors
    /// `NotFound` for the parent, `IsADirectory`, `InvalidName`, `NoSpace`, `NoInodes`,
    /// `TooLarge`, device and corruption.
    pub fn write(
        &mut self,
        path: &[u8],
        content: Content<S::Payload>,
        attributes: Attributes,
    ) -> Result<()> {
        self.edit(|fs| fs.create_file(path, content, attributes))
    }

    /// Creates a directory; where one exists it only takes on the attributes.
    ///
    /// # Errors
    /// As [`Ext4::write`]; `Exists` where something else than a directory is, `TooManyLinks`.
    pub fn mkdir(&mut self, path: &[u8], attributes: Attributes) -> Result<()> {
        self.edit(|fs| fs.make_dir(path, attributes))
    }

    /// Creates or replaces a symbolic link.
    ///
    /// # Errors
    /// As [`Ext4::write`].
    pub fn symlink(&mut self, path: &[u8], target: &[u8], attributes: Attributes) -> Result<()> {
        self.edit(|fs| fs.create_symlink(path, target, attributes))
    }

    /// Adds a hard link `new` to `old`, which must not be a directory.
    ///
    /// # Errors
    /// `NotFound`, `IsADirectory`, `Exists`, `TooManyLinks`, `NoSpace`, device and corruption.
    pub fn hard_link(&mut self, old: &[u8], new: &[u8]) -> Result<()> {
        self.edit(|fs| fs.link(old, new))
    }

    /// Removes anything but a directory.
    ///
    /// # Errors
    /// `NotFound`, `IsADirectory`, device and corruption.
    pub fn remove_file(&mut self, path: &[u8]) -> Result<()> {
        self.edit(|fs| fs.unlink(path))
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`, `NotEmpty`, device and corruption.
    pub fn remove_dir(&mut self, path: &[u8]) -> Result<()> {
        self.edit(|fs| fs.delete_dir(path))
    }

    /// Moves `old` to `new`, replacing a file or an empty directory there, as rename(2).
    ///
    /// # Errors
    /// `NotFound`, `IsADirectory`, `NotADirectory`, `NotEmpty`, `Invalid` for a directory moved
    /// into itself, `NoSpace`, device and corruption.
    pub fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<()> {
        self.edit(|fs| fs.move_entry(old, new))
    }

    /// Sets mode, owner and times of what exists; on a symbolic link of the link itself.
    ///
    /// # Errors
    /// `NotFound`, device and corruption.
    pub fn set_attributes(&mut self, path: &[u8], attributes: Attributes) -> Result<()> {
        let number = self.resolve(path)?;
        self.edit(|fs| fs.change_attributes(number, attributes))
    }

    /// Sets (`Some`) or removes (`None`) an extended attribute; removing one that is not there
    /// changes nothing.
    ///
    /// # Errors
    /// `NotFound`, `InvalidName` for an unknown namespace, `TooLarge`, `NoSpace`, device and
    /// corruption.
    pub fn set_xattr(&mut self, path: &[u8], name: &str, value: Option<&[u8]>) -> Result<()> {
        let number = self.resolve(path)?;
        self.edit(|fs| fs.change_xattr(number, name, value))
    }

    /// Free space in bytes that edits may still use, blocks reserved for root included.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.sb.free_blocks().saturating_mul(u64::from(self.sb.geometry.block_size))
    }

    /// Byte ranges of the device that are in use, metadata or content, ascending and merged;
    /// everything else may be dropped from an output.
    ///
    /// # Errors
    /// Device and corruption.
    pub fn used(&self) -> Result<Vec<Range<u64>>> {
        self.used_ranges()
    }

    /// Volume label.
    #[must_use]
    pub fn label(&self) -> String {
        String::from_utf8_lossy(self.sb.label()).into_owned()
    }

    /// UUID of the file system, in the order of its bytes.
    #[must_use]
    pub fn uuid(&self) -> [u8; 16] {
        self.sb.uuid()
    }

    /// Names of the features set, as `tune2fs -l` prints them.
    #[must_use]
    pub fn features(&self) -> Vec<String> {
        self.sb.features()
    }

    /// Bytes of a block, 1024 to 65536.
    #[must_use]
    pub fn block_size(&self) -> u32 {
        self.sb.geometry.block_size
    }

    /// Length of the file system in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.sb.geometry.byte(self.sb.geometry.blocks)
    }

    /// Never: a file system has at least its superblock.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Writes every pending change to the store. A failure leaves everything pending.
    ///
    /// # Errors
    /// The device, or the source of new content, failed.
    pub fn commit(&mut self) -> Result<()> {
        self.write_everything()
    }

    /// Gives the device back. What was not committed is lost.
    #[must_use]
    pub fn into_store(self) -> S {
        self.volume.into_store()
    }
}
