//! A disk that forgets what was not synced.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// What a power cut leaves of writes that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Everything had reached the disk by luck.
    Nothing,
    /// Neither data nor names had.
    Everything,
    /// Names had, data had not: new files are empty.
    Data,
}

#[derive(Debug, Clone)]
enum Entry {
    File(usize),
    Link(PathBuf),
}

#[derive(Debug, Clone)]
struct Inode {
    bytes: Vec<u8>,
    synced: Vec<u8>,
    mode: u32,
}

#[derive(Debug, Clone, Default)]
pub struct Disk {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, Entry>,
    synced: BTreeMap<PathBuf, Entry>,
    pub full: bool,
}

impl Disk {
    /// A file that has always been there.
    pub fn place(&mut self, path: &str, bytes: &[u8], mode: u32) {
        self.inodes.push(Inode { bytes: bytes.to_vec(), synced: bytes.to_vec(), mode });
        let entry = Entry::File(self.inodes.len() - 1);
        self.names.insert(path.into(), entry.clone());
        self.synced.insert(path.into(), entry);
    }

    pub fn place_link(&mut self, path: &str, target: &str) {
        self.names.insert(path.into(), Entry::Link(target.into()));
        self.synced.insert(path.into(), Entry::Link(target.into()));
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        match self.names.get(path) {
            Some(Entry::File(inode)) => Ok(*inode),
            Some(Entry::Link(_)) | None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Ok(self.inodes[self.find(path)?].bytes.clone())
    }

    pub fn mode(&self, path: &Path) -> io::Result<u32> {
        Ok(self.inodes[self.find(path)?].mode)
    }

    pub fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        match self.names.get(path) {
            Some(Entry::Link(target)) => Ok(target.clone()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// As systemctl does it: without any sync.
    pub fn link(&mut self, path: &str, target: &str) {
        self.names.insert(path.into(), Entry::Link(target.into()));
    }

    pub fn create(&mut self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        if self.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        match self.find(path) {
            Ok(inode) => self.inodes[inode].bytes = bytes.to_vec(),
            Err(_) => {
                self.inodes.push(Inode { bytes: bytes.to_vec(), synced: Vec::new(), mode });
                self.names.insert(path.into(), Entry::File(self.inodes.len() - 1));
            }
        }
        Ok(())
    }

    pub fn overwrite(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let inode = self.find(path)?;
        let old = &mut self.inodes[inode].bytes;
        let kept = old.split_off(bytes.len().min(old.len()));
        *old = [bytes, &kept].concat();
        Ok(())
    }

    pub fn sync_file(&mut self, path: &Path) -> io::Result<()> {
        let inode = self.find(path)?;
        self.inodes[inode].synced = self.inodes[inode].bytes.clone();
        Ok(())
    }

    /// Whether something lies below it.
    pub fn is_dir(&self, path: &Path) -> bool {
        self.names.keys().any(|name| name.starts_with(path) && name != path)
    }

    /// The names in a directory.
    pub fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let below = self.names.keys().filter_map(|path| path.strip_prefix(dir).ok());
        let mut names: Vec<String> = below
            .filter_map(|rest| Some(rest.iter().next()?.to_str().unwrap().to_owned()))
            .collect();
        names.dedup();
        if names.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(names) }
    }

    /// Names of the directory itself, and of directories in it that went away.
    pub fn sync_dir(&mut self, dir: &Path) {
        let names = &self.names;
        let stays = |path: &Path| {
            let Some(name) = path.strip_prefix(dir).ok().and_then(|rest| rest.iter().next()) else {
                return true;
            };
            let child = dir.join(name);
            child != path && names.keys().any(|other| other.starts_with(&child))
        };
        self.synced.retain(|path, _| stays(path));
        let now = self.names.iter().filter(|(path, _)| path.parent() == Some(dir));
        self.synced.extend(now.map(|(path, entry)| (path.clone(), entry.clone())));
    }

    /// A file or a directory, which must then not be there yet.
    pub fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if let Some(entry) = self.names.remove(from) {
            self.names.insert(to.into(), entry);
            return Ok(());
        }
        if self.is_dir(to) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        if !self.is_dir(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let (moved, kept) = std::mem::take(&mut self.names)
            .into_iter()
            .partition(|(path, _): &(PathBuf, Entry)| path.starts_with(from));
        self.names = kept;
        let moved: BTreeMap<PathBuf, Entry> = moved;
        for (path, entry) in moved {
            self.names.insert(to.join(path.strip_prefix(from).unwrap()), entry);
        }
        Ok(())
    }

    /// The first file of a directory, as a removal that is cut short may do; false where none is.
    pub fn remove_one(&mut self, dir: &Path) -> bool {
        let first = self.names.keys().find(|path| path.starts_with(dir)).cloned();
        first.is_some_and(|path| self.names.remove(&path).is_some())
    }

    pub fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.names.remove(path).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    pub fn cut(&mut self, loss: Loss) {
        if loss == Loss::Everything {
            self.names = self.synced.clone();
        }
        self.synced = self.names.clone();
        for inode in &mut self.inodes {
            match loss {
                Loss::Nothing => inode.synced = inode.bytes.clone(),
                Loss::Everything | Loss::Data => inode.bytes = inode.synced.clone(),
            }
        }
    }

    /// What is below `dir` was in memory.
    pub fn forget(&mut self, dir: &Path) {
        self.names.retain(|path, _| !path.starts_with(dir));
        self.synced.retain(|path, _| !path.starts_with(dir));
    }

    /// Every file and link with its content, for comparing two disks.
    pub fn content(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let content = |entry: &Entry| match entry {
            Entry::File(inode) => self.inodes[*inode].bytes.clone(),
            Entry::Link(target) => target.to_string_lossy().as_bytes().to_vec(),
        };
        self.names.iter().map(|(path, entry)| (path.clone(), content(entry))).collect()
    }
}
