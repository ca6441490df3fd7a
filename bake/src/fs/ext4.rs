//! ext4 as a [`FileTree`]: the crate `ext4-edit` over a block store.

use std::io;

use ext4_edit::{self as ext4, Ext4};

use super::{Attributes, Content, Description, Entry, FileKind, FileTree, Metadata, UsedRange};
use crate::error::{Error, Result};
use crate::store::{BlockStore, Payload};

/// An ext2, ext3 or ext4 file system on `S`.
pub struct Ext4Tree<S: BlockStore> {
    inner: Ext4<Device<S>>,
}

impl<S: BlockStore> std::fmt::Debug for Ext4Tree<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ext4Tree").field("label", &self.inner.label()).finish_non_exhaustive()
    }
}

impl<S: BlockStore> Ext4Tree<S> {
    /// Opens the file system; a journal that needs it is replayed into memory.
    ///
    /// # Errors
    /// [`Error::Unsupported`] by the name of the feature, [`Error::Corrupt`] with the place.
    pub fn open(store: S) -> Result<Self> {
        Ok(Self { inner: Ext4::open(Device(store)).map_err(Error::from)? })
    }
}

/// The store below, in the words of `ext4-edit`.
#[derive(Debug)]
struct Device<S>(S);

impl ext4::Payload for Payload {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buf)
    }
}

impl<S: BlockStore> ext4::Store for Device<S> {
    type Payload = Payload;

    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buf)
    }

    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }

    fn place(&mut self, offset: u64, payload: &Payload, from: u64, len: u64) -> io::Result<()> {
        self.0.place(offset, payload, from, len)
    }

    fn zero(&mut self, offset: u64, len: u64) -> io::Result<()> {
        self.0.zero(offset, len)
    }
}

impl<S: BlockStore> FileTree for Ext4Tree<S> {
    fn set_clock(&mut self, seconds: i64) {
        self.inner.set_clock(seconds);
    }

    fn describe(&self) -> Description {
        Description {
            format: "ext4",
            label: self.inner.label(),
            uuid: hyphenated(self.inner.uuid()),
            len: self.inner.len(),
        }
    }

    fn metadata(&self, path: &[u8]) -> Result<Option<Metadata>> {
        let found = match self.inner.metadata(path) {
            // A file where a directory would have to be: nothing can be below it.
            Err(ext4::Error::NotADirectory { .. }) => None,
            other => other?,
        };
        Ok(found.map(|m| Metadata {
            kind: kind(m.kind),
            size: m.size,
            attributes: Attributes {
                mode: m.attributes.mode,
                uid: m.attributes.uid,
                gid: m.attributes.gid,
                mtime: m.attributes.mtime,
            },
            links: m.links,
            inode: u64::from(m.inode),
        }))
    }

    fn read_dir(&self, path: &[u8]) -> Result<Vec<Entry>> {
        let entries = self.inner.read_dir(path)?.into_iter();
        Ok(entries.map(|e| Entry { name: e.name, kind: kind(e.kind) }).collect())
    }

    fn read_at(&self, path: &[u8], offset: u64, buf: &mut [u8]) -> Result<usize> {
        Ok(self.inner.read_at(path, offset, buf)?)
    }

    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>> {
        Ok(self.inner.read_link(path)?)
    }

    fn xattrs(&self, path: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
        Ok(self.inner.xattrs(path)?)
    }

    fn write(&mut self, path: &[u8], content: Content, attributes: Attributes) -> Result<()> {
        let content = match content {
            Content::Bytes(bytes) => ext4::Content::Bytes(bytes),
            Content::Payload(payload) => ext4::Content::Payload(payload),
        };
        Ok(self.inner.write(path, content, given(attributes))?)
    }

    fn mkdir(&mut self, path: &[u8], attributes: Attributes) -> Result<()> {
        Ok(self.inner.mkdir(path, given(attributes))?)
    }

    fn symlink(&mut self, path: &[u8], target: &[u8], attributes: Attributes) -> Result<()> {
        Ok(self.inner.symlink(path, target, given(attributes))?)
    }

    fn hard_link(&mut self, old: &[u8], new: &[u8]) -> Result<()> {
        Ok(self.inner.hard_link(old, new)?)
    }

    fn remove_file(&mut self, path: &[u8]) -> Result<()> {
        Ok(self.inner.remove_file(path)?)
    }

    fn remove_dir(&mut self, path: &[u8]) -> Result<()> {
        Ok(self.inner.remove_dir(path)?)
    }

    fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<()> {
        Ok(self.inner.rename(old, new)?)
    }

    fn set_attributes(&mut self, path: &[u8], attributes: Attributes) -> Result<()> {
        Ok(self.inner.set_attributes(path, given(attributes))?)
    }

    fn set_xattr(&mut self, path: &[u8], name: &str, value: Option<&[u8]>) -> Result<()> {
        Ok(self.inner.set_xattr(path, name, value)?)
    }

    fn free_bytes(&self) -> Result<u64> {
        Ok(self.inner.free_bytes())
    }

    fn grow(&mut self, len: u64) -> Result<()> {
        Ok(self.inner.grow(len)?)
    }

    fn check(&self) -> Result<Vec<String>> {
        Ok(self.inner.check()?.iter().map(ToString::to_string).collect())
    }

    fn used(&self) -> Result<Vec<UsedRange>> {
        Ok(self.inner.used()?)
    }

    fn commit(&mut self) -> Result<()> {
        Ok(self.inner.commit()?)
    }
}

impl From<ext4::Error> for Error {
    fn from(error: ext4::Error) -> Self {
        use ext4::Error as E;
        let what = || "ext4 file system".to_owned();
        match error {
            E::Io(source) => Self::Io { doing: "reading or writing", path: what().into(), source },
            E::Unsupported { feature } => Self::Unsupported { what: what(), feature },
            E::Corrupt { place, reason } => {
                Self::Corrupt { what: format!("ext4 file system, {place},"), reason }
            }
            E::NotFound { path } => Self::NotFound { what: "path in the image", name: path },
            E::NotADirectory { path } => Self::NotFound { what: "folder in the image", name: path },
            E::NoSpace { needed, free } => Self::NoSpace { what: what(), needed, free },
            other => Self::Usage(other.to_string()),
        }
    }
}

fn given(attributes: Attributes) -> ext4::Attributes {
    let Attributes { mode, uid, gid, mtime } = attributes;
    ext4::Attributes { mode, uid, gid, mtime }
}

fn kind(kind: ext4::FileKind) -> FileKind {
    match kind {
        ext4::FileKind::File => FileKind::File,
        ext4::FileKind::Directory => FileKind::Directory,
        ext4::FileKind::Symlink => FileKind::Symlink,
        _ => FileKind::Special,
    }
}

fn hyphenated(uuid: [u8; 16]) -> String {
    let hex = hex::encode(uuid);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_look_as_blkid_shows_them() {
        let bytes = std::array::from_fn(|i| i as u8);
        assert_eq!(hyphenated(bytes), "00010203-0405-0607-0809-0a0b0c0d0e0f");
    }
}
