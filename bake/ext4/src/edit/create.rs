//! Creating and replacing files and symbolic links.

use std::sync::Arc;

use crate::dir::Dir;
use crate::error::{Error, Result, show};
use crate::features::ro_compat;
use crate::fs::Ext4;
use crate::inode::{Inode, S_IFLNK, S_IFREG, Stamp};
use crate::map::FileMap;
use crate::path::require_no_root;
use crate::read::FAST_SYMLINK;
use crate::store::{Payload, Store};
use crate::types::{Attributes, Content};
use crate::volume::Source;

/// Longest target of a symbolic link (PATH_MAX without its NUL).
const TARGET_MAX: usize = 4095;
/// Sizes from here on need the feature `large_file`.
const LARGE_FILE: u64 = 1 << 31;

impl<S: Store> Ext4<S> {
    pub(crate) fn create_file(
        &mut self,
        path: &[u8],
        content: Content<S::Payload>,
        attributes: Attributes,
    ) -> Result<()> {
        let source = match content {
            Content::Bytes(bytes) => Source::Bytes(bytes),
            Content::Payload(payload) => Source::Payload(payload),
        };
        self.create(path, S_IFREG, attributes, |fs, number, inode| fs.fill(number, inode, source))
    }

    pub(crate) fn create_symlink(
        &mut self,
        path: &[u8],
        target: &[u8],
        attributes: Attributes,
    ) -> Result<()> {
        if target.is_empty() || target.contains(&0) {
            let reason = "a link target is not empty and holds no NUL byte";
            return Err(Error::InvalidName { path: show(path), reason });
        }
        let limit = TARGET_MAX.min(self.volume.block_size() - 1);
        if target.len() > limit {
            let (size, limit) = (target.len() as u64, limit as u64);
            return Err(Error::TooLarge { what: "symbolic link", size, limit });
        }
        let attributes = Attributes { mode: 0o777, ..attributes };
        self.create(path, S_IFLNK, attributes, |fs, number, inode| {
            if target.len() >= FAST_SYMLINK {
                return fs.fill(number, inode, Source::Bytes(target.to_vec()));
            }
            inode.block_area_mut()[..target.len()].copy_from_slice(target);
            inode.set_size(target.len() as u64);
            Ok(())
        })
    }

    /// Makes `path` name a new inode, which `fill` gives its content.
    fn create(
        &mut self,
        path: &[u8],
        kind: u16,
        attributes: Attributes,
        fill: impl FnOnce(&mut Self, u32, &mut Inode) -> Result<()>,
    ) -> Result<()> {
        require_no_root(path)?;
        let (mut dir, name) = self.resolve_parent(path)?;
        let found = self.find_entry(&dir, name)?;
        if let Some(found) = found {
            self.require_ordinary(found.inode)?;
            if self.live_inode(found.inode)?.is_dir() {
                return Err(Error::IsADirectory { path: show(path) });
            }
            self.drop_link(found.inode)?;
        }
        let (number, mut inode) = self.allocate_inode(dir.number, false)?;
        self.dress(&mut inode, kind, attributes);
        inode.set_links(1);
        fill(self, number, &mut inode)?;
        self.write_inode(number, &inode)?;
        match found {
            Some(found) => self.set_entry(&dir, found, number, kind)?,
            None => self.add_entry(&mut dir, name, number, kind)?,
        }
        self.touch_dir(&mut dir)
    }

    /// Mode, owner and times of a new inode.
    pub(super) fn dress(&self, inode: &mut Inode, kind: u16, attributes: Attributes) {
        inode.set_mode(kind | attributes.mode & 0o7777);
        inode.set_owner(attributes.uid, attributes.gid);
        inode.set_all_times(attributes.mtime);
    }

    /// Writes a directory whose entries changed.
    pub(super) fn touch_dir(&mut self, dir: &mut Dir) -> Result<()> {
        dir.inode.set_time(Stamp::Modify, self.clock);
        dir.inode.set_time(Stamp::Change, self.clock);
        self.write_inode(dir.number, &dir.inode)
    }

    /// Gives a new inode its content.
    fn fill(&mut self, number: u32, inode: &mut Inode, source: Source<S::Payload>) -> Result<()> {
        let (size, limit) = (source.len(), self.max_file_size());
        if size > limit {
            return Err(Error::TooLarge { what: "file", size, limit });
        }
        if size >= LARGE_FILE && !self.sb.has_ro_compat(ro_compat::LARGE_FILE) {
            self.sb.set_ro_compat(ro_compat::LARGE_FILE, true);
        }
        let bs = self.volume.block_size() as u64;
        self.start_map(inode);
        let runs = self.allocate(size.div_ceil(bs), self.inode_goal(number))?;
        let source = Arc::new(source);
        let mut from = 0;
        for run in &runs {
            self.volume.supply(run.start, u64::from(run.len), source.clone(), from);
            from += u64::from(run.len) * bs;
        }
        inode.set_size(size);
        let map = FileMap { extents: Self::laid_out(&runs), tree: Vec::new() };
        self.set_map(number, inode, map)
    }
}

impl<P: Payload> Content<P> {
    /// Length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Payload(payload) => payload.len(),
        }
    }

    /// Whether there are no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
