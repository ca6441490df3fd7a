//! Copying files out of an image onto the host, never outside the destination.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::error::{Error, IoContext, Result};
use crate::fs::path::lossy;
use crate::fs::root::Root;
use crate::fs::{FileKind, Metadata};

/// Copies what `path` leads to onto the host as `target`, which must not exist.
///
/// Links inside a copied directory are copied as links. Permissions (without setuid and setgid)
/// and modification times are kept, owners are not. Device nodes are left out and returned.
///
/// # Errors
/// [`Error::Refused`] where `target` exists, [`Error::Usage`] for a directory unless `recursive`.
pub fn extract(root: &Root, path: &[u8], target: &Path, recursive: bool) -> Result<Vec<String>> {
    let found = root
        .stat(path)?
        .ok_or_else(|| Error::NotFound { what: "path in the image", name: lossy(path) })?;
    let mut left_out = Vec::new();
    match found.kind {
        FileKind::Directory if recursive => directory(root, path, target, &found, &mut left_out)?,
        FileKind::Directory => {
            let error = Error::Usage(format!("{} is a directory", lossy(path)));
            return Err(error.hint("add -r to copy it with everything below it"));
        }
        FileKind::File => file(root, path, target, &found)?,
        FileKind::Symlink | FileKind::Special => left_out.push(lossy(path)),
    }
    Ok(left_out)
}

fn directory(
    root: &Root,
    path: &[u8],
    target: &Path,
    metadata: &Metadata,
    left_out: &mut Vec<String>,
) -> Result<()> {
    // Made by us, so nothing below it can be a link that leads elsewhere.
    fs::create_dir(target).map_err(|e| refused_or_failed(target, e))?;
    for entry in root.read_dir(path)? {
        let name = safe_name(&entry.name, path)?;
        let (path, target) = ([path, b"/", &entry.name].concat(), target.join(name));
        let Some(metadata) = root.lstat(&path)? else { continue };
        match metadata.kind {
            FileKind::Directory => directory(root, &path, &target, &metadata, left_out)?,
            FileKind::File => file(root, &path, &target, &metadata)?,
            FileKind::Symlink => link(&root.read_link(&path)?, &target)?,
            FileKind::Special => left_out.push(lossy(&path)),
        }
    }
    finish(&File::open(target).at("opening", target)?, target, metadata)
}

fn file(root: &Root, path: &[u8], target: &Path, metadata: &Metadata) -> Result<()> {
    let mut reader = root.open(path)?;
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(target)
        .map_err(|e| refused_or_failed(target, e))?;
    let copied = io::copy(&mut reader, &mut out).and_then(|_| out.flush()).at("writing", target);
    if let Err(error) = copied.and_then(|()| finish(&out, target, metadata)) {
        // Half a file must not look like a whole one; the first error is the one to tell.
        drop(fs::remove_file(target));
        return Err(error);
    }
    Ok(())
}

fn finish(file: &File, target: &Path, metadata: &Metadata) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = u32::from(metadata.attributes.mode) & 0o777;
        file.set_permissions(fs::Permissions::from_mode(mode)).at("setting the mode of", target)?;
    }
    let seconds = metadata.attributes.mtime;
    let offset = Duration::from_secs(seconds.unsigned_abs());
    let time =
        if seconds < 0 { UNIX_EPOCH.checked_sub(offset) } else { UNIX_EPOCH.checked_add(offset) };
    match time {
        Some(time) if cfg!(unix) => file.set_modified(time).at("setting the time of", target),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn link(to: &[u8], target: &Path) -> Result<()> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    std::os::unix::fs::symlink(OsStr::from_bytes(to), target)
        .map_err(|e| refused_or_failed(target, e))
}

#[cfg(not(unix))]
fn link(to: &[u8], target: &Path) -> Result<()> {
    fs::write(target, to).at("writing", target)
}

fn safe_name<'n>(name: &'n [u8], directory: &[u8]) -> Result<&'n Path> {
    let bad = || Error::Corrupt {
        what: format!("directory {}", lossy(directory)),
        reason: format!("it has an entry named `{}`", lossy(name)),
    };
    if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') || name.contains(&0) {
        return Err(bad());
    }
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        Ok(Path::new(std::ffi::OsStr::from_bytes(name)))
    }
    #[cfg(not(unix))]
    {
        let name = std::str::from_utf8(name).map_err(|_| bad())?;
        if name.contains(['\\', ':']) { Err(bad()) } else { Ok(Path::new(name)) }
    }
}

fn refused_or_failed(target: &Path, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::AlreadyExists {
        return Error::Refused {
            action: format!("overwrite {}", target.display()),
            reason: "it exists".into(),
        };
    }
    Error::io("creating", target, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::MemoryTree;
    use crate::fs::{Attributes, Content};

    const A: Attributes = Attributes { mode: 0o4750, uid: 0, gid: 0, mtime: 1_000_000 };

    #[test]
    fn a_tree_comes_out_as_it_is_and_only_once() {
        let mut root = Root::new(Box::new(MemoryTree::default()));
        root.mkdir(b"/etc", Attributes { mode: 0o755, ..A }).unwrap();
        root.write(b"/etc/f", Content::Bytes(b"x".to_vec()), A).unwrap();
        root.symlink(b"/etc/l", b"/etc/passwd", A).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out");
        assert!(matches!(
            extract(&root, b"/etc", &target, false).map_err(|e| e.exit()),
            Err(crate::error::Exit::Usage)
        ));
        assert_eq!(extract(&root, b"/etc", &target, true).unwrap(), Vec::<String>::new());
        assert_eq!(fs::read(target.join("f")).unwrap(), b"x");
        assert_eq!(fs::read_link(target.join("l")).unwrap(), Path::new("/etc/passwd"));
        let modified = fs::metadata(target.join("f")).unwrap().modified().unwrap();
        assert_eq!(modified.duration_since(UNIX_EPOCH).unwrap().as_secs(), 1_000_000);
        let again = extract(&root, b"/etc", &target, true);
        assert!(matches!(again, Err(Error::Refused { .. })));
    }

    #[test]
    fn names_that_lead_elsewhere_are_corrupt() {
        for name in [&b".."[..], b".", b"", b"a/b", b"a\0b"] {
            assert!(safe_name(name, b"/").is_err());
        }
    }
}
