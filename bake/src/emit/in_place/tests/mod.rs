//! Doubles of the disk that fail, end, kill and remember at every call.

mod ended;
mod power;

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::LazyLock;

use super::beside::{Content, Neighbour, Old};
use super::changes::Change;
use super::disk::{Disk, Real};
use super::steps::New;
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

/// What lies beside the image: a file that changes, one that comes, and one that goes.
fn neighbours() -> Vec<Neighbour> {
    let text = |text: &str| text.as_bytes().to_vec();
    let file = |suffix: &str, old: Option<&str>, new: Option<&str>| {
        let content = old.map(|old| (0o644, text(old)));
        Neighbour { old: Old { suffix: suffix.into(), content }, new: new.map(text) }
    };
    vec![
        file(".json", Some("about the old"), Some("about the new")),
        file(".new", None, Some("new")),
        file(".old", Some("old"), None),
    ]
}

/// A folder with the old image, readable by all as released ones are, and what lies beside it.
fn folder() -> (tempfile::TempDir, Names) {
    let dir = tempfile::tempdir().expect("dir");
    let names = Names::of(&dir.path().join("node1.img"));
    lay_old(&names);
    (dir, names)
}

fn lay_old(names: &Names) {
    lay_beside(names);
    lay(&names.image, &OLD, 0o644);
}

/// What lies beside the old image, in an empty folder.
fn lay_beside(names: &Names) {
    for entry in fs::read_dir(names.folder()).expect("folder") {
        fs::remove_file(entry.expect("entry").path()).expect("remove");
    }
    for Neighbour { old, .. } in neighbours() {
        if let Some((mode, text)) = old.content {
            lay(&names.beside(&old.suffix), &text, mode);
        }
    }
}

/// Which image the files beside it tell about, each with its mode, and no other file than they, the
/// image and `more`; `None` where some are those of the one and some those of the other.
fn told(names: &Names, more: &[&Path]) -> Option<&'static str> {
    let found = |suffix: &str| {
        let path = names.beside(suffix);
        let mode = || fs::metadata(&path).expect("file").permissions().mode() & 0o777;
        fs::read(&path).ok().map(|text| (mode(), text))
    };
    let all = |wanted: fn(&Neighbour) -> Content| {
        neighbours().iter().all(|file| found(&file.old.suffix) == wanted(file))
    };
    let mut others = listing(names);
    others.retain(|name| {
        let path = names.folder().join(name);
        let beside = |file: &Neighbour| names.beside(&file.old.suffix) == path;
        path != names.image && !more.contains(&&*path) && !neighbours().iter().any(beside)
    });
    assert_eq!(others, Vec::<String>::new());
    if all(|file| file.old.content.clone()) {
        return Some("old");
    }
    all(|file| file.new.clone().map(|text| (0o600, text))).then_some("new")
}

/// Which whole image stands there, with all that is beside it and nothing else.
fn whole(names: &Names) -> &'static str {
    let image = which(&names.image).expect("an image");
    assert_eq!(told(names, &[]), Some(image), "{:?}", listing(names));
    image
}

fn lay(path: &Path, bytes: &[u8], mode: u32) {
    fs::write(path, bytes).expect("file");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode");
}

fn run(disk: &dyn Disk, names: &Names, cancel: &Cancel) -> Result<bool> {
    let base = File::open(&names.image).expect("image");
    base.try_lock().expect("lock");
    let new = New { changes: &changes(), files: &neighbours() };
    steps::change(disk, names, &base, &new, cancel)
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
    fn publish(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
        lay(path, bytes, mode);
        Ok(())
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
    fn publish(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
        self.call(|| Ok(())).at("writing", path)?;
        Unwaited.publish(path, bytes, mode)
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
    assert_eq!(whole(&names), "new");
    disk.calls.get()
}
