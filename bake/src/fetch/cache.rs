//! The cache on disk: `bases/`, `files/` and, while they are incomplete, `downloads/`.
//!
//! An entry is a read-only file named by the SHA-256 of what was published, and a sidecar
//! ([`Record`]) beside it. Entries appear by rename, after their bytes were compared and are on
//! the disk; whatever is without a sidecar is no entry.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use etcetera::BaseStrategy;

use super::entry::{Kind, Record};
use super::lock::Lock;
use super::verified::Verified;
use crate::error::{Error, IoContext, Result};
use crate::event::{Event, Sink};
use crate::io::digest::Sha256;
use crate::io::remove::remove;
use crate::sys::interrupt::Cancel;

/// Tells backup programs to leave the folder out (bford.info/cachedir).
const TAG: (&str, &str) = (
    "CACHEDIR.TAG",
    "Signature: 8a477f597d28d172789f06886806bc55\n# Downloads and base images of bake.\n",
);

/// A cache folder. Nothing is created before something is stored.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

/// An entry as `bake cache list` shows it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// What it is; `None` for a download that was not finished.
    pub kind: Option<Kind>,
    /// Its name on disk without suffix: the digest of what was published.
    pub key: String,
    /// Its sidecar; `None` for an unfinished download.
    pub record: Option<Record>,
    /// Bytes it takes on the disk.
    pub used: u64,
    /// When it was last used.
    pub last_used: SystemTime,
    path: PathBuf,
}

impl Cache {
    /// The cache at `dir`, or else in the user's cache folder (`$XDG_CACHE_HOME/bake`).
    ///
    /// # Errors
    /// [`Error::Usage`] where the user has no home folder.
    pub fn open(dir: Option<&Path>) -> Result<Self> {
        if let Some(dir) = dir {
            return Ok(Self { root: dir.to_owned() });
        }
        let strategy = etcetera::choose_base_strategy().map_err(|_| {
            Error::Usage("no home folder is known: name a cache folder with --cache-dir".into())
        })?;
        Ok(Self { root: strategy.cache_dir().join("bake") })
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of unfinished downloads, which exists from then on.
    pub(super) fn downloads(&self) -> Result<PathBuf> {
        self.folder("downloads")
    }

    /// The folder of remembered digests of the user's files, which exists from then on.
    pub(super) fn seen(&self) -> Result<PathBuf> {
        self.folder("seen")
    }

    /// Where entries of `kind` are made before [`Cache::adopt`] takes them; exists from then on.
    pub(super) fn workplace(&self, kind: Kind) -> Result<PathBuf> {
        self.folder(kind.folder())
    }

    /// Waits for the lock on `key`.
    pub(super) fn lock(
        &self,
        key: &str,
        name: &str,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<Lock> {
        Lock::take(&self.folder("locks")?.join(key), name, sink, cancel)
    }

    /// The published file with this digest, if it is here and sound.
    pub(super) fn open_file(&self, key: &str, sink: &dyn Sink) -> Result<Option<Verified<File>>> {
        Ok(self.open_entry(Kind::File, key, sink)?.map(|(file, _)| file))
    }

    /// An entry, if it is here and sound; one whose file changed is compared again, and removed
    /// where it differs.
    pub(super) fn open_entry(
        &self,
        kind: Kind,
        key: &str,
        sink: &dyn Sink,
    ) -> Result<Option<(Verified<File>, Record)>> {
        let (path, sidecar) = self.paths(kind, key);
        let Some(record) = Record::read(&sidecar) else { return Ok(None) };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("opening", path, e)),
        };
        let metadata = file.metadata().at("examining", &path)?;
        if !record.matches(&metadata) {
            let same = metadata.len() == record.len && content_is(&path, record.sha256)?;
            if !same {
                sink.emit(Event::Warning {
                    message: format!("{} in the cache was damaged; it is made again", record.name),
                });
                self.discard(kind, key)?;
                return Ok(None);
            }
            record.clone().write(&sidecar, &metadata)?;
        }
        touch(&sidecar);
        Ok(Some((Verified::new(file, path, record.sha256, record.len), record)))
    }

    /// Makes the finished file `from`, which must lie in this cache, an entry.
    pub(super) fn adopt(&self, from: &Path, kind: Kind, key: &str, record: Record) -> Result<()> {
        let folder = self.folder(kind.folder())?;
        let (path, sidecar) = self.paths(kind, key);
        let file = File::open(from).at("opening", from)?;
        file.sync_all().at("writing", from)?;
        let mut permissions = file.metadata().at("examining", from)?.permissions();
        permissions.set_readonly(true);
        fs::set_permissions(from, permissions).at("protecting", from)?;
        // Without its sidecar a file is no entry, so an old one goes first.
        remove(&sidecar)?;
        fs::rename(from, &path).at("naming", &path)?;
        record.write(&sidecar, &file.metadata().at("examining", &path)?)?;
        sync_folder(&folder);
        Ok(())
    }

    /// Removes an entry.
    pub(super) fn discard(&self, kind: Kind, key: &str) -> Result<()> {
        let (path, sidecar) = self.paths(kind, key);
        remove(&sidecar)?;
        remove(&path)
    }

    /// Key and sidecar of an entry that `wanted` accepts.
    pub(super) fn find(&self, kind: Kind, wanted: impl Fn(&Record) -> bool) -> Option<String> {
        let folder = fs::read_dir(self.root.join(kind.folder())).ok()?;
        let mut keys: Vec<_> = folder
            .filter_map(|e| e.ok()?.file_name().to_str()?.strip_suffix(".json").map(str::to_owned))
            .collect();
        keys.sort();
        keys.into_iter().find(|key| {
            let (path, sidecar) = self.paths(kind, key);
            path.exists() && Record::read(&sidecar).is_some_and(|record| wanted(&record))
        })
    }

    fn paths(&self, kind: Kind, key: &str) -> (PathBuf, PathBuf) {
        let folder = self.root.join(kind.folder());
        let suffix = if kind == Kind::Base { ".img" } else { "" };
        (folder.join(format!("{key}{suffix}")), folder.join(format!("{key}.json")))
    }

    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.root.join(name);
        fs::create_dir_all(&folder).at("creating", &folder)?;
        let tag = self.root.join(TAG.0);
        if !tag.exists() {
            fs::write(&tag, TAG.1).at("writing", &tag)?;
        }
        Ok(folder)
    }
}

/// Listing and pruning.
impl Cache {
    /// Everything in the cache, newest use first.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn list(&self) -> Result<Vec<Listed>> {
        let mut all = Vec::new();
        for kind in [Kind::Base, Kind::File] {
            for path in files_of(&self.root.join(kind.folder()))? {
                let Some(key) = path.file_stem().and_then(|s| s.to_str()).map(str::to_owned) else {
                    continue;
                };
                let (content, sidecar) = self.paths(kind, &key);
                if path == sidecar {
                    continue;
                }
                let record = Record::read(&sidecar).filter(|_| path == content);
                let dated = if record.is_some() { &sidecar } else { &path };
                all.push(Listed {
                    kind: record.is_some().then_some(kind),
                    used: used_bytes(&path),
                    last_used: modified(dated),
                    key,
                    record,
                    path,
                });
            }
        }
        for path in files_of(&self.root.join("downloads"))? {
            if path.extension().is_some_and(|e| e == "part") {
                let key = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let (used, last_used) = (used_bytes(&path), modified(&path));
                all.push(Listed { kind: None, key, record: None, used, last_used, path });
            }
        }
        all.sort_by(|a, b| b.last_used.cmp(&a.last_used).then_with(|| a.path.cmp(&b.path)));
        Ok(all)
    }

    /// Removes one thing [`Cache::list`] showed; `false` where another bake works on it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove(&self, listed: &Listed) -> Result<bool> {
        let key = listed.key.split('.').find(|part| !part.is_empty()).unwrap_or("stray");
        let lock = self.folder("locks")?.join(key);
        let held = OpenOptions::new().create(true).truncate(false).write(true).open(&lock);
        let held = held.at("opening", &lock)?;
        if held.try_lock().is_err() {
            return Ok(false);
        }
        match listed.kind {
            Some(kind) => self.discard(kind, &listed.key)?,
            None => {
                remove(&listed.path)?;
                remove(&listed.path.with_extension("json"))?;
            }
        }
        Ok(true)
    }
}

impl Listed {
    /// How long ago it was last used.
    #[must_use]
    pub fn age(&self) -> Duration {
        SystemTime::now().duration_since(self.last_used).unwrap_or_default()
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn content_is(path: &Path, sha256: Sha256) -> Result<bool> {
    let file = File::open(path).at("opening", path)?;
    Ok(Sha256::of_reader(file).at("reading", path)?.0 == sha256)
}

fn files_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("listing", folder, e)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.at("listing", folder)?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(unix)]
fn used_bytes(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    // st_blocks counts 512-byte units (stat(2)).
    fs::metadata(path).map_or(0, |m| m.blocks() * 512)
}

#[cfg(not(unix))]
fn used_bytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |m| m.len())
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The sidecar's time says when the entry was last used; a cache we may only read stays as it is.
fn touch(sidecar: &Path) {
    if let Ok(file) = OpenOptions::new().append(true).open(sidecar) {
        drop(file.set_modified(SystemTime::now()));
    }
}

/// Makes a rename durable; not every system can, and the entry is checked on use anyway.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        drop(folder.sync_all());
    }
}
