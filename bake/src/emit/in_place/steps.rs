//! The order of things. Ended after any of them, the next run finds either a whole image under its
//! name, or none and a journal that brings it back:
//!
//! 1. the journal is on the disk,
//! 2. the image has its hidden name, also on the disk, and nobody else has it open,
//! 3. only its owner may read it, for it will hold secrets,
//! 4. the changes are written, and on the disk,
//! 5. the files beside it are those of what it is now,
//! 6. the image has its name again, also on the disk,
//! 7. the journal goes away.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::beside::{self, Neighbour};
use super::changes::Change;
use super::disk::Disk;
use super::journal::Journal;
use super::{Left, Names, PRIVATE, exists};
use crate::error::{Error, IoContext, Result};
use crate::sys;
use crate::sys::interrupt::Cancel;

/// What is to be.
#[derive(Clone, Copy)]
pub(super) struct New<'n> {
    /// Of the image.
    pub changes: &'n [Change],
    /// Beside it.
    pub files: &'n [Neighbour],
}

/// Changes the image, which is `base` and locked by it. `false`, and all as it was, where somebody
/// else has it open, or it cannot be opened to be written.
///
/// # Errors
/// The system's, and [`Error::Interrupted`]: all is as it was, or can be made so by [`recover`].
pub(super) fn change(
    disk: &dyn Disk,
    names: &Names,
    base: &File,
    new: &New<'_>,
    cancel: &Cancel,
) -> Result<bool> {
    let found = base.metadata().at("looking at", &names.image)?;
    let mode = sys::file::mode(base).at("looking at", &names.image)?;
    let journal = Journal::of(found.len(), mode, new);
    disk.publish(&names.journal, &journal.to_bytes(), PRIVATE)?;
    let file = match set_aside(disk, names, base) {
        Ok(Some(file)) => file,
        other => {
            give_back(disk, names).map_err(|e| to_be_put_right(e, names))?;
            return other.map(|_| false);
        }
    };
    let changed = write(disk, names, &file, new.changes, cancel)
        .and_then(|()| beside::put(disk, names, new.files))
        .and_then(|()| disk.rename(&names.aside, &names.image).map_err(|e| naming(e, names)));
    if let Err(error) = changed {
        let undone = put_right(disk, names, &file, &journal);
        return Err(match undone {
            Ok(()) => error,
            Err(undoing) => to_be_put_right(undoing, names),
        });
    }
    disk.sync_folder(names.folder()).at("writing", names.folder())?;
    disk.remove(&names.journal).at("removing", &names.journal)?;
    Ok(true)
}

/// Gives the image its hidden name and opens it, unless somebody else has it open.
fn set_aside(disk: &dyn Disk, names: &Names, base: &File) -> Result<Option<File>> {
    disk.rename(&names.image, &names.aside).at("renaming", &names.image)?;
    disk.sync_folder(names.folder()).at("writing", names.folder())?;
    // Nobody finds it under this name; whoever opened it before is seen now.
    if !sys::file::is_named(&names.aside, base) || !sys::lease::alone(base) {
        return Ok(None);
    }
    match File::options().read(true).write(true).open(&names.aside) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        opened => opened.map(Some).at("opening", &names.aside),
    }
}

/// Nothing of the image was changed: it gets its name back.
fn give_back(disk: &dyn Disk, names: &Names) -> Result<()> {
    if exists(&names.aside) {
        disk.rename(&names.aside, &names.image).map_err(|e| naming(e, names))?;
        disk.sync_folder(names.folder()).at("writing", names.folder())?;
    }
    disk.remove(&names.journal).at("removing", &names.journal)
}

fn write(
    disk: &dyn Disk,
    names: &Names,
    file: &File,
    changes: &[Change],
    cancel: &Cancel,
) -> Result<()> {
    disk.set_mode(file, PRIVATE).at("changing the mode of", &names.aside)?;
    disk.sync(file).at("writing", &names.aside)?;
    for change in changes {
        cancel.check()?;
        disk.write(file, &change.new, change.at).at("writing", &names.aside)?;
    }
    disk.sync(file).at("writing", &names.aside)?;
    cancel.check()
}

/// Makes the image what it was, under its name.
fn put_right(disk: &dyn Disk, names: &Names, file: &File, journal: &Journal) -> Result<()> {
    for (at, old) in &journal.ranges {
        disk.write(file, old, *at).at("writing", &names.aside)?;
    }
    // What others may not read is gone before they may read the file.
    disk.sync(file).at("writing", &names.aside)?;
    disk.set_mode(file, journal.mode).at("changing the mode of", &names.aside)?;
    disk.sync(file).at("writing", &names.aside)?;
    beside::put_back(disk, names, &journal.files)?;
    disk.rename(&names.aside, &names.image).map_err(|e| naming(e, names))?;
    disk.sync_folder(names.folder()).at("writing", names.folder())?;
    disk.remove(&names.journal).at("removing", &names.journal)
}

/// Puts right what an ended run left.
///
/// # Errors
/// As [`super::recover`].
pub(super) fn recover(disk: &dyn Disk, names: &Names) -> Result<Left> {
    if !exists(&names.journal) {
        return match exists(&names.aside) && !exists(&names.image) {
            true => Err(lost(names, "its journal is not there")),
            false => Ok(Left::Nothing),
        };
    }
    let busy = || Error::Refused {
        action: format!("work on {}", names.image.display()),
        reason: "another run is changing it".into(),
    };
    // A run that is alive holds the lock of the image, whichever name that has meanwhile.
    if let Some(file) = open(&names.aside, true)? {
        if file.try_lock().is_err() {
            return Err(busy());
        }
        if !sys::file::is_named(&names.aside, &file) {
            return Ok(Left::Nothing);
        }
        return put_back(disk, names, &file).map(|()| Left::Undone);
    }
    if let Some(file) = open(&names.image, false)? {
        if file.try_lock().is_err() || !sys::file::is_named(&names.image, &file) {
            return Err(busy());
        }
        disk.remove(&names.journal).at("removing", &names.journal)?;
        return Ok(Left::Whole);
    }
    Ok(Left::Nothing)
}

fn put_back(disk: &dyn Disk, names: &Names, file: &File) -> Result<()> {
    let (aside, image) = (names.aside.display(), names.image.display());
    if exists(&names.image) {
        return Err(Error::Refused {
            action: format!("work on {image}"),
            reason: format!("it is there twice: an ended run left what it was changing as {aside}"),
        }
        .hint(format!(
            "remove {aside} and {}, or move {image} away and run this again",
            names.journal.display()
        )));
    }
    if !sys::lease::alone(file) {
        return Err(Error::Refused {
            action: format!("put {image} right"),
            reason: format!("another program has {aside} open"),
        });
    }
    let bytes = fs::read(&names.journal).at("reading", &names.journal)?;
    let journal = Journal::parse(&names.journal, &bytes)?;
    if file.metadata().at("looking at", &names.aside)?.len() != journal.len {
        return Err(lost(names, "its journal is another image's"));
    }
    put_right(disk, names, file, &journal).map_err(|e| to_be_put_right(e, names))
}

fn lost(names: &Names, reason: &str) -> Error {
    let what = names.aside.display().to_string();
    let reason = format!("a run that was ended left it half changed, and {reason}");
    Error::Corrupt { what, reason }
        .hint(format!("remove it, and take {} from the release once more", names.image.display()))
}

fn naming(error: io::Error, names: &Names) -> Error {
    match error.kind() {
        io::ErrorKind::AlreadyExists => Error::Refused {
            action: format!("overwrite {}", names.image.display()),
            reason: "it appeared while the image was changed".into(),
        },
        _ => Error::io("naming", &names.image, error),
    }
}

fn to_be_put_right(error: Error, names: &Names) -> Error {
    let (image, aside) = (names.image.display(), names.aside.display());
    error.hint(format!(
        "{image} is {aside} for now: `bake personalise {image}` puts that right, once what is \
         wrong here is mended"
    ))
}

fn open(path: &Path, write: bool) -> Result<Option<File>> {
    match File::options().read(true).write(write).open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some).at("opening", path),
    }
}
