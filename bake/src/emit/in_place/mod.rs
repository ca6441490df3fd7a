//! An image that becomes another where it lies, for file systems that share no blocks: what changes
//! is little, and copying the rest is most of the work (ADR 150).
//!
//! What stood in the ranges that change, and in the files beside the image that tell about it, is kept
//! in a journal until all is done, and meanwhile the image has a hidden name: under its own there is all
//! of one image, with the files that are its, all of the other, or nothing. What an ended run left is
//! put right by [`recover`].

mod beside;
mod changes;
mod disk;
mod journal;
mod steps;

use std::path::{Path, PathBuf};

use super::digest::{Digests, walk_hashing};
use super::output::folder;
use super::stream::Job;
use super::{Beside, Method, Spec, Tell, Written, bmap};
use crate::error::{Error, Result};
use crate::store::BlockStore;
use crate::sys;
use disk::Real;

/// A node's image, and what tells about it, is its owner's alone.
const PRIVATE: u32 = 0o600;

/// More than any node has for itself; what changes more is copied.
const MOST: u64 = 64 << 20;

/// The names an image has and gets.
#[derive(Debug, Clone)]
struct Names {
    /// Its own.
    image: PathBuf,
    /// The one it has while it is neither the old image nor the new one.
    aside: PathBuf,
    /// That of what stood in it.
    journal: PathBuf,
}

impl Names {
    fn of(image: &Path) -> Self {
        let name = image.file_name().unwrap_or_default().to_string_lossy();
        let hidden = |end: &str| folder(image).join(format!(".{name}.bake-{end}"));
        Self { image: image.to_owned(), aside: hidden("aside"), journal: hidden("undo") }
    }

    fn folder(&self) -> &Path {
        folder(&self.image)
    }

    /// A file that lies beside the image.
    fn beside(&self, suffix: &str) -> PathBuf {
        super::beside(&self.image, suffix)
    }
}

/// What [`recover`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// No run was ended.
    Nothing,
    /// One was ended while it changed the image, which is the old one again.
    Undone,
    /// One was ended before it changed the image, or after: it is the old one or the new one, whole,
    /// with the files that are its.
    Whole,
}

/// Turns the base into the image where it lies, if it is the file under the output's name, this
/// user's, under this name alone, and nobody else has it open. `None` where it has to be copied.
///
/// # Errors
/// The system's, and [`crate::error::Error::Interrupted`]: the image is then what it was.
pub(super) fn write(job: &Job<'_>, spec: &Spec, tell: &Tell<'_>) -> Result<Option<Written>> {
    let base = job.image.base();
    let Some(file) = base.as_file() else { return Ok(None) };
    let whole = base.len() == job.image.len();
    if !whole || !sys::file::is_only_name(&spec.path, file) || !sys::lease::alone(file) {
        return Ok(None);
    }
    // A second run waits for nothing: it copies.
    if file.try_lock().is_err() {
        return Ok(None);
    }
    let Some(changes) = changes::of(job, spec, MOST)? else { return Ok(None) };
    let digests = match spec.digest || spec.bmap.is_some() {
        true => walk_hashing(job, spec, |_| Ok(()))?,
        false => Digests::default(),
    };
    let sha256 = digests.image;
    let mut files = tell(sha256.as_deref(), sha256.as_deref());
    let map = digests.bmap.map(|ranges| bmap::text(job.image.len(), &ranges).into_bytes());
    files.push(Beside { suffix: ".bmap", text: map });
    let names = Names::of(&spec.path);
    let Some(files) = beside::look(&names, files)? else { return Ok(None) };
    let new = steps::New { changes: &changes, files: &files };
    let done = steps::change(&Real, &names, file, &new, job.cancel)?;
    Ok(done.then(|| Written {
        method: Method::InPlace,
        sha256: sha256.clone(),
        image_sha256: sha256,
        bmap: None,
    }))
}

/// Refuses an image that a run was changing when it was ended, or is changing now.
///
/// # Errors
/// [`Error::Refused`], with what to do.
pub fn settled(path: &Path) -> Result<()> {
    match unsettled(path) {
        None => Ok(()),
        Some((reason, todo)) => {
            let action = format!("use {}", path.display());
            Err(Error::Refused { action, reason }.hint(todo))
        }
    }
}

/// What is the matter with an image that a run was changing when it was ended, or is changing now;
/// and what to do.
#[must_use]
pub fn unsettled(path: &Path) -> Option<(String, String)> {
    let names = Names::of(path);
    let (aside, journal) = (names.aside.display(), names.journal.display());
    let ended = "`bake personalise` is changing it, or was ended";
    let again = "if it was ended, run the same once more";
    match (exists(path), exists(&names.aside), exists(&names.journal)) {
        (true, _, true) => Some((
            format!("{ended} when all but its journal {journal} was done, or nothing yet"),
            format!("{again}, or remove that"),
        )),
        (false, true, _) => Some((
            format!("{ended} while it did: it is {aside} for now"),
            format!("{again}, which puts it right"),
        )),
        _ => None,
    }
}

fn exists(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

/// Puts right what a run left that was ended while it changed the image at `path`.
///
/// # Errors
/// [`crate::error::Error::Refused`] where a run is at it just now, or another file took the name;
/// [`crate::error::Error::Corrupt`] for a journal that is not the image's; the system's.
pub fn recover(path: &Path) -> Result<Left> {
    steps::recover(&Real, &Names::of(path))
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
