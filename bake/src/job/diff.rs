//! `bake diff`: which files of two systems differ, and in what.

use std::cmp::Ordering;
use std::io::Read;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::fs::path::lossy;
use crate::fs::root::Root;
use crate::fs::{Entry, FileKind, Metadata};

/// One file that is not the same in both systems.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Path as the running system sees it; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// How it differs.
    pub change: Kind,
    /// For [`Kind::Changed`], in what: `content`, `mode`, `owner`, `mtime`, `target`, `kind`,
    /// `xattrs`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub what: Vec<&'static str>,
}

/// How a file differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Only in the second system.
    Added,
    /// Only in the first system.
    Removed,
    /// In both, but not the same.
    Changed,
}

/// Compares two systems, calling `take` for every difference in the order of the paths.
///
/// # Errors
/// What reading either system fails with, and what `take` returns.
pub fn compare(a: &Root, b: &Root, take: &mut dyn FnMut(Change) -> Result<()>) -> Result<()> {
    both(a, b, &mut b"/".to_vec(), take)
}

fn directory(
    a: &Root,
    b: &Root,
    path: &mut Vec<u8>,
    take: &mut dyn FnMut(Change) -> Result<()>,
) -> Result<()> {
    let (left, right) = (a.read_dir(path)?, b.read_dir(path)?);
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    loop {
        let order = match (left.peek(), right.peek()) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(l), Some(r)) => l.name.cmp(&r.name),
        };
        let old = if order.is_le() { left.next() } else { None };
        let new = if order.is_ge() { right.next() } else { None };
        match (old, new) {
            (Some(entry), None) => alone(a, path, entry, Kind::Removed, take)?,
            (None, Some(entry)) => alone(b, path, entry, Kind::Added, take)?,
            (Some(l), Some(_)) => within(path, l, |path| both(a, b, path, take))?,
            (None, None) => {}
        }
    }
}

/// An entry that only one side has, with everything below it.
fn alone(
    root: &Root,
    path: &mut Vec<u8>,
    entry: &Entry,
    change: Kind,
    take: &mut dyn FnMut(Change) -> Result<()>,
) -> Result<()> {
    within(path, entry, |path| {
        take(Change { path: lossy(path), change, what: Vec::new() })?;
        if entry.kind == FileKind::Directory {
            for entry in root.read_dir(path)? {
                alone(root, path, &entry, change, take)?;
            }
        }
        Ok(())
    })
}

fn both(
    a: &Root,
    b: &Root,
    path: &mut Vec<u8>,
    take: &mut dyn FnMut(Change) -> Result<()>,
) -> Result<()> {
    let (old, new) = (known(a, path)?, known(b, path)?);
    let mut what = Vec::new();
    let (was, is) = (old.attributes, new.attributes);
    let mut differs = |name, differs: bool| {
        if differs {
            what.push(name);
        }
    };
    differs("kind", old.kind != new.kind);
    differs("mode", was.mode != is.mode);
    differs("owner", (was.uid, was.gid) != (is.uid, is.gid));
    differs("mtime", was.mtime != is.mtime);
    differs("xattrs", a.xattrs(path)? != b.xattrs(path)?);
    if old.kind == new.kind {
        match old.kind {
            FileKind::File => differs("content", !same_content(a, b, path, &old, &new)?),
            FileKind::Symlink => differs("target", a.read_link(path)? != b.read_link(path)?),
            FileKind::Directory | FileKind::Special => {}
        }
    }
    if !what.is_empty() {
        take(Change { path: lossy(path), change: Kind::Changed, what })?;
    }
    match (old.kind, new.kind) {
        (FileKind::Directory, FileKind::Directory) => directory(a, b, path, take),
        (FileKind::Directory, _) => below(a, path, Kind::Removed, take),
        (_, FileKind::Directory) => below(b, path, Kind::Added, take),
        _ => Ok(()),
    }
}

fn below(
    root: &Root,
    path: &mut Vec<u8>,
    change: Kind,
    take: &mut dyn FnMut(Change) -> Result<()>,
) -> Result<()> {
    root.read_dir(path)?.iter().try_for_each(|entry| alone(root, path, entry, change, take))
}

fn same_content(a: &Root, b: &Root, path: &[u8], old: &Metadata, new: &Metadata) -> Result<bool> {
    if old.size != new.size {
        return Ok(false);
    }
    let (mut left, mut right) = (a.open(path)?, b.open(path)?);
    let (mut l, mut r) = (vec![0; 1 << 17], vec![0; 1 << 17]);
    let fill = |reader: &mut dyn Read, buf: &mut [u8]| -> Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            match reader.read(&mut buf[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) => return Err(Error::io("comparing", lossy(path), e)),
            }
        }
        Ok(filled)
    };
    loop {
        let (n, m) = (fill(&mut left, &mut l)?, fill(&mut right, &mut r)?);
        if l[..n] != r[..m] {
            return Ok(false);
        }
        if n == 0 {
            return Ok(true);
        }
    }
}

fn known(root: &Root, path: &[u8]) -> Result<Metadata> {
    root.lstat(path)?
        .ok_or_else(|| Error::NotFound { what: "path in the image", name: lossy(path) })
}

/// Runs `f` with `entry` appended to `path`, and takes it off again.
fn within<T>(path: &mut Vec<u8>, entry: &Entry, f: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let length = path.len();
    if !path.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend_from_slice(&entry.name);
    let result = f(path);
    path.truncate(length);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::MemoryTree;
    use crate::fs::{Attributes, Content};

    const OLD: Attributes = Attributes { mode: 0o644, uid: 0, gid: 0, mtime: 1 };
    const NEW: Attributes = Attributes { mode: 0o600, uid: 0, gid: 5, mtime: 1 };

    fn root(make: impl FnOnce(&mut Root)) -> Root {
        let mut root = Root::new(Box::new(MemoryTree::default()));
        make(&mut root);
        root
    }

    fn put(root: &mut Root, path: &str, content: &str, attributes: Attributes) {
        root.write(path.as_bytes(), Content::Bytes(content.into()), attributes).unwrap();
    }

    #[test]
    fn every_difference_is_found_once_in_path_order() {
        let a = root(|r| {
            r.mkdir(b"/d", OLD).unwrap();
            put(r, "/d/gone", "x", OLD);
            put(r, "/d/same", "x", OLD);
            put(r, "/e", "one", OLD);
            put(r, "/turned", "file", OLD);
            r.symlink(b"/l", b"a", OLD).unwrap();
        });
        let b = root(|r| {
            r.mkdir(b"/d", OLD).unwrap();
            put(r, "/d/same", "x", OLD);
            put(r, "/e", "two", NEW);
            r.mkdir(b"/turned", OLD).unwrap();
            put(r, "/turned/in", "x", OLD);
            r.symlink(b"/l", b"b", OLD).unwrap();
            r.mkdir(b"/n", OLD).unwrap();
            put(r, "/n/f", "x", OLD);
        });
        let mut found = Vec::new();
        compare(&a, &b, &mut |c| {
            found.push(format!("{:?} {} {}", c.change, c.path, c.what.join(",")));
            Ok(())
        })
        .unwrap();
        let expected = [
            "Removed /d/gone ",
            "Changed /e mode,owner,content",
            "Changed /l target",
            "Added /n ",
            "Added /n/f ",
            "Changed /turned kind",
            "Added /turned/in ",
        ];
        assert_eq!(found, expected);
        compare(&a, &a, &mut |c| panic!("{c:?}")).unwrap();
    }
}
