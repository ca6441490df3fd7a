//! The files of an image as its running system sees them: several trees mounted into one, and
//! symbolic links followed inside the image, never outside.
//!
//! Resolution is that of path_resolution(7) in a chroot: an absolute link starts at the image's
//! root, `..` at the root stays there, and more than [`MAX_LINKS`] links are a loop.

mod reader;

use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};

pub use reader::Reader;

use super::path::{lossy, missing};
use super::{Attributes, Content, Entry, FileKind, FileTree, Metadata};
use crate::error::{Error, Result};

/// Links followed in one path before it is called a loop, as the kernel's `MAXSYMLINKS`.
pub const MAX_LINKS: usize = 40;

/// Longest target of a symbolic link, as the kernel's `PATH_MAX`.
const MAX_PATH: usize = 4096;

/// A whole system: the root file system and what it mounts from the same image.
pub struct Root {
    mounts: Vec<Mount>,
    /// Paths that were seen to be directories, no links, and are still: most ways begin alike.
    folders: RefCell<HashSet<Vec<u8>>>,
}

struct Mount {
    at: Vec<u8>,
    tree: Box<dyn FileTree>,
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let points: Vec<_> =
            self.mounts.iter().map(|m| String::from_utf8_lossy(&m.at).into_owned()).collect();
        f.debug_struct("Root").field("mounts", &points).finish()
    }
}

/// Where a path of the system really is: in which tree, and its literal path there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    mount: usize,
    /// Absolute path within that tree, without links, `.` or `..`.
    pub path: Vec<u8>,
}

impl Root {
    /// A system of one tree.
    #[must_use]
    pub fn new(tree: Box<dyn FileTree>) -> Self {
        Self { mounts: vec![Mount { at: b"/".to_vec(), tree }], folders: RefCell::default() }
    }

    /// Mounts `tree` at the directory `at`, which hides what the tree below has there.
    ///
    /// # Errors
    /// `at` does not lead to a directory.
    pub fn mount(&mut self, at: &[u8], tree: Box<dyn FileTree>) -> Result<()> {
        let place = self.resolve(at, true)?;
        match self.lstat_place(&place)? {
            Some(m) if m.kind == FileKind::Directory => {}
            _ => return Err(missing(at)),
        }
        let at = self.system_path(&place);
        self.forget();
        self.mounts.push(Mount { at, tree });
        Ok(())
    }

    /// Mount points in the order they were mounted, the root first, with their trees.
    pub fn trees(&self) -> impl Iterator<Item = (&[u8], &dyn FileTree)> {
        self.mounts.iter().map(|m| (m.at.as_slice(), m.tree.as_ref()))
    }

    /// As [`Root::trees`], to change them.
    pub fn trees_mut(&mut self) -> impl Iterator<Item = (&[u8], &mut Box<dyn FileTree>)> {
        self.forget();
        self.mounts.iter_mut().map(|m| (m.at.as_slice(), &mut m.tree))
    }

    /// The root file system itself, to change it.
    pub fn base_mut(&mut self) -> &mut dyn FileTree {
        self.forget();
        self.mounts[0].tree.as_mut()
    }

    /// Some directory may be one no more.
    fn forget(&mut self) {
        self.folders.get_mut().clear();
    }

    /// Finds where `path` is. Links in directories are followed; one in the last place only if
    /// `follow`. The last component need not exist.
    ///
    /// # Errors
    /// [`Error::NotFound`] where a directory on the way is missing or none, [`Error::Corrupt`]
    /// where links form a loop.
    pub fn resolve(&self, path: &[u8], follow: bool) -> Result<Place> {
        let mut todo: VecDeque<Vec<u8>> = components(path).map(<[u8]>::to_vec).collect();
        let mut done: Vec<Vec<u8>> = Vec::new();
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            if name == b".." {
                done.pop();
                continue;
            }
            done.push(name);
            let last = todo.is_empty();
            let here = join(&done);
            if self.folders.borrow().contains(&here) {
                continue;
            }
            let place = self.place(&here);
            match self.lstat_place(&place)?.map(|m| m.kind) {
                Some(FileKind::Symlink) if follow || !last => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(loops(path));
                    }
                    let target = self.mounts[place.mount].tree.read_link(&place.path)?;
                    if target.is_empty() || target.len() > MAX_PATH {
                        return Err(loops(path));
                    }
                    done.pop();
                    if target.starts_with(b"/") {
                        done.clear();
                    }
                    for part in components(&target).collect::<Vec<_>>().into_iter().rev() {
                        todo.push_front(part.to_vec());
                    }
                }
                Some(FileKind::Directory) => {
                    self.folders.borrow_mut().insert(here);
                }
                _ if last => {}
                _ => return Err(missing(path)),
            }
        }
        Ok(self.place(&join(&done)))
    }

    /// `stat`: follows links; `None` where nothing is there, a dangling link included.
    ///
    /// # Errors
    /// Unreadable or corrupt trees, loops of links.
    pub fn stat(&self, path: &[u8]) -> Result<Option<Metadata>> {
        self.look(path, true)
    }

    /// `lstat`: the last component is not followed.
    ///
    /// # Errors
    /// As [`Root::stat`].
    pub fn lstat(&self, path: &[u8]) -> Result<Option<Metadata>> {
        self.look(path, false)
    }

    fn look(&self, path: &[u8], follow: bool) -> Result<Option<Metadata>> {
        match self.resolve(path, follow) {
            Ok(place) => self.lstat_place(&place),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Entries of the directory that `path` leads to, by name.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it is no directory.
    pub fn read_dir(&self, path: &[u8]) -> Result<Vec<Entry>> {
        let place = self.existing(path)?;
        self.mounts[place.mount].tree.read_dir(&place.path)
    }

    /// Target of the link at `path`, as written.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no link.
    pub fn read_link(&self, path: &[u8]) -> Result<Vec<u8>> {
        let place = self.resolve(path, false)?;
        self.mounts[place.mount].tree.read_link(&place.path)
    }

    /// Extended attributes of what `path` names, without following it.
    ///
    /// # Errors
    /// [`Error::NotFound`] where nothing is there.
    pub fn xattrs(&self, path: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
        let place = self.resolve(path, false)?;
        self.mounts[place.mount].tree.xattrs(&place.path)
    }

    /// A reader over the regular file that `path` leads to.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no regular file.
    pub fn open(&self, path: &[u8]) -> Result<Reader<'_>> {
        let place = self.existing(path)?;
        match self.lstat_place(&place)? {
            Some(Metadata { kind: FileKind::File, size, .. }) => {
                Ok(Reader::new(self.mounts[place.mount].tree.as_ref(), place.path, size))
            }
            _ => Err(Error::NotFound { what: "regular file", name: lossy(path) }),
        }
    }

    /// The whole content of a small file; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Unsupported`] above `limit` bytes: nothing in an image may exhaust our memory.
    pub fn read(&self, path: &[u8], limit: u64) -> Result<Option<Vec<u8>>> {
        let reader = match self.open(path) {
            Ok(reader) => reader,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        if reader.size() > limit {
            return Err(Error::Unsupported {
                what: lossy(path),
                feature: format!("{} bytes, where at most {limit} are expected", reader.size()),
            });
        }
        reader.into_vec().map(Some)
    }

    /// Creates or replaces the regular file at `path`; a link in the last place is replaced.
    ///
    /// # Errors
    /// [`Error::NotFound`] without its directory, and what the tree refuses.
    pub fn write(&mut self, path: &[u8], content: Content, attributes: Attributes) -> Result<()> {
        let (tree, path) = self.tree_at(path)?;
        tree.write(&path, content, attributes)
    }

    /// Creates the directory at `path`; an existing one takes on the attributes.
    ///
    /// # Errors
    /// As [`Root::write`].
    pub fn mkdir(&mut self, path: &[u8], attributes: Attributes) -> Result<()> {
        let (tree, path) = self.tree_at(path)?;
        tree.mkdir(&path, attributes)
    }

    /// Creates every missing directory of `path` with `attributes`; existing ones stay as they
    /// are, and links to directories are followed.
    ///
    /// # Errors
    /// [`Error::NotFound`] where something on the way is no directory.
    pub fn mkdir_all(&mut self, path: &[u8], attributes: Attributes) -> Result<()> {
        let mut so_far = Vec::new();
        for name in components(path) {
            so_far.push(b'/');
            so_far.extend_from_slice(name);
            match self.stat(&so_far)?.map(|m| m.kind) {
                Some(FileKind::Directory) => {}
                None => self.mkdir(&so_far, attributes)?,
                Some(_) => return Err(missing(&so_far)),
            }
        }
        Ok(())
    }

    /// Creates or replaces a symbolic link.
    ///
    /// # Errors
    /// As [`Root::write`]; FAT has none.
    pub fn symlink(&mut self, path: &[u8], target: &[u8], attributes: Attributes) -> Result<()> {
        self.forget();
        let (tree, path) = self.tree_at(path)?;
        tree.symlink(&path, target, attributes)
    }

    /// Adds a hard link.
    ///
    /// # Errors
    /// [`Error::Usage`] across file systems, and as [`Root::write`].
    pub fn hard_link(&mut self, old: &[u8], new: &[u8]) -> Result<()> {
        let (old, new) = self.same_tree(old, new)?;
        self.mounts[old.mount].tree.hard_link(&old.path, &new.path)
    }

    /// Moves a file or directory within its file system.
    ///
    /// # Errors
    /// As [`Root::hard_link`].
    pub fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<()> {
        self.forget();
        let (old, new) = self.same_tree(old, new)?;
        self.mounts[old.mount].tree.rename(&old.path, &new.path)
    }

    /// Removes a file or link.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none.
    pub fn remove_file(&mut self, path: &[u8]) -> Result<()> {
        let (tree, path) = self.tree_at(path)?;
        tree.remove_file(&path)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// As [`Root::remove_file`].
    pub fn remove_dir(&mut self, path: &[u8]) -> Result<()> {
        self.forget();
        let (tree, path) = self.tree_at(path)?;
        tree.remove_dir(&path)
    }

    /// Sets mode, owner and times, of a link itself where `path` names one.
    ///
    /// # Errors
    /// As [`Root::remove_file`].
    pub fn set_attributes(&mut self, path: &[u8], attributes: Attributes) -> Result<()> {
        let (tree, path) = self.tree_at(path)?;
        tree.set_attributes(&path, attributes)
    }

    /// Sets or removes an extended attribute.
    ///
    /// # Errors
    /// As [`Root::remove_file`].
    pub fn set_xattr(&mut self, path: &[u8], name: &str, value: Option<&[u8]>) -> Result<()> {
        let (tree, path) = self.tree_at(path)?;
        tree.set_xattr(&path, name, value)
    }

    /// Commits every tree.
    ///
    /// # Errors
    /// The first that fails.
    pub fn commit(&mut self) -> Result<()> {
        self.mounts.iter_mut().try_for_each(|m| m.tree.commit())
    }

    fn tree_at(&mut self, path: &[u8]) -> Result<(&mut Box<dyn FileTree>, Vec<u8>)> {
        let place = self.resolve(path, false)?;
        Ok((&mut self.mounts[place.mount].tree, place.path))
    }

    fn same_tree(&self, old: &[u8], new: &[u8]) -> Result<(Place, Place)> {
        let (from, to) = (self.resolve(old, false)?, self.resolve(new, false)?);
        if from.mount == to.mount {
            return Ok((from, to));
        }
        let (old, new) = (lossy(old), lossy(new));
        Err(Error::Usage(format!("{old} and {new} are on different file systems of the image")))
    }

    fn existing(&self, path: &[u8]) -> Result<Place> {
        self.resolve(path, true)
    }

    fn lstat_place(&self, place: &Place) -> Result<Option<Metadata>> {
        self.mounts[place.mount].tree.metadata(&place.path)
    }

    /// The place of a path that has no links left in its directories.
    fn place(&self, path: &[u8]) -> Place {
        let (mount, rest) = self
            .mounts
            .iter()
            .enumerate()
            .filter_map(|(i, m)| below(path, &m.at).map(|rest| (i, rest)))
            .max_by_key(|(i, _)| (self.mounts[*i].at.len(), *i))
            .unwrap_or((0, path));
        let path = if rest.is_empty() { b"/".to_vec() } else { rest.to_vec() };
        Place { mount, path }
    }

    fn system_path(&self, place: &Place) -> Vec<u8> {
        let mut path = self.mounts[place.mount].at.clone();
        if path == b"/" {
            return place.path.clone();
        }
        if place.path != b"/" {
            path.extend_from_slice(&place.path);
        }
        path
    }
}

/// What of `path` lies below the mount point `at`: empty or starting with `/`.
fn below<'p>(path: &'p [u8], at: &[u8]) -> Option<&'p [u8]> {
    if at == b"/" {
        return Some(path);
    }
    let rest = path.strip_prefix(at)?;
    (rest.is_empty() || rest.starts_with(b"/")).then_some(rest)
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&b| b == b'/').filter(|part| !part.is_empty() && *part != b".")
}

fn join(parts: &[Vec<u8>]) -> Vec<u8> {
    if parts.is_empty() {
        return b"/".to_vec();
    }
    parts.iter().flat_map(|p| std::iter::once(&b'/').chain(p)).copied().collect()
}

fn loops(path: &[u8]) -> Error {
    Error::Corrupt {
        what: format!("path {}", lossy(path)),
        reason: format!("its symbolic links loop (more than {MAX_LINKS})"),
    }
}

#[cfg(test)]
mod tests;
