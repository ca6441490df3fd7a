//! Carries out the operations of a script on an opened image.

use super::script::{Growth, Line, Operation};
use crate::error::{Context, Error, Result};
use crate::fs::root::Root;
use crate::fs::{Attributes, Content, FileKind};
use crate::job::clock;
use crate::job::open::Opened;
use crate::store::Payload;

/// Applies every line in order; the image is changed in memory only.
///
/// # Errors
/// The first that fails, naming its line.
pub(super) fn apply(opened: &mut Opened, script: &[Line]) -> Result<()> {
    let now = clock::now(script.iter().filter_map(|line| match &line.operation {
        Operation::Put { source, .. } => Some(source.as_path()),
        _ => None,
    }))?;
    set_clock(opened, now)?;
    for line in script {
        one(opened, &line.operation, now)
            .with_context(|| format!("line {} of the script", line.number))?;
    }
    Ok(())
}

fn set_clock(opened: &mut Opened, now: i64) -> Result<()> {
    opened.root_mut()?.trees_mut().for_each(|(_, tree)| tree.set_clock(now));
    Ok(())
}

fn one(opened: &mut Opened, operation: &Operation, now: i64) -> Result<()> {
    if let Operation::Grow(growth) = operation {
        let partition = &opened.root_volume()?.partition;
        let len = match growth {
            Growth::To(len) => Some(*len),
            Growth::By(len) => partition.len.checked_add(*len),
        };
        let len = len.ok_or_else(|| Error::Usage("that size has more than 64 bits".into()))?;
        opened.grow_root(len)?;
        // Growing opens the file systems anew.
        return set_clock(opened, now);
    }
    let root = opened.root_mut()?;
    let made = |mode| Attributes { mode, uid: 0, gid: 0, mtime: now };
    match operation {
        Operation::Put { source, path, mode, uid, gid } => {
            let payload = Payload::file(source)?;
            let mtime = clock::modified(source)?;
            let attributes = Attributes { mode: *mode, uid: *uid, gid: *gid, mtime };
            root.write(path.as_bytes(), Content::Payload(payload), attributes)
        }
        Operation::Mkdir { path, mode } => root.mkdir(path.as_bytes(), made(*mode)),
        Operation::Symlink { target, path } => {
            root.symlink(path.as_bytes(), target.as_bytes(), made(0o777))
        }
        Operation::Link { old, new } => root.hard_link(old.as_bytes(), new.as_bytes()),
        Operation::Rm(path) => root.remove_file(path.as_bytes()),
        Operation::Rmdir(path) => root.remove_dir(path.as_bytes()),
        Operation::Mv { from, to } => root.rename(from.as_bytes(), to.as_bytes()),
        Operation::Chmod(mode, path) => change(root, path, |a| a.mode = *mode),
        Operation::Chown(uid, gid, path) => change(root, path, |a| (a.uid, a.gid) = (*uid, *gid)),
        Operation::Mtime(seconds, path) => change(root, path, |a| a.mtime = *seconds),
        Operation::SetXattr { path, name, value } => {
            root.set_xattr(path.as_bytes(), name, Some(value))
        }
        Operation::RmXattr { path, name } => root.set_xattr(path.as_bytes(), name, None),
        Operation::Grow(_) => Ok(()),
    }
}

/// As chmod(1) and chown(1) do, except that a link in the last place is changed itself; a link has
/// no mode of its own (symlink(7)).
fn change(root: &mut Root, path: &str, f: impl FnOnce(&mut Attributes)) -> Result<()> {
    let found = root
        .lstat(path.as_bytes())?
        .ok_or_else(|| Error::NotFound { what: "path in the image", name: path.to_owned() })?;
    let mut attributes = found.attributes;
    f(&mut attributes);
    if found.kind == FileKind::Symlink {
        attributes.mode = found.attributes.mode;
    }
    root.set_attributes(path.as_bytes(), attributes)
}
