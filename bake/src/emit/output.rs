//! A file that appears under its name whole, or not at all.
//!
//! On Linux it has no name until it is complete (open(2), `O_TMPFILE`), so that not even kill -9
//! leaves anything behind. Where that is not to be had it is a hidden file beside the target,
//! locked while it is being written; one that nobody has locked is a dead process's and is
//! removed by the next run.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, IoContext, Result};
use crate::sys;

/// Ends the names of unfinished files.
const SUFFIX: &str = ".bake-part";

/// An output that is being written, with mode 0600.
#[derive(Debug)]
pub struct Output {
    file: File,
    /// As the caller named it.
    path: PathBuf,
    /// Where it goes: `path`, or what that links to.
    target: PathBuf,
    /// Its name while it is written, if it has one.
    part: Option<PathBuf>,
    force: bool,
}

/// Makes `path` another name of the file `of`, in place of what was there; `false` where the file
/// system gives files one name, or `of` is not there.
///
/// # Errors
/// [`Error::Refused`] where `path` is no regular file; [`Error::Io`] where it cannot be replaced.
pub fn link(of: &Path, path: &Path) -> Result<bool> {
    let target = check_target(path, true)?;
    let part = part_name(&target, 0);
    let _ = fs::remove_file(&part);
    if fs::hard_link(of, &part).is_err() {
        return Ok(false);
    }
    // Renaming between two names of one file does nothing, and leaves both (rename(2)).
    let renamed = fs::rename(&part, &target).at("naming", path);
    let _ = fs::remove_file(&part);
    renamed.map(|()| true)
}

/// The folder that `path` is in.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Checks that `path` may be written and returns where it leads.
pub(super) fn check_target(path: &Path, force: bool) -> Result<PathBuf> {
    if path.file_name().is_none() {
        return Err(Error::Usage(format!("{} does not name a file", path.display())));
    }
    let refuse = |action: &str, reason: &str| Error::Refused {
        action: format!("{action} {}", path.display()),
        reason: reason.into(),
    };
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            Err(refuse("write to", kind(&found)).hint("name a regular file as the output"))
        }
        Ok(_) if !force => Err(refuse("overwrite", "it exists").hint("use --force to replace it")),
        Ok(_) => fs::canonicalize(path).at("resolving", path),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            if fs::symlink_metadata(path).is_ok() {
                return Err(refuse("write to", "it is a symbolic link that leads nowhere"));
            }
            fs::metadata(folder(path)).at("opening the folder", folder(path))?;
            Ok(path.to_owned())
        }
        Err(e) => Err(Error::io("opening", path, e)),
    }
}

fn kind(metadata: &fs::Metadata) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = metadata.file_type();
        if kind.is_block_device() {
            return "it is a block device";
        }
        if kind.is_char_device() || kind.is_fifo() || kind.is_socket() {
            return "it is a device or pipe, which cannot hold a sparse file";
        }
    }
    if metadata.is_dir() { "it is a folder" } else { "it is not a regular file" }
}

impl Output {
    /// Starts an output that will appear at `path`.
    ///
    /// # Errors
    /// [`Error::Refused`] where `path` exists and `force` is not set, or is no regular file;
    /// [`Error::Io`] where the folder cannot be written.
    pub fn create(path: &Path, force: bool) -> Result<Self> {
        let target = check_target(path, force)?;
        remove_stale(&target);
        let unnamed = sys::file::unnamed(folder(&target));
        Self::start(path, target, force, unnamed)
    }

    fn start(path: &Path, target: PathBuf, force: bool, unnamed: Option<File>) -> Result<Self> {
        let (file, part) = match unnamed {
            Some(file) => (file, None),
            None => {
                let (file, part) = named(&target)?;
                (file, Some(part))
            }
        };
        // Tells other processes' cleaning that this one is alive, from the moment it has a name.
        let _ = file.try_lock();
        Ok(Self { file, path: path.to_owned(), target, part, force })
    }

    /// The file, open for reading and writing.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Lets everybody read it (mode 0644).
    ///
    /// # Errors
    /// The system's.
    pub fn publicise(&self) -> Result<()> {
        sys::file::set_mode(&self.file, 0o644).at("changing the mode of", &self.path)
    }

    /// The path it will have.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes written so far.
    ///
    /// # Errors
    /// The system's.
    pub fn len(&self) -> Result<u64> {
        Ok(self.file.metadata().at("reading the size of", &self.path)?.len())
    }

    /// Whether nothing was written yet.
    ///
    /// # Errors
    /// The system's.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Brings it to disk (if `sync`, or where it replaces a file) and gives it its name.
    ///
    /// # Errors
    /// The system's; [`Error::Refused`] where the name was taken meanwhile.
    pub fn publish(mut self, sync: bool) -> Result<()> {
        let sync = sync || self.target.exists();
        if sync {
            self.file.sync_all().at("writing", &self.path)?;
        }
        let taken = |e: io::Error| match e.kind() {
            io::ErrorKind::AlreadyExists => Error::Refused {
                action: format!("overwrite {}", self.path.display()),
                reason: "it appeared while the image was made".into(),
            },
            _ => Error::io("naming", &self.path, e),
        };
        match (&self.part, self.force) {
            (None, false) => sys::file::link_unnamed(&self.file, &self.target).map_err(taken)?,
            (None, true) => {
                let part = part_name(&self.target, 0);
                let _ = fs::remove_file(&part);
                sys::file::link_unnamed(&self.file, &part).map_err(taken)?;
                self.part = Some(part.clone());
                fs::rename(&part, &self.target).at("naming", &self.path)?;
            }
            (Some(part), true) => fs::rename(part, &self.target).at("naming", &self.path)?,
            (Some(part), false) => sys::file::rename_new(part, &self.target).map_err(taken)?,
        }
        self.part = None;
        if sync {
            sys::file::sync_folder(folder(&self.target)).at("writing", folder(&self.target))?;
        }
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(part) = &self.part {
            // Best effort: an error is already on its way, and the next run cleans too.
            let _ = fs::remove_file(part);
        }
    }
}

/// `.node1.img.4711-0.bake-part` beside `node1.img`.
fn part_name(target: &Path, attempt: u32) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    folder(target).join(format!(".{name}.{}-{attempt}{SUFFIX}", std::process::id()))
}

fn named(target: &Path) -> Result<(File, PathBuf)> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    for attempt in 0.. {
        let part = part_name(target, attempt);
        match options.open(&part) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && attempt < 100 => {}
            opened => return Ok((opened.at("creating", &part)?, part)),
        }
    }
    unreachable!("the loop above ends by itself")
}

/// Unfinished files by folder, as it was when this process first wrote there. A fleet writes
/// thousands into one: to list it for each of them would take the square of that.
static LEFT: Mutex<BTreeMap<PathBuf, Vec<String>>> = Mutex::new(BTreeMap::new());

/// Removes unfinished outputs for `target` that dead processes left.
fn remove_stale(target: &Path) {
    let folder = folder(target);
    let prefix = format!(".{}.", target.file_name().unwrap_or_default().to_string_lossy());
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    let names = left.entry(folder.to_owned()).or_insert_with(|| unfinished(folder));
    for name in names {
        let middle = name.strip_prefix(&prefix).and_then(|n| n.strip_suffix(SUFFIX));
        let ours = middle.is_some_and(|m| m.split('-').all(|n| n.parse::<u32>().is_ok()));
        let path = folder.join(name);
        if ours
            && fs::symlink_metadata(&path).is_ok_and(|found| found.is_file())
            && let Ok(file) = File::open(&path)
            && file.try_lock().is_ok()
        {
            // Another process may have removed it first.
            let _ = fs::remove_file(path);
        }
    }
}

fn unfinished(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(SUFFIX)).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).expect("folder").flatten();
        let mut names: Vec<_> =
            entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn named_output(path: &Path, force: bool) -> Result<Output> {
        Output::start(path, check_target(path, force)?, force, None)
    }

    #[test]
    fn without_unnamed_files_the_output_is_hidden_until_it_is_whole() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("node1.img");
        for force in [false, true] {
            let output = named_output(&path, force).expect("output");
            output.file().write_all(b"whole").expect("write");
            assert!(names(dir.path())[0].ends_with(SUFFIX));
            output.publish(true).expect("publish");
            assert_eq!(names(dir.path()), ["node1.img"]);
            assert_eq!(fs::read(&path).expect("output"), b"whole");
        }
        drop(named_output(&path, true).expect("output"));
        assert_eq!(names(dir.path()), ["node1.img"], "given up");
    }

    #[test]
    fn a_name_taken_meanwhile_is_not_overwritten() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("node1.img");
        for named in [true, false] {
            let make = if named { named_output } else { Output::create };
            let output = make(&path, false).expect("output");
            fs::write(&path, "another's").expect("file");
            let error = output.publish(true).expect_err("taken");
            assert!(matches!(error, Error::Refused { .. }), "{error}");
            assert_eq!(names(dir.path()), ["node1.img"]);
            assert_eq!(fs::read(&path).expect("file"), b"another's");
            fs::remove_file(&path).expect("remove");
        }
    }

    #[test]
    fn what_dead_processes_left_is_removed_and_what_the_living_write_is_not() {
        let dir = tempfile::tempdir().expect("dir");
        let at = |name: &str| dir.path().join(name);
        let kept = [".node1.img.2-0.bake-part", ".node1.img.x-0.bake-part", "node1.img.bake-part"];
        for name in kept.iter().chain(&[".node1.img.1-0.bake-part"]) {
            fs::write(at(name), "part").expect("file");
        }
        let living = File::open(at(kept[0])).expect("file");
        living.try_lock().expect("lock");
        drop(Output::create(&at("node1.img"), false).expect("output"));
        assert_eq!(names(dir.path()), kept);
    }
}
