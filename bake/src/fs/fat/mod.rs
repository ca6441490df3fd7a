//! FAT12, FAT16 and FAT32 as a [`FileTree`].
//!
//! Everything is held back in a layer of its own until `commit`. Free clusters are taken lowest
//! first, in one run where there is one, and times come from the caller, so the same edits give
//! the same bytes. docs/adr/0010-fat-of-our-own.md says why this is not a crate.

mod boot;
mod check;
mod directory;
mod name;
mod record;
mod table;
mod time;

use std::io;

use self::boot::Boot;
use self::directory::{Directory, Item, Place};
use self::record::{ARCHIVE, DIRECTORY, Record};
use self::table::Table;
use super::path::{lossy, missing};
use super::{Attributes, Content, Description, Entry, FileKind, FileTree, Metadata, UsedRange};
use crate::error::{Error, Result};
use crate::store::{BlockStore, Cached};

pub(in crate::fs) use self::boot::is_fat;

/// A FAT file system on `S`.
#[derive(Debug)]
pub struct FatTree<S> {
    store: Cached<S>,
    table: Table,
}

/// What a path leads to.
enum Found {
    Root,
    Item(Directory, Item),
}

impl<S: BlockStore> FatTree<S> {
    /// Opens the file system on `store`, which begins at byte `start` of its image (for errors).
    ///
    /// # Errors
    /// [`Error::Corrupt`] where the boot sector contradicts itself or the size of the store.
    pub fn open(store: S, start: u64) -> Result<Self> {
        let store = Cached::new(store);
        let boot = Boot::read(&store, start)?;
        let table = Table::read(&store, boot, start)?;
        Ok(Self { store, table })
    }

    /// Volume label: of the root directory, else of the boot sector; empty where there is none.
    #[must_use]
    pub fn label(&self) -> String {
        let root = Directory::root(&self.store, &self.table).ok();
        root.and_then(|r| r.label()).unwrap_or_else(|| {
            let text = String::from_utf8_lossy(&self.table.boot.label).trim_end().to_owned();
            if text == "NO NAME" { String::new() } else { text }
        })
    }

    /// Volume id, `4F1A-2B3C` as blkid writes it.
    #[must_use]
    pub fn volume_id(&self) -> String {
        let id = self.table.boot.volume_id;
        format!("{:04X}-{:04X}", id >> 16, id & 0xffff)
    }

    fn find(&self, path: &[u8]) -> Result<Option<Found>> {
        let mut found = Found::Root;
        for part in parts(path) {
            let directory = match &found {
                Found::Root => Directory::root(&self.store, &self.table)?,
                Found::Item(_, item) if item.record.is_directory() => self.open_dir(item)?,
                Found::Item(..) => return Ok(None),
            };
            let Ok(name) = std::str::from_utf8(part) else { return Ok(None) };
            let Some(item) = directory.find(name) else { return Ok(None) };
            found = Found::Item(directory, item);
        }
        Ok(Some(found))
    }

    fn open_dir(&self, item: &Item) -> Result<Directory> {
        Directory::read(&self.store, &self.table, Place::Chain(item.record.cluster()))
    }

    fn need(&self, path: &[u8]) -> Result<(Directory, Item)> {
        match self.find(path)? {
            Some(Found::Item(directory, item)) => Ok((directory, item)),
            Some(Found::Root) => Err(usage(path, "is the root directory")),
            None => Err(missing(path)),
        }
    }

    fn need_file(&self, path: &[u8]) -> Result<(Directory, Item)> {
        match self.find(path)? {
            Some(Found::Item(directory, item)) if !item.record.is_directory() => {
                Ok((directory, item))
            }
            Some(_) => Err(usage(path, "is a directory")),
            None => Err(missing(path)),
        }
    }

    fn need_dir(&self, path: &[u8]) -> Result<Directory> {
        match self.find(path)? {
            Some(Found::Root) => Directory::root(&self.store, &self.table),
            Some(Found::Item(_, item)) if item.record.is_directory() => self.open_dir(&item),
            Some(Found::Item(..)) => Err(usage(path, "is not a directory")),
            None => Err(missing(path)),
        }
    }

    /// The directory that `path` is in, the valid name it would have there, and what has it.
    fn slot<'p>(&self, path: &'p [u8]) -> Result<(Directory, &'p str, Option<Item>)> {
        let Some(last) = parts(path).next_back() else {
            return Err(usage(path, "is the root directory"));
        };
        let name = std::str::from_utf8(last).map_err(|_| usage(path, "is not UTF-8"))?;
        if let Some(reason) = name::invalid(name) {
            return Err(usage(path, reason));
        }
        let directory = self.need_dir(parent(path))?;
        let taken = directory.find(name);
        Ok((directory, name, taken))
    }

    /// Clusters filled with `content`, zeros to the end of the last.
    fn store_content(&mut self, content: &Content) -> Result<(u32, u32)> {
        let len = content_len(content);
        let boot = &self.table.boot;
        let (cluster, start) = (boot.cluster, self.table.start);
        let runs = self.table.allocate(&mut self.store, boot.clusters(len))?;
        let mut from = 0;
        for run in &runs {
            let at = self.table.boot.offset(run.start);
            let room = u64::from(run.end - run.start) * cluster;
            let take = room.min(len - from);
            match content {
                Content::Bytes(bytes) => {
                    let index = |n: u64| usize::try_from(n).unwrap_or(bytes.len());
                    self.store.write_at(at, &bytes[index(from)..index(from + take)])
                }
                Content::Payload(payload) => self.store.place(at, payload, from, take),
            }
            .and_then(|()| self.store.zero(at + take, room - take))
            .map_err(|e| device(start, e))?;
            from += take;
        }
        let size = u32::try_from(len).map_err(|_| self.too_large(len))?;
        Ok((runs.first().map_or(0, |r| r.start), size))
    }

    fn too_large(&self, len: u64) -> Error {
        Error::Unsupported {
            what: place(self.table.start),
            feature: format!("a file of {len} bytes: FAT keeps files below 4 GiB"),
        }
    }

    /// Frees the clusters of an item.
    fn release(&mut self, item: &Item) -> Result<()> {
        let runs = self.table.chain(&self.store, item.record.cluster())?;
        self.table.release(&mut self.store, &runs)
    }

    /// Checks that a directory has no entries.
    fn need_empty(&self, path: &[u8], item: &Item) -> Result<()> {
        if self.open_dir(item)?.items().is_empty() {
            Ok(())
        } else {
            Err(usage(path, "is a directory that is not empty"))
        }
    }

    /// Cluster that `..` of a directory inside `parent` names: 0 for the root.
    fn dotdot(&self, parent: &Directory) -> u32 {
        match (parent.place, self.table.boot.root) {
            (Place::Chain(first), boot::Root::Cluster(root)) if first == root => 0,
            (Place::Chain(first), _) => first,
            (Place::Fixed { .. }, _) => 0,
        }
    }

    /// Puts a new directory's `.` and `..` into its first cluster.
    fn write_dots(&mut self, cluster: u32, dotdot: u32, attributes: Attributes) -> Result<()> {
        let mut bytes = Vec::new();
        for (alias, target) in [(*b".          ", cluster), (*b"..         ", dotdot)] {
            let mut record = Record::new(alias, DIRECTORY);
            record.set_attributes(Attributes { mode: 0o755, ..attributes });
            record.set_cluster(target);
            bytes.extend_from_slice(&record.0);
        }
        let (at, len) = (self.table.boot.offset(cluster), self.table.boot.cluster);
        self.store
            .zero(at, len)
            .and_then(|()| self.store.write_at(at, &bytes))
            .map_err(|e| device(self.table.start, e))
    }

    /// Points the `..` of the directory `item` at its new parent.
    fn reparent(&mut self, item: &Item, dotdot: u32) -> Result<()> {
        let at = self.table.boot.offset(item.record.cluster()) + record::SIZE as u64;
        let mut bytes = [0; record::SIZE];
        self.store.read_at(at, &mut bytes).map_err(|e| device(self.table.start, e))?;
        let mut record = Record(bytes);
        if !record.is_dots() {
            return Err(corrupt(self.table.start + at, "a directory lacks its `..` entry"));
        }
        record.set_cluster(dotdot);
        self.store.write_at(at, &record.0).map_err(|e| device(self.table.start, e))
    }

    /// Puts the free count and the cluster allocated last into FSInfo (specification, "FAT32
    /// FSInfo Sector Structure").
    fn write_info(&mut self) -> io::Result<()> {
        let Some(at) = self.table.boot.info else { return Ok(()) };
        let mut bytes = [0; 512];
        self.store.read_at(at, &mut bytes)?;
        if boot::u32_at(&bytes, 0) != 0x4161_5252 || boot::u32_at(&bytes, 484) != 0x6141_7272 {
            return Ok(());
        }
        bytes[488..492].copy_from_slice(&self.table.free_count.to_le_bytes());
        if let Some(newest) = self.table.newest {
            bytes[492..496].copy_from_slice(&newest.to_le_bytes());
        }
        self.store.write_at(at + 488, &bytes[488..496])
    }
}

impl<S: BlockStore> FileTree for FatTree<S> {
    fn describe(&self) -> Description {
        Description {
            format: "vfat",
            label: self.label(),
            uuid: self.volume_id(),
            len: self.table.boot.len,
        }
    }

    fn metadata(&self, path: &[u8]) -> Result<Option<Metadata>> {
        let directory = |attributes, len: usize| Metadata {
            kind: FileKind::Directory,
            size: len as u64 * self.table.boot.cluster,
            attributes,
            links: 1,
            inode: 0,
        };
        Ok(match self.find(path)? {
            None => None,
            Some(Found::Root) => {
                Some(directory(Attributes { mode: 0o755, uid: 0, gid: 0, mtime: 0 }, 1))
            }
            Some(Found::Item(_, item)) if item.record.is_directory() => {
                let runs = self.open_dir(&item)?.runs;
                let clusters = runs.iter().map(ExactSizeIterator::len).sum();
                Some(directory(item.record.attributes(), clusters))
            }
            Some(Found::Item(_, item)) => Some(Metadata {
                kind: FileKind::File,
                size: u64::from(item.record.size()),
                attributes: item.record.attributes(),
                links: 1,
                inode: 0,
            }),
        })
    }

    fn read_dir(&self, path: &[u8]) -> Result<Vec<Entry>> {
        let mut entries: Vec<Entry> = self.need_dir(path)?.items().into_iter().map(entry).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn read_at(&self, path: &[u8], offset: u64, buf: &mut [u8]) -> Result<usize> {
        let (_, item) = self.need_file(path)?;
        let size = u64::from(item.record.size());
        let len = size.saturating_sub(offset).min(buf.len() as u64);
        let mut rest = &mut buf[..usize::try_from(len).unwrap_or(0)];
        let mut at = 0;
        for run in self.table.chain(&self.store, item.record.cluster())? {
            let room = u64::from(run.end - run.start) * self.table.boot.cluster;
            let from = (offset + len - rest.len() as u64).max(at);
            if from < at + room && !rest.is_empty() {
                let take = (at + room - from).min(rest.len() as u64);
                let (part, tail) = rest.split_at_mut(usize::try_from(take).unwrap_or(0));
                let byte = self.table.boot.offset(run.start) + (from - at);
                self.store.read_at(byte, part).map_err(|e| device(self.table.start, e))?;
                rest = tail;
            }
            at += room;
        }
        if !rest.is_empty() {
            let reason = format!("{} has fewer clusters than its size needs", lossy(path));
            return Err(corrupt(self.table.start, reason));
        }
        Ok(usize::try_from(len).unwrap_or(0))
    }

    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>> {
        Err(self.cannot("symbolic links", path))
    }

    fn xattrs(&self, path: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
        match self.find(path)? {
            Some(_) => Ok(Vec::new()),
            None => Err(missing(path)),
        }
    }

    fn write(&mut self, path: &[u8], content: Content, attributes: Attributes) -> Result<()> {
        let (mut directory, name, taken) = self.slot(path)?;
        if taken.as_ref().is_some_and(|item| item.record.is_directory()) {
            return Err(usage(path, "is a directory"));
        }
        let len = content_len(&content);
        if len > u64::from(u32::MAX) {
            return Err(self.too_large(len));
        }
        let needed = self.table.boot.clusters(len);
        if let Some(mut item) = taken {
            let old = self.table.chain(&self.store, item.record.cluster())?;
            let held: u64 = old.iter().map(|r| u64::from(r.end - r.start)).sum();
            self.need_space(needed.saturating_sub(held))?;
            self.table.release(&mut self.store, &old)?;
            let (cluster, size) = self.store_content(&content)?;
            let alias = item.record.alias();
            let case = item.record.case();
            item.record = Record::new(alias, ARCHIVE);
            item.record.0[12] = case;
            item.record.set_attributes(attributes);
            item.record.set_cluster(cluster);
            item.record.set_size(size);
            return directory.update(&mut self.store, &self.table, &item);
        }
        self.need_space(needed)?;
        directory.reserve(&mut self.store, &mut self.table, name)?;
        let (cluster, size) = self.store_content(&content)?;
        let mut record = Record::new([b' '; 11], ARCHIVE);
        record.set_attributes(attributes);
        record.set_cluster(cluster);
        record.set_size(size);
        directory.insert(&mut self.store, &mut self.table, name, record)
    }

    fn mkdir(&mut self, path: &[u8], attributes: Attributes) -> Result<()> {
        if matches!(self.find(path)?, Some(Found::Root)) {
            return Ok(());
        }
        let (mut directory, name, taken) = self.slot(path)?;
        match taken {
            Some(item) if item.record.is_directory() => self.set_attributes(path, attributes),
            Some(_) => Err(usage(path, "is a file")),
            None => {
                self.need_space(1)?;
                directory.reserve(&mut self.store, &mut self.table, name)?;
                let cluster = self.table.allocate(&mut self.store, 1)?[0].start;
                self.write_dots(cluster, self.dotdot(&directory), attributes)?;
                let mut record = Record::new([b' '; 11], DIRECTORY);
                record.set_attributes(Attributes { mode: 0o755, ..attributes });
                record.set_cluster(cluster);
                directory.insert(&mut self.store, &mut self.table, name, record)
            }
        }
    }

    fn symlink(&mut self, path: &[u8], _: &[u8], _: Attributes) -> Result<()> {
        Err(self.cannot("symbolic links", path))
    }

    fn hard_link(&mut self, _: &[u8], new: &[u8]) -> Result<()> {
        Err(self.cannot("hard links", new))
    }

    fn remove_file(&mut self, path: &[u8]) -> Result<()> {
        let (mut directory, item) = self.need_file(path)?;
        self.release(&item)?;
        directory.remove(&mut self.store, &self.table, &item)
    }

    fn remove_dir(&mut self, path: &[u8]) -> Result<()> {
        let (mut directory, item) = self.need(path)?;
        if !item.record.is_directory() {
            return Err(usage(path, "is not a directory"));
        }
        self.need_empty(path, &item)?;
        self.release(&item)?;
        directory.remove(&mut self.store, &self.table, &item)
    }

    fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<()> {
        let (mut from, item) = self.need(old)?;
        let (mut to, name, taken) = self.slot(new)?;
        let same = from.place == to.place;
        let taken = taken.filter(|t| !(same && t.slots == item.slots));
        if item.record.is_directory() && self.leads_into(parent(new), &item)? {
            return Err(usage(new, "lies inside the directory to be moved"));
        }
        if let Some(taken) = &taken {
            match (item.record.is_directory(), taken.record.is_directory()) {
                (true, true) => self.need_empty(new, taken)?,
                (false, false) => {}
                (true, false) => return Err(usage(new, "is a file")),
                (false, true) => return Err(usage(new, "is a directory")),
            }
        }
        to.reserve(&mut self.store, &mut self.table, name)?;
        if let Some(taken) = taken {
            self.release(&taken)?;
            to.remove(&mut self.store, &self.table, &taken)?;
        }
        if same {
            to.remove(&mut self.store, &self.table, &item)?;
        } else {
            from.remove(&mut self.store, &self.table, &item)?;
            if item.record.is_directory() {
                self.reparent(&item, self.dotdot(&to))?;
            }
        }
        to.insert(&mut self.store, &mut self.table, name, item.record)
    }

    fn set_attributes(&mut self, path: &[u8], attributes: Attributes) -> Result<()> {
        match self.find(path)? {
            // The root directory has no entry that could hold any.
            Some(Found::Root) => Ok(()),
            Some(Found::Item(mut directory, mut item)) => {
                // A directory's read-only flag means something else to Windows.
                let mode = if item.record.is_directory() { 0o755 } else { attributes.mode };
                item.record.set_attributes(Attributes { mode, ..attributes });
                directory.update(&mut self.store, &self.table, &item)
            }
            None => Err(missing(path)),
        }
    }

    fn set_xattr(&mut self, path: &[u8], _: &str, _: Option<&[u8]>) -> Result<()> {
        Err(self.cannot("extended attributes", path))
    }

    fn free_bytes(&self) -> Result<u64> {
        Ok(u64::from(self.table.free_count) * self.table.boot.cluster)
    }

    fn grow(&mut self, len: u64) -> Result<()> {
        if len <= self.table.boot.len {
            return Ok(());
        }
        Err(Error::Unsupported { what: place(self.table.start), feature: "growing".into() })
    }

    fn check(&self) -> Result<Vec<String>> {
        check::check(&self.store, &self.table)
    }

    fn used(&self) -> Result<Vec<UsedRange>> {
        Ok(self.table.used())
    }

    fn commit(&mut self) -> Result<()> {
        if !self.store.is_dirty() {
            return Ok(());
        }
        self.write_info()
            .and_then(|()| self.store.commit())
            .map_err(|e| device(self.table.start, e))
    }
}

impl<S: BlockStore> FatTree<S> {
    fn cannot(&self, what: &str, path: &[u8]) -> Error {
        Error::Unsupported {
            what: place(self.table.start),
            feature: format!("{what} ({})", lossy(path)),
        }
    }

    /// Fails before anything is changed where `clusters` more are not free.
    fn need_space(&self, clusters: u64) -> Result<()> {
        if clusters <= u64::from(self.table.free_count) {
            return Ok(());
        }
        Err(Error::NoSpace {
            what: place(self.table.start),
            needed: clusters * self.table.boot.cluster,
            free: self.free_bytes()?,
        })
    }

    /// Whether the directory at `path` is `item` or lies below it.
    fn leads_into(&self, path: &[u8], item: &Item) -> Result<bool> {
        let mut path = path;
        while path.len() > 1 {
            if let Some(Found::Item(_, found)) = self.find(path)?
                && found.record.cluster() == item.record.cluster()
            {
                return Ok(true);
            }
            path = parent(path);
        }
        Ok(false)
    }
}

/// Opens a file system of `len` bytes that begins with `head`, walks and checks it, and edits it:
/// what fuzz targets call. Panics are the target's findings.
pub fn exercise(head: &[u8], len: u64) {
    use crate::store::{BytesSource, Image};
    let mut image = Image::new(std::sync::Arc::new(BytesSource::new(head)));
    if image.grow(len.max(head.len() as u64)).is_err() {
        return;
    }
    let Ok(mut tree) = FatTree::open(image, 0) else { return };
    let attributes = Attributes { mode: 0o644, uid: 0, gid: 0, mtime: 0 };
    // What the outcomes are is the file system's matter; that there are any is ours.
    let _ = tree.check();
    let _ = tree.used();
    for entry in tree.read_dir(b"/").unwrap_or_default() {
        let path = [b"/", entry.name.as_slice()].concat();
        let _ = tree.metadata(&path);
        let _ = tree.read_dir(&path);
        let _ = tree.read_at(&path, 100, &mut [0; 5000]);
        let _ = tree.write(&path, Content::Bytes(vec![1; 3000]), attributes);
        let _ = tree.rename(&path, b"/another name.txt");
        let _ = tree.remove_file(b"/another name.txt");
    }
    let _ = tree.mkdir(b"/new directory", attributes);
    let _ = tree.write(b"/new directory/file", Content::Bytes(vec![2; 9000]), attributes);
    let _ = tree.commit();
}

fn entry(item: Item) -> Entry {
    let kind = if item.record.is_directory() { FileKind::Directory } else { FileKind::File };
    Entry { name: item.name.into_bytes(), kind }
}

fn content_len(content: &Content) -> u64 {
    match content {
        Content::Bytes(bytes) => bytes.len() as u64,
        Content::Payload(payload) => payload.0.len(),
    }
}

fn parts(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|b| *b == b'/').filter(|part| !part.is_empty())
}

fn parent(path: &[u8]) -> &[u8] {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    match path.iter().rposition(|&b| b == b'/') {
        None | Some(0) => b"/",
        Some(at) => &path[..at],
    }
}

fn usage(path: &[u8], reason: &str) -> Error {
    Error::Usage(format!("{} {reason}", lossy(path)))
}

/// The file system, for errors: by the byte of the image where its partition starts.
fn place(start: u64) -> String {
    format!("FAT file system at byte {start}")
}

fn corrupt(at: u64, reason: impl Into<String>) -> Error {
    Error::Corrupt { what: format!("FAT file system (byte {at})"), reason: reason.into() }
}

fn device(start: u64, source: io::Error) -> Error {
    Error::Io { doing: "reading or writing the", path: place(start).into(), source }
}
