//! Which file system a partition holds, by its magic.

use super::FileTree;
use super::ext4::Ext4Tree;
use crate::error::{Error, Result};
use crate::store::{BlockStore, Window};

/// Opens the file system in `window`.
///
/// # Errors
/// [`Error::Unsupported`] where there is none that we know, and what opening it fails with.
pub fn open(window: Window) -> Result<Box<dyn FileTree>> {
    if is_ext(&window)? {
        return Ok(Box::new(Ext4Tree::open(window)?));
    }
    Err(Error::Unsupported {
        what: format!("content at byte {}", window.start()),
        feature: "a file system that is neither ext4 nor FAT".into(),
    })
}

/// `s_magic`, 0xEF53 at byte 0x38 of the superblock, which begins at byte 1024 (kernel
/// documentation, filesystems/ext4, "Super Block").
fn is_ext(window: &Window) -> Result<bool> {
    const AT: u64 = 1024 + 0x38;
    let mut magic = [0; 2];
    if window.len() < AT + 2 {
        return Ok(false);
    }
    window.read_at(AT, &mut magic).map_err(|source| Error::Io {
        doing: "reading the superblock of",
        path: format!("the partition at byte {}", window.start()).into(),
        source,
    })?;
    Ok(u16::from_le_bytes(magic) == 0xEF53)
}
