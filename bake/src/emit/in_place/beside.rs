//! The files beside an image that change with it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::super::Beside;
use super::disk::Disk;
use super::{Names, PRIVATE, exists};
use crate::error::{IoContext, Result};
use crate::sys;

/// A larger one is none of ours.
const LIMIT: u64 = 64 << 20;

/// Mode and content of a file, where it is there.
pub(super) type Content = Option<(u32, Vec<u8>)>;

/// A file as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Old {
    pub suffix: String,
    /// What it was.
    pub content: Content,
}

/// A file as it was, and what becomes of it.
#[derive(Debug)]
pub(super) struct Neighbour {
    pub old: Old,
    pub new: Option<Vec<u8>>,
}

/// What is where `files` are to be. `None` where that is no regular file, or too much to be kept.
pub(super) fn look(names: &Names, files: Vec<Beside>) -> Result<Option<Vec<Neighbour>>> {
    let mut found = Vec::new();
    for Beside { suffix, text } in files {
        let path = names.beside(suffix);
        let content = match fs::symlink_metadata(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Ok(there) if !there.is_file() || there.len() > LIMIT => return Ok(None),
            _ => Some(read(&path)?),
        };
        let old = Old { suffix: suffix.into(), content };
        found.push(Neighbour { old, new: text });
    }
    Ok(Some(found))
}

/// Makes the files those of the new image.
pub(super) fn put(disk: &dyn Disk, names: &Names, files: &[Neighbour]) -> Result<()> {
    for Neighbour { old, new } in files {
        let path = names.beside(&old.suffix);
        match new {
            Some(text) => disk.publish(&path, text, PRIVATE)?,
            None if old.content.is_some() => disk.remove(&path).at("removing", &path)?,
            None => {}
        }
    }
    Ok(())
}

/// Makes the files those of the old image again, where they are not.
pub(super) fn put_back(disk: &dyn Disk, names: &Names, files: &[Old]) -> Result<()> {
    for Old { suffix, content } in files {
        let path = names.beside(suffix);
        match content {
            Some(old) if read(&path).is_ok_and(|there| there == *old) => {}
            Some((mode, text)) => disk.publish(&path, text, *mode)?,
            None if exists(&path) => disk.remove(&path).at("removing", &path)?,
            None => {}
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<(u32, Vec<u8>)> {
    let file = File::open(path).at("opening", path)?;
    let mode = sys::file::mode(&file).at("looking at", path)?;
    let mut text = Vec::new();
    file.take(LIMIT).read_to_end(&mut text).at("reading", path)?;
    Ok((mode, text))
}
