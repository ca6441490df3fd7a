//! Edits as data, and what each must do to the model.

use crate::rng::Rng;
use crate::tree::{Kind, Node, Path, Time, Tree, digest, join, show, split};

/// Time of every change an edit implies without naming one.
pub const CLOCK: i64 = 1_650_000_000;

#[derive(Clone, Copy, Debug)]
pub struct Owner {
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub mtime: i64,
}

/// Reproducible content.
#[derive(Clone, Copy, Debug)]
pub struct Blob {
    pub seed: u64,
    pub len: usize,
}

impl Blob {
    pub fn bytes(self) -> Vec<u8> {
        Rng::new(self.seed).bytes(self.len)
    }
}

#[derive(Clone, Debug)]
pub enum Op {
    Write {
        path: Path,
        blob: Blob,
        payload: bool,
        owner: Owner,
    },
    Mkdir {
        path: Path,
        owner: Owner,
    },
    Symlink {
        path: Path,
        target: Vec<u8>,
        owner: Owner,
    },
    HardLink {
        old: Path,
        new: Path,
    },
    RemoveFile {
        path: Path,
    },
    RemoveDir {
        path: Path,
    },
    Rename {
        old: Path,
        new: Path,
    },
    SetAttributes {
        path: Path,
        owner: Owner,
    },
    SetXattr {
        path: Path,
        name: String,
        value: Option<Vec<u8>>,
    },
    /// Commits, then opens the result again.
    Commit,
}

/// Why the model says an edit must fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    NotFound,
    Exists,
    NotADirectory,
    IsADirectory,
    NotEmpty,
    Invalid,
}

impl std::fmt::Display for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Op::Write { path, blob, payload, owner } => {
                write!(f, "write {} {} bytes payload={payload} {owner:?}", show(path), blob.len)
            }
            Op::Mkdir { path, .. } => write!(f, "mkdir {}", show(path)),
            Op::Symlink { path, target, .. } => {
                write!(f, "symlink {} ({} bytes)", show(path), target.len())
            }
            Op::HardLink { old, new } => write!(f, "link {} {}", show(old), show(new)),
            Op::RemoveFile { path } => write!(f, "rm {}", show(path)),
            Op::RemoveDir { path } => write!(f, "rmdir {}", show(path)),
            Op::Rename { old, new } => write!(f, "mv {} {}", show(old), show(new)),
            Op::SetAttributes { path, owner } => write!(f, "attributes {} {owner:?}", show(path)),
            Op::SetXattr { path, name, value } => {
                write!(f, "xattr {} {name} {:?}", show(path), value.as_ref().map(Vec::len))
            }
            Op::Commit => write!(f, "commit"),
        }
    }
}

impl Tree {
    /// Does to the model what the edit must do to the file system.
    pub fn apply(&mut self, op: &Op) -> Result<(), Refusal> {
        match op {
            Op::Write { path, blob, owner, .. } => {
                let kind = Kind::File { size: blob.len as u64, digest: digest(&blob.bytes()) };
                self.replace(path, kind, *owner)
            }
            Op::Symlink { path, target, owner } => {
                self.replace(path, Kind::Symlink(target.clone()), Owner { mode: 0o777, ..*owner })
            }
            Op::Mkdir { path, owner } => self.make_directory(path, *owner),
            Op::HardLink { old, new } => self.hard_link(old, new),
            Op::RemoveFile { path } => {
                self.present(path)?;
                if self.is_directory(path) {
                    return Err(Refusal::IsADirectory);
                }
                self.unlink(path);
                Ok(())
            }
            Op::RemoveDir { path } => {
                self.present(path)?;
                if !self.is_directory(path) {
                    return Err(Refusal::NotADirectory);
                }
                if path == b"/" {
                    return Err(Refusal::Invalid);
                }
                if self.below(path).next().is_some() {
                    return Err(Refusal::NotEmpty);
                }
                self.unlink(path);
                Ok(())
            }
            Op::Rename { old, new } => self.rename(old, new),
            Op::SetAttributes { path, owner } => {
                self.present(path)?;
                let node = self.get_mut(path).expect("present");
                take_on(node, *owner);
                follow_mode(node);
                Ok(())
            }
            Op::SetXattr { path, name, value } => {
                self.present(path)?;
                let node = self.get_mut(path).expect("present");
                match value {
                    Some(value) => drop(node.xattrs.insert(name.clone(), value.clone())),
                    None => drop(node.xattrs.remove(name)),
                }
                node.ctime = None;
                Ok(())
            }
            Op::Commit => Ok(()),
        }
    }

    /// The path's directory must be one, all the way down.
    fn parent(&self, path: &[u8]) -> Result<Path, Refusal> {
        let parent = split(path).0;
        let mut above = parent;
        loop {
            match self.get(above) {
                Some(Node { kind: Kind::Directory, .. }) if above == parent => {
                    return Ok(parent.to_vec());
                }
                Some(Node { kind: Kind::Directory, .. }) => return Err(Refusal::NotFound),
                Some(_) => return Err(Refusal::NotADirectory),
                None => above = split(above).0,
            }
        }
    }

    fn present(&self, path: &[u8]) -> Result<(), Refusal> {
        if path == b"/" {
            return Ok(());
        }
        self.parent(path)?;
        if self.names.contains_key(path) { Ok(()) } else { Err(Refusal::NotFound) }
    }

    fn replace(&mut self, path: &[u8], kind: Kind, owner: Owner) -> Result<(), Refusal> {
        self.parent(path)?;
        if self.is_directory(path) {
            return Err(Refusal::IsADirectory);
        }
        if self.names.contains_key(path) {
            self.unlink(path);
        }
        self.create(path, kind, owner);
        Ok(())
    }

    fn make_directory(&mut self, path: &[u8], owner: Owner) -> Result<(), Refusal> {
        if path != b"/" {
            self.parent(path)?;
        }
        match self.get_mut(path) {
            Some(node) if node.kind == Kind::Directory => take_on(node, owner),
            Some(_) => return Err(Refusal::Exists),
            None => self.create(path, Kind::Directory, owner),
        }
        Ok(())
    }

    fn hard_link(&mut self, old: &[u8], new: &[u8]) -> Result<(), Refusal> {
        self.present(old)?;
        if self.is_directory(old) {
            return Err(Refusal::IsADirectory);
        }
        self.parent(new)?;
        if self.names.contains_key(new) {
            return Err(Refusal::Exists);
        }
        let inode = self.names[old];
        self.names.insert(new.to_vec(), inode);
        self.nodes[inode].ctime = None;
        self.touch(split(new).0);
        Ok(())
    }

    fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), Refusal> {
        self.present(old)?;
        if old == b"/" || new == b"/" {
            return Err(Refusal::Invalid);
        }
        self.parent(new)?;
        if new.starts_with(&join(old, b"")) {
            return Err(Refusal::Invalid);
        }
        if self.names.get(old) == self.names.get(new) {
            return Ok(());
        }
        if self.names.contains_key(new) {
            match (self.is_directory(old), self.is_directory(new)) {
                (true, false) => return Err(Refusal::NotADirectory),
                (false, true) => return Err(Refusal::IsADirectory),
                (true, true) if self.below(new).next().is_some() => return Err(Refusal::NotEmpty),
                _ => self.unlink(new),
            }
        }
        let moved: Vec<(Path, usize)> = self.below(old).map(|(p, i)| (p.clone(), *i)).collect();
        for (path, inode) in moved {
            self.names.remove(&path);
            self.names.insert([new, &path[old.len()..]].concat(), inode);
        }
        let inode = self.names.remove(old).expect("present");
        self.names.insert(new.to_vec(), inode);
        self.nodes[inode].ctime = None;
        self.touch(split(old).0);
        self.touch(split(new).0);
        Ok(())
    }

    fn create(&mut self, path: &[u8], kind: Kind, owner: Owner) {
        let mut node = Node {
            kind,
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: (0, 0),
            atime: None,
            ctime: None,
            btime: None,
            xattrs: Default::default(),
            links: 0,
        };
        take_on(&mut node, owner);
        self.nodes.push(node);
        self.names.insert(path.to_vec(), self.nodes.len() - 1);
        self.touch(split(path).0);
    }

    fn unlink(&mut self, path: &[u8]) {
        let inode = self.names.remove(path).expect("present");
        self.nodes[inode].ctime = None;
        self.touch(split(path).0);
    }

    /// A directory whose entries changed.
    fn touch(&mut self, directory: &[u8]) {
        let node = self.get_mut(directory).expect("a directory");
        node.mtime = (CLOCK, 0);
        node.ctime = None;
    }
}

/// chmod(2) carries the permission bits into an access control list: owner, mask, others. (All
/// lists of `populate` have a mask.)
fn follow_mode(node: &mut Node) {
    let mode = node.mode;
    let Some(list) = node.xattrs.get_mut("system.posix_acl_access") else { return };
    for entry in list[4..].chunks_exact_mut(8) {
        let shift = match entry[0] {
            1 => 6,
            16 => 3,
            32 => 0,
            _ => continue,
        };
        entry[2] = (mode >> shift & 7) as u8;
    }
}

fn take_on(node: &mut Node, owner: Owner) {
    let time: Time = (owner.mtime, 0);
    if !matches!(node.kind, Kind::Symlink(_)) {
        node.mode = u32::from(owner.mode);
    } else if node.mode == 0 {
        node.mode = 0o777;
    }
    node.uid = owner.uid;
    node.gid = owner.gid;
    node.mtime = time;
    node.atime = Some(time);
    node.ctime = None;
}
