//! Paths: `/`-separated bytes from the root, taken literally.

use crate::dir::Dir;
use crate::error::{Error, Result, show};
use crate::fs::Ext4;
use crate::inode::ROOT;
use crate::store::Store;

/// Longest name of an entry, in bytes.
const NAME_MAX: usize = 255;

/// The names of a path, empty ones left out.
pub(crate) fn components(path: &[u8]) -> Result<Vec<&[u8]>> {
    let invalid = |reason| Err(Error::InvalidName { path: show(path), reason });
    let names: Vec<&[u8]> =
        path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).collect();
    for name in &names {
        if name.len() > NAME_MAX {
            return invalid("a name is longer than 255 bytes");
        }
        if name.contains(&0) {
            return invalid("a name holds a NUL byte");
        }
        if *name == b"." || *name == b".." {
            return invalid("`.` and `..` are not followed");
        }
    }
    Ok(names)
}

/// Refuses the root directory where only something else will do.
pub(crate) fn require_no_root(path: &[u8]) -> Result<()> {
    if components(path)?.is_empty() {
        return Err(Error::IsADirectory { path: show(path) });
    }
    Ok(())
}

impl<S: Store> Ext4<S> {
    /// Inode of a path; `None` where it does not exist or leads through something else than
    /// directories.
    pub(crate) fn lookup(&self, path: &[u8]) -> Result<Option<u32>> {
        match self.resolve(path) {
            Ok(number) => Ok(Some(number)),
            Err(Error::NotFound { .. } | Error::NotADirectory { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Inode of a path that must exist.
    pub(crate) fn resolve(&self, path: &[u8]) -> Result<u32> {
        let mut number = ROOT;
        for name in components(path)? {
            let inode = self.live_inode(number)?;
            if !inode.is_dir() {
                return Err(Error::NotADirectory { path: show(path) });
            }
            match self.find_entry(&Dir { number, inode }, name)? {
                Some(found) => number = found.inode,
                None => return Err(Error::NotFound { path: show(path) }),
            }
        }
        Ok(number)
    }

    /// The directory a path lies in, and its last name.
    pub(crate) fn resolve_parent<'a>(&self, path: &'a [u8]) -> Result<(Dir, &'a [u8])> {
        let mut names = components(path)?;
        let Some(name) = names.pop() else {
            let reason = "the root directory cannot be moved, replaced or removed";
            return Err(Error::Invalid { path: show(path), reason });
        };
        let above = names.join(&b'/');
        let number = self.resolve(&above)?;
        let inode = self.live_inode(number)?;
        if !inode.is_dir() {
            return Err(Error::NotADirectory { path: show(&above) });
        }
        Ok((Dir { number, inode }, name))
    }
}
