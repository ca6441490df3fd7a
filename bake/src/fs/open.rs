//! Which file system a partition holds, by its magic.

use super::FileTree;
use super::ext4::Ext4Tree;
use super::fat::{self, FatTree};
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
    if is_fat(&window)? {
        let start = window.start();
        return Ok(Box::new(FatTree::open(window, start)?));
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
    Ok(read(window, AT)?.is_some_and(|magic: [u8; 2]| u16::from_le_bytes(magic) == 0xEF53))
}

fn is_fat(window: &Window) -> Result<bool> {
    Ok(read(window, 0)?.is_some_and(|sector: [u8; 512]| fat::is_fat(&sector)))
}

/// `N` bytes at `at`; `None` where the window is too short.
fn read<const N: usize>(window: &Window, at: u64) -> Result<Option<[u8; N]>> {
    let mut bytes = [0; N];
    if window.len() < at + N as u64 {
        return Ok(None);
    }
    window.read_at(at, &mut bytes).map_err(|source| Error::Io {
        doing: "reading the superblock of",
        path: format!("the partition at byte {}", window.start()).into(),
        source,
    })?;
    Ok(Some(bytes))
}
