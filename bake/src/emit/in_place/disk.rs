//! What is done to the disk, one call each, so that tests can end every one of them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::super::Output;
use crate::error::{IoContext, Result};
use crate::sys;

/// The calls of [`super::steps`] that change something, or wait until it is on the disk.
pub(super) trait Disk {
    /// Puts a file there, which is on the disk whole before it has its name.
    fn publish(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<()>;
    /// Renames a file to a name that is free.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    fn set_mode(&self, file: &File, mode: u32) -> io::Result<()>;
    fn write(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()>;
    fn sync(&self, file: &File) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The system's.
#[derive(Debug)]
pub(super) struct Real;

impl Disk for Real {
    fn publish(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
        let output = Output::create(path, true)?;
        sys::file::set_mode(output.file(), mode).at("changing the mode of", path)?;
        output.file().write_all(bytes).at("writing", path)?;
        output.publish(true)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        sys::file::rename_new(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        sys::file::sync_folder(folder)
    }

    fn set_mode(&self, file: &File, mode: u32) -> io::Result<()> {
        sys::file::set_mode(file, mode)
    }

    fn write(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        sys::file::write_all_at(file, bytes, at)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}
