//! Doubles of the disk that fail, end, kill and remember at every call.

mod ended;
mod power;

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::LazyLock;

use super::changes::Change;
use super::disk::{Disk, Real};
use super::*;
use crate::error::{Error, IoContext};
use crate::sys::interrupt::Cancel;

const LEN: usize = 6000;

static OLD: LazyLock<Vec<u8>> = LazyLock::new(|| (0..LEN).map(|i| (i * 7 % 251) as u8).collect());
static NEW: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut image = OLD.clone();
    for change in changes() {
        let at = change.at as usize;
        image[at..at + change.new.len()].copy_from_slice(&change.new);
    }
    image
});

fn changes() -> Vec<Change> {
    let change = |at: usize, new: Vec<u8>| Change {
        at: at as u64,
        old: OLD[at..at + new.len()].to_vec(),
        new,
    };
    vec![change(0, vec![1; 1000]), change(3000, vec![0; 3]), change(LEN - 700, vec![2; 700])]
}

/// A folder with the old image, readable by all as released ones are.
fn folder() -> (tempfile::TempDir, Names) {
    let dir = tempfile::tempdir().expect("dir");
    let names = Names::of(&dir.path().join("node1.img"));
    lay(&names.image, &OLD, 0o644);
    (dir, names)
}

fn lay(path: &Path, bytes: &[u8], mode: u32) {
    fs::write(path, bytes).expect("file");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode");
}

fn run(disk: &dyn Disk, names: &Names, cancel: &Cancel) -> Result<bool> {
    let base = File::open(&names.image).expect("image");
    base.try_lock().expect("lock");
    steps::change(disk, names, &base, &changes(), cancel)
}

/// Which whole image stands at `path`, if any; its mode must be the one that goes with it.
fn which(path: &Path) -> Option<&'static str> {
    let bytes = fs::read(path).ok()?;
    let mode = fs::metadata(path).expect("image").permissions().mode() & 0o777;
    match (bytes == *OLD, bytes == *NEW) {
        (true, _) => Some("old"),
        (_, true) => {
            assert_eq!(mode, 0o600, "a node's image is its owner's");
            Some("new")
        }
        _ => panic!("{} is half changed", path.display()),
    }
}

fn listing(names: &Names) -> Vec<String> {
    let entries = fs::read_dir(names.folder()).expect("folder");
    let mut found: Vec<String> =
        entries.map(|e| e.expect("entry").file_name().to_string_lossy().into_owned()).collect();
    found.sort();
    found
}

/// The real disk, but nobody waits for it: in tests the power stays.
struct Unwaited;

impl Disk for Unwaited {
    fn publish(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        fs::write(path, bytes).at("writing", path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Real.rename(from, to)
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn set_mode(&self, file: &File, mode: u32) -> io::Result<()> {
        Real.set_mode(file, mode)
    }

    fn write(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        Real.write(file, bytes, at)
    }

    fn sync(&self, _: &File) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Real.remove(path)
    }
}

/// What happens at a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    /// It alone fails.
    Fails,
    /// It and all that follow fail, a write half done: as if the process ended.
    Ends,
    /// The process is killed, a write half done.
    Kills,
    /// The user has had enough.
    Cancels,
}

/// The disk, until call `at`, counted from 1.
struct Until<'a> {
    at: usize,
    how: How,
    calls: Cell<usize>,
    cancel: &'a Cancel,
}

impl<'a> Until<'a> {
    fn new(at: usize, how: How, cancel: &'a Cancel) -> Self {
        Self { at, how, calls: Cell::new(0), cancel }
    }

    fn call(&self, half: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let call = self.calls.get() + 1;
        self.calls.set(call);
        let (here, after) = (call == self.at, call > self.at);
        match self.how {
            How::Fails if here => return Err(io::Error::other("made to fail")),
            How::Ends if here => half()?,
            How::Ends if after => {}
            How::Kills if here => {
                half()?;
                let process = rustix::process::getpid();
                rustix::process::kill_process(process, rustix::process::Signal::KILL)?;
            }
            How::Cancels if here => {
                self.cancel.cancel();
                return Ok(());
            }
            _ => return Ok(()),
        }
        Err(io::Error::other("ended"))
    }
}

impl Disk for Until<'_> {
    fn publish(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        self.call(|| Ok(())).at("writing", path)?;
        Unwaited.publish(path, bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(|| Ok(()))?;
        Unwaited.rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.call(|| Ok(()))?;
        Unwaited.sync_folder(folder)
    }

    fn set_mode(&self, file: &File, mode: u32) -> io::Result<()> {
        self.call(|| Ok(()))?;
        Unwaited.set_mode(file, mode)
    }

    fn write(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        self.call(|| Unwaited.write(file, &bytes[..bytes.len() / 2], at))?;
        Unwaited.write(file, bytes, at)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.call(|| Ok(()))?;
        Unwaited.sync(file)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(|| Ok(()))?;
        Unwaited.remove(path)
    }
}

/// How many calls it takes.
fn calls() -> usize {
    let ((_dir, names), cancel) = (folder(), Cancel::new());
    let disk = Until::new(usize::MAX, How::Fails, &cancel);
    assert!(run(&disk, &names, &cancel).expect("change"));
    assert_eq!((which(&names.image), listing(&names)), (Some("new"), vec!["node1.img".into()]));
    disk.calls.get()
}
