//! Test double: a file tree in memory with the semantics of [`FileTree`], and nothing below it.

use std::collections::BTreeMap;

use super::path::{lossy, missing};
use super::{Attributes, Content, Description, Entry, FileKind, FileTree, Metadata, UsedRange};
use crate::error::{Error, Result};

#[derive(Debug, Clone)]
enum Node {
    File(Vec<u8>),
    Directory,
    Symlink(Vec<u8>),
}

#[derive(Debug, Clone)]
struct Inode {
    node: Node,
    attributes: Attributes,
    xattrs: BTreeMap<String, Vec<u8>>,
}

/// Names map to inode numbers, so hard links share what they name.
#[derive(Debug, Clone)]
pub struct MemoryTree {
    names: BTreeMap<Vec<u8>, u64>,
    inodes: BTreeMap<u64, Inode>,
    next: u64,
}

impl Default for MemoryTree {
    fn default() -> Self {
        let attributes = Attributes { mode: 0o755, uid: 0, gid: 0, mtime: 0 };
        let root = Inode { node: Node::Directory, attributes, xattrs: BTreeMap::new() };
        Self { names: [(b"/".to_vec(), 2)].into(), inodes: [(2, root)].into(), next: 12 }
    }
}

impl MemoryTree {
    fn get(&self, path: &[u8]) -> Option<(&Inode, u64)> {
        let number = self.names.get(path)?;
        self.inodes.get(number).map(|inode| (inode, *number))
    }

    fn need(&self, path: &[u8]) -> Result<(&Inode, u64)> {
        self.get(path).ok_or_else(|| missing(path))
    }

    fn need_mut(&mut self, path: &[u8]) -> Result<&mut Inode> {
        let number = *self.names.get(path).ok_or_else(|| missing(path))?;
        self.inodes.get_mut(&number).ok_or_else(|| missing(path))
    }

    fn insert(&mut self, path: &[u8], node: Node, attributes: Attributes) -> Result<()> {
        let parent = parent(path);
        match self.get(parent) {
            Some((Inode { node: Node::Directory, .. }, _)) => {}
            _ => return Err(missing(parent)),
        }
        if let Some((Inode { node: Node::Directory, .. }, _)) = self.get(path) {
            return Err(Error::Usage(format!("{} is a directory", lossy(path))));
        }
        self.unname(path);
        self.inodes.insert(self.next, Inode { node, attributes, xattrs: BTreeMap::new() });
        self.names.insert(path.to_vec(), self.next);
        self.next += 1;
        Ok(())
    }

    fn unname(&mut self, path: &[u8]) {
        if let Some(number) = self.names.remove(path)
            && !self.names.values().any(|n| *n == number)
        {
            self.inodes.remove(&number);
        }
    }

    fn children<'t>(&'t self, path: &'t [u8]) -> impl Iterator<Item = (&'t [u8], u64)> + 't {
        let prefix = if path == b"/" { b"/".to_vec() } else { [path, b"/"].concat() };
        self.names.iter().filter_map(move |(name, number)| {
            let rest = name.strip_prefix(prefix.as_slice())?;
            (!rest.is_empty() && !rest.contains(&b'/')).then_some((rest, *number))
        })
    }
}

impl FileTree for MemoryTree {
    fn describe(&self) -> Description {
        let (label, uuid) = ("memory".to_owned(), String::new());
        Description { format: "ext4", label, uuid, len: u64::MAX }
    }

    fn metadata(&self, path: &[u8]) -> Result<Option<Metadata>> {
        Ok(self.get(path).map(|(inode, number)| Metadata {
            kind: kind(&inode.node),
            size: match &inode.node {
                Node::File(bytes) | Node::Symlink(bytes) => bytes.len() as u64,
                Node::Directory => 4096,
            },
            attributes: inode.attributes,
            links: self.names.values().filter(|n| **n == number).count() as u32,
            inode: number,
        }))
    }

    fn read_dir(&self, path: &[u8]) -> Result<Vec<Entry>> {
        self.need(path)?;
        let entry = |(name, number): (&[u8], u64)| Entry {
            name: name.to_vec(),
            kind: kind(&self.inodes[&number].node),
        };
        Ok(self.children(path).map(entry).collect())
    }

    fn read_at(&self, path: &[u8], offset: u64, buf: &mut [u8]) -> Result<usize> {
        let Node::File(bytes) = &self.need(path)?.0.node else { return Err(missing(path)) };
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>> {
        match &self.need(path)?.0.node {
            Node::Symlink(target) => Ok(target.clone()),
            _ => Err(missing(path)),
        }
    }

    fn xattrs(&self, path: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
        Ok(self.need(path)?.0.xattrs.clone().into_iter().collect())
    }

    fn write(&mut self, path: &[u8], content: Content, attributes: Attributes) -> Result<()> {
        let bytes = match content {
            Content::Bytes(bytes) => bytes,
            Content::Payload(payload) => {
                let mut bytes = vec![0; payload.0.len() as usize];
                payload.0.read_at(0, &mut bytes).map_err(|e| Error::io("reading", "payload", e))?;
                bytes
            }
        };
        self.insert(path, Node::File(bytes), attributes)
    }

    fn mkdir(&mut self, path: &[u8], attributes: Attributes) -> Result<()> {
        if let Some((Inode { node: Node::Directory, .. }, _)) = self.get(path) {
            return self.set_attributes(path, attributes);
        }
        self.insert(path, Node::Directory, attributes)
    }

    fn symlink(&mut self, path: &[u8], target: &[u8], attributes: Attributes) -> Result<()> {
        let attributes = Attributes { mode: 0o777, ..attributes };
        self.insert(path, Node::Symlink(target.to_vec()), attributes)
    }

    fn hard_link(&mut self, old: &[u8], new: &[u8]) -> Result<()> {
        let (_, number) = self.need(old)?;
        self.need(parent(new))?;
        self.names.insert(new.to_vec(), number);
        Ok(())
    }

    fn remove_file(&mut self, path: &[u8]) -> Result<()> {
        match self.need(path)?.0.node {
            Node::Directory => Err(missing(path)),
            _ => {
                self.unname(path);
                Ok(())
            }
        }
    }

    fn remove_dir(&mut self, path: &[u8]) -> Result<()> {
        if !matches!(self.need(path)?.0.node, Node::Directory) {
            return Err(missing(path));
        }
        if self.children(path).next().is_some() {
            return Err(Error::Usage(format!("{} is not empty", lossy(path))));
        }
        self.unname(path);
        Ok(())
    }

    fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<()> {
        self.need(old)?;
        self.need(parent(new))?;
        self.unname(new);
        let prefix = [old, b"/"].concat();
        let moved: Vec<_> =
            self.names.keys().filter(|n| *n == old || n.starts_with(&prefix)).cloned().collect();
        for name in moved {
            if let Some(number) = self.names.remove(&name) {
                self.names.insert([new, &name[old.len()..]].concat(), number);
            }
        }
        Ok(())
    }

    fn set_attributes(&mut self, path: &[u8], attributes: Attributes) -> Result<()> {
        self.need_mut(path)?.attributes = attributes;
        Ok(())
    }

    fn set_xattr(&mut self, path: &[u8], name: &str, value: Option<&[u8]>) -> Result<()> {
        let xattrs = &mut self.need_mut(path)?.xattrs;
        match value {
            Some(value) => drop(xattrs.insert(name.to_owned(), value.to_vec())),
            None => drop(xattrs.remove(name)),
        }
        Ok(())
    }

    fn free_bytes(&self) -> Result<u64> {
        Ok(u64::MAX)
    }

    fn grow(&mut self, _: u64) -> Result<()> {
        Ok(())
    }

    fn check(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn used(&self) -> Result<Vec<UsedRange>> {
        Ok(Vec::new())
    }

    fn commit(&mut self) -> Result<()> {
        Ok(())
    }
}

fn kind(node: &Node) -> FileKind {
    match node {
        Node::File(_) => FileKind::File,
        Node::Directory => FileKind::Directory,
        Node::Symlink(_) => FileKind::Symlink,
    }
}

fn parent(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&b| b == b'/') {
        None | Some(0) => b"/",
        Some(at) => &path[..at],
    }
}
