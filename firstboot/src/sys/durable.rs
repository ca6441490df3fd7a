//! The one way to write a file that must survive a power cut.

use std::io;
use std::path::{Path, PathBuf};

use super::Sys;

/// Suffix of the file that is being written beside the one it will replace.
pub const TEMPORARY_SUFFIX: &str = ".bake-new";

/// Replaces `path` by `bytes`, whole or not at all, whenever the power goes.
///
/// The data is synced before the rename, so that the new name never shows a file without its
/// content, and the directory after it, so that the rename itself stays (rename(2), fsync(2)).
/// A temporary file left by a crash is overwritten by the next attempt.
///
/// # Errors
/// The first operation that failed; the old file is then untouched.
pub fn write_durable(sys: &dyn Sys, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = temporary(path);
    let written = sys
        .create(&temporary, bytes, mode)
        .and_then(|()| sys.sync_file(&temporary))
        .and_then(|()| sys.rename(&temporary, path));
    if let Err(error) = written {
        // A full disk must not stay full of our leftovers; the first error is the one that counts.
        let _ = sys.remove(&temporary);
        return Err(error);
    }
    sys.sync_dir(path.parent().unwrap_or(Path::new("/")))
}

/// As [`write_durable`], but leaves a file alone that already has this content.
///
/// # Errors
/// As [`write_durable`].
pub fn write_if_changed(sys: &dyn Sys, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    match sys.read(path) {
        Ok(old) if old == bytes => Ok(()),
        _ => write_durable(sys, path, bytes, mode),
    }
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY_SUFFIX);
    name.into()
}
