//! An image that becomes another where it lies, for file systems that share no blocks: what changes
//! is little, and copying the rest is most of the work (ADR 150).
//!
//! What stood in the ranges that change is kept in a journal beside the image until all is done, and
//! meanwhile the image has a hidden name: under its own there is all of one image, all of the other,
//! or nothing. What an ended run left is put right by [`recover`].

mod changes;
mod disk;
mod journal;
mod steps;

use std::path::{Path, PathBuf};

use super::digest::{Digests, walk_hashing};
use super::output::folder;
use super::stream::Job;
use super::{Method, Spec, Written};
use crate::error::Result;
use crate::store::BlockStore;
use crate::sys;
use disk::Real;

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
}

/// Turns the base into the image where it lies, if it is the file under the output's name, this
/// user's, under this name alone, and nobody else has it open. `None` where it has to be copied.
///
/// # Errors
/// The system's, and [`crate::error::Error::Interrupted`]: the image is then what it was.
pub(super) fn write(job: &Job<'_>, spec: &Spec) -> Result<Option<Written>> {
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
    let names = Names::of(&spec.path);
    let done = steps::change(&Real, &names, file, &changes, job.cancel)?;
    Ok(done.then(|| Written {
        method: Method::InPlace,
        sha256: digests.image.clone(),
        image_sha256: digests.image,
        bmap: digests.bmap,
    }))
}

/// Puts right what a run left that was ended while it changed the image at `path`: `true` where
/// that is the old image again.
///
/// # Errors
/// [`crate::error::Error::Refused`] where a run is at it just now, or another file took the name;
/// [`crate::error::Error::Corrupt`] for a journal that is not the image's; the system's.
pub fn recover(path: &Path) -> Result<bool> {
    steps::recover(&Real, &Names::of(path))
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
