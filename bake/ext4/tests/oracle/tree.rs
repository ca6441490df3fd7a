//! The model: what a file system must contain, in plain maps.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

pub type Path = Vec<u8>;

/// Seconds and nanoseconds since 1970.
pub type Time = (i64, i64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    File { size: u64, digest: [u8; 32] },
    Directory,
    Symlink(Vec<u8>),
    Special { mode: u32, device: u64 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub kind: Kind,
    /// Permission bits, 0o7777.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: Time,
    /// Times of access, change and birth; `None` where the model makes no claim.
    pub atime: Option<Time>,
    pub ctime: Option<Time>,
    pub btime: Option<Time>,
    /// Full name to value.
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// Links the kernel counts for an inode; filled in by [`Tree::count_links`].
    pub links: u64,
}

/// A whole tree: paths to inodes, `/` for the root.
#[derive(Clone, Default)]
pub struct Tree {
    pub names: BTreeMap<Path, usize>,
    pub nodes: Vec<Node>,
}

pub fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Directory and name of a path.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let at = path.iter().rposition(|b| *b == b'/').expect("an absolute path");
    (if at == 0 { b"/" } else { &path[..at] }, &path[at + 1..])
}

pub fn join(directory: &[u8], name: &[u8]) -> Path {
    let mut path = if directory == b"/" { Vec::new() } else { directory.to_vec() };
    path.push(b'/');
    path.extend_from_slice(name);
    path
}

pub fn show(path: &[u8]) -> String {
    let text = path.escape_ascii().to_string();
    if text.len() > 120 { format!("{}…({} bytes)", &text[..100], path.len()) } else { text }
}

impl Tree {
    pub fn get(&self, path: &[u8]) -> Option<&Node> {
        self.names.get(path).map(|i| &self.nodes[*i])
    }

    pub fn get_mut(&mut self, path: &[u8]) -> Option<&mut Node> {
        self.names.get(path).map(|i| &mut self.nodes[*i])
    }

    pub fn is_directory(&self, path: &[u8]) -> bool {
        matches!(self.get(path), Some(Node { kind: Kind::Directory, .. }))
    }

    /// Everything below a directory, itself excluded.
    pub fn below<'a>(&'a self, directory: &[u8]) -> impl Iterator<Item = (&'a Path, &'a usize)> {
        let prefix = join(directory, b"");
        let after = prefix.clone();
        self.names
            .range(prefix.clone()..)
            .take_while(move |(p, _)| p.starts_with(&after))
            .filter(move |(p, _)| p.len() > prefix.len())
    }

    /// Names directly inside a directory.
    pub fn children(&self, directory: &[u8]) -> Vec<Vec<u8>> {
        let skip = if directory == b"/" { 1 } else { directory.len() + 1 };
        self.below(directory)
            .map(|(p, _)| &p[skip..])
            .filter(|rest| !rest.contains(&b'/'))
            .map(<[u8]>::to_vec)
            .collect()
    }

    /// Sets every inode's link count to what its names make it (`dir_nlink`: 1 above 65,000).
    pub fn count_links(&mut self) {
        let mut links = vec![0_u64; self.nodes.len()];
        for (path, inode) in &self.names {
            if self.is_directory(path) {
                links[*inode] += if path == b"/" { 1 } else { 2 };
                let parent = if path == b"/" { *inode } else { self.names[split(path).0] };
                links[parent] += 1;
            } else {
                links[*inode] += 1;
            }
        }
        for (node, links) in self.nodes.iter_mut().zip(links) {
            node.links = if links > 65_000 && node.kind == Kind::Directory { 1 } else { links };
        }
    }

    /// Every difference between this expectation and what was found, in words; empty when equal.
    pub fn differences(&self, found: &Tree) -> Vec<String> {
        let mut out = Vec::new();
        for (path, inode) in &self.names {
            match found.get(path) {
                None => out.push(format!("{}: missing", show(path))),
                Some(node) => compare(path, &self.nodes[*inode], node, &mut out),
            }
        }
        for path in found.names.keys().filter(|p| !self.names.contains_key(*p)) {
            out.push(format!("{}: should not exist", show(path)));
        }
        self.compare_hard_links(found, &mut out);
        out
    }

    /// Two names are one inode in the model exactly when they are one in what was found.
    fn compare_hard_links(&self, found: &Tree, out: &mut Vec<String>) {
        let mut pairs: BTreeMap<usize, usize> = BTreeMap::new();
        for (path, inode) in &self.names {
            let Some(other) = found.names.get(path) else { continue };
            if *pairs.entry(*inode).or_insert(*other) != *other {
                out.push(format!("{}: no longer the same inode as its hard links", show(path)));
            }
        }
    }
}

fn compare(path: &[u8], expected: &Node, found: &Node, out: &mut Vec<String>) {
    let mut differ = |what: &str, a: String, b: String| {
        if a != b {
            out.push(format!("{}: {what} should be {a}, is {b}", show(path)));
        }
    };
    differ("kind", format!("{:?}", Short(&expected.kind)), format!("{:?}", Short(&found.kind)));
    differ("mode", format!("{:o}", expected.mode), format!("{:o}", found.mode));
    differ("owner", format!("{}", expected.uid), format!("{}", found.uid));
    differ("group", format!("{}", expected.gid), format!("{}", found.gid));
    differ("mtime", format!("{:?}", expected.mtime), format!("{:?}", found.mtime));
    differ("links", format!("{}", expected.links), format!("{}", found.links));
    differ("xattrs", format!("{:x?}", expected.xattrs), format!("{:x?}", found.xattrs));
    for (what, expected, found) in [
        ("atime", expected.atime, found.atime),
        ("ctime", expected.ctime, found.ctime),
        ("btime", expected.btime, found.btime),
    ] {
        if expected.is_some() {
            differ(what, format!("{expected:?}"), format!("{found:?}"));
        }
    }
}

/// A kind with its digest cut to what a person compares.
struct Short<'a>(&'a Kind);

impl std::fmt::Debug for Short<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Kind::File { size, digest } => {
                write!(f, "file of {size} bytes, sha256 ")?;
                digest[..8].iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
            Kind::Symlink(target) => write!(f, "link to {}", show(target)),
            other => write!(f, "{other:?}"),
        }
    }
}
