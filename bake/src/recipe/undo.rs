//! Takes an earlier bake out of an image again, so that baking it once more starts from its base
//! and leaves nothing behind that the new profile does not want.
//!
//! Only what still is as recorded is undone: whatever the running system or a person has changed
//! since is left as it is.

use std::collections::BTreeMap;

use crate::error::{Context, Result};
use crate::fs::root::Root;
use crate::fs::{Attributes, Content, FileKind};
use crate::provenance::{self, Baked, Before, Kind, ORIGINALS, Record, SEALED, attestation};

/// What became of an earlier bake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// Its record.
    pub record: Record,
    /// Paths that had changed since, and stay.
    pub left: Vec<String>,
}

/// Undoes the bake that the image's record tells of; `None` where there is none.
///
/// # Errors
/// An unreadable record, and what the file systems refuse.
pub fn undo(root: &mut Root) -> Result<Option<Undone>> {
    let Some(record) = provenance::read(root)? else { return Ok(None) };
    let sealed = provenance::read_sealed(root)?;
    let mut left = Vec::new();
    let is_dir = |baked: &&Baked| baked.state.kind == Kind::Directory;
    for baked in record.files.iter().rev().filter(|b| !is_dir(b)) {
        let doing = || format!("undoing the earlier bake of {}", baked.path);
        if !file(root, baked, &sealed).with_context(doing)? {
            left.push(baked.path.clone());
        }
    }
    remove_tree(root, ORIGINALS.as_bytes())?;
    for path in [SEALED, nodeconf::paths::RECORD, attestation::INSIDE] {
        if root.lstat(path.as_bytes())?.is_some() {
            root.remove_file(path.as_bytes())?;
        }
    }
    for baked in record.files.iter().rev().filter(is_dir) {
        directory(root, baked).with_context(|| format!("undoing {}", baked.path))?;
    }
    left.reverse();
    Ok(Some(Undone { record, left }))
}

/// Restores what was at the path; `false` where it has changed since.
fn file(root: &mut Root, baked: &Baked, sealed: &BTreeMap<String, String>) -> Result<bool> {
    if !provenance::is_as_recorded(root, baked, sealed)? {
        return Ok(false);
    }
    let path = baked.path.as_bytes();
    let Some(before) = &baked.before else {
        if baked.state.kind != Kind::Absent {
            root.remove_file(path)?;
        }
        return Ok(true);
    };
    restore(root, &baked.path, before)
}

fn restore(root: &mut Root, path: &str, before: &Before) -> Result<bool> {
    let attributes = attributes(before);
    match (before.state.kind, &before.state.target) {
        (Kind::File, _) if before.kept => {
            let copy = format!("{ORIGINALS}{path}");
            let Some(content) = root.read(copy.as_bytes(), u64::from(u32::MAX))? else {
                return Ok(false);
            };
            root.write(path.as_bytes(), Content::Bytes(content), attributes)?;
            Ok(true)
        }
        (Kind::Symlink, Some(target)) => {
            root.symlink(path.as_bytes(), target.as_bytes(), attributes)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn attributes(before: &Before) -> Attributes {
    let state = &before.state;
    Attributes { mode: state.mode, uid: state.uid, gid: state.gid, mtime: before.mtime }
}

/// A directory that bake made goes when nothing is left in it.
fn directory(root: &mut Root, baked: &Baked) -> Result<()> {
    let path = baked.path.as_bytes();
    if root.lstat(path)?.is_none_or(|m| m.kind != FileKind::Directory) {
        return Ok(());
    }
    match &baked.before {
        Some(before) => root.set_attributes(path, attributes(before)),
        None if root.read_dir(path)?.is_empty() => root.remove_dir(path),
        None => Ok(()),
    }
}

/// Removes a directory of ours with everything in it.
fn remove_tree(root: &mut Root, path: &[u8]) -> Result<()> {
    if root.lstat(path)?.is_none_or(|m| m.kind != FileKind::Directory) {
        return Ok(());
    }
    for entry in root.read_dir(path)? {
        let inner = [path, b"/", &entry.name].concat();
        match entry.kind {
            FileKind::Directory => remove_tree(root, &inner)?,
            _ => root.remove_file(&inner)?,
        }
    }
    root.remove_dir(path)
}
