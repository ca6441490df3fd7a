//! Opening an image: its partitions, their file systems, and the system they make together.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{self, Partition, Table};
use crate::emit::{self, Emitted, InUse, Spec, Tell, in_place};
use crate::error::{Context, Error, Result};
use crate::event::Sink;
use crate::fetch::Fetcher;
use crate::fs::path::lossy;
use crate::fs::root::Root;
use crate::fs::{self, Description, FileKind, FileTree, fstab};
use crate::io::digest::Sha256;
use crate::store::{BlockStore, FileSource, Image, ReadAt, SharedImage};
use crate::sys::interrupt::Cancel;

/// An image with everything in it that we can read.
#[derive(Debug)]
pub struct Opened {
    /// Where it was opened from.
    pub path: PathBuf,
    /// Its partition table.
    pub table: Table,
    /// One for each partition, in the table's order.
    pub volumes: Vec<Volume>,
    image: SharedImage,
    root: Option<Root>,
}

/// What a partition holds.
#[derive(Debug)]
pub struct Volume {
    /// The partition.
    pub partition: Partition,
    /// Its file system, or why there is none that we can read.
    pub content: Result<Description, Error>,
    /// Where the system mounts it; `None` where its fstab does not say.
    pub mounted_at: Option<String>,
}

/// Opens the image at `path`, decompressed through the cache where it is compressed.
///
/// # Errors
/// As [`open_raw`], and what unpacking it fails with; [`Error::Refused`] for one that is not there
/// because a run was ended while it changed it.
pub fn open(path: &Path, fetcher: &Fetcher<'_>) -> Result<Opened> {
    if !path.exists() {
        in_place::settled(path)?;
    } else if let Some((reason, todo)) = in_place::unsettled(path) {
        fetcher.warn(format!("{}: {reason}; {todo}", path.display()));
    }
    open_verified(path, None, fetcher)
}

/// As [`open`], where the file's digest must be `sha256`.
///
/// # Errors
/// As [`open`]; [`Error::Verification`] where it is another.
pub fn open_verified(path: &Path, sha256: Option<Sha256>, fetcher: &Fetcher<'_>) -> Result<Opened> {
    let base = fetcher.local_base(path, sha256)?;
    let source: Arc<dyn ReadAt> = Arc::new(FileSource::of_file(base.file, &base.path)?);
    open_source(path, source).with_context(|| format!("opening {}", path.display()))
}

/// Opens the raw image file at `path`.
///
/// # Errors
/// An unreadable file, a corrupt partition table. File systems that cannot be read are noted in
/// their [`Volume`] instead.
pub fn open_raw(path: &Path) -> Result<Opened> {
    let source: Arc<dyn ReadAt> = Arc::new(FileSource::open(path)?);
    open_source(path, source).with_context(|| format!("opening {}", path.display()))
}

/// Opens `source`, which messages call `path`.
///
/// # Errors
/// As [`open_raw`].
pub fn open_source(path: &Path, source: Arc<dyn ReadAt>) -> Result<Opened> {
    Opened::new(path, Arc::new(Mutex::new(Image::new(source))))
}

impl Opened {
    /// Opens an image that is already laid out in memory; messages call it `path`.
    ///
    /// # Errors
    /// As [`open_raw`].
    pub fn new(path: &Path, image: SharedImage) -> Result<Self> {
        let table = disk::read(&*lock(&image))?;
        let mut volumes = Vec::new();
        let mut trees = Vec::new();
        for partition in &table.partitions {
            let tree = disk::open_window(&image, partition).and_then(fs::open);
            let (content, tree) = match tree {
                Ok(tree) => (Ok(tree.describe()), Some(tree)),
                Err(error) => (Err(error), None),
            };
            volumes.push(Volume { partition: partition.clone(), content, mounted_at: None });
            trees.push(tree);
        }
        let root = assemble(&mut volumes, trees)?;
        Ok(Self { path: path.to_owned(), table, volumes, image, root })
    }

    /// The image below, for emitting.
    #[must_use]
    pub fn image(&self) -> &SharedImage {
        &self.image
    }

    /// The files, as the running system sees them.
    ///
    /// # Errors
    /// Why no root file system can be read.
    pub fn root(&self) -> Result<&Root> {
        self.root.as_ref().ok_or_else(|| no_root(&self.path, &self.volumes))
    }

    /// As [`Opened::root`], to change them.
    ///
    /// # Errors
    /// As [`Opened::root`].
    pub fn root_mut(&mut self) -> Result<&mut Root> {
        self.root.as_mut().ok_or_else(|| no_root(&self.path, &self.volumes))
    }

    /// The volume mounted at `/`.
    ///
    /// # Errors
    /// As [`Opened::root`].
    pub fn root_volume(&self) -> Result<&Volume> {
        let at_root = |v: &&Volume| v.mounted_at.as_deref() == Some("/");
        self.volumes.iter().find(at_root).ok_or_else(|| no_root(&self.path, &self.volumes))
    }

    /// Grows the root file system to `len` bytes, with its partition and the image. Pending edits
    /// are committed first.
    ///
    /// # Errors
    /// The root is not the last partition, would shrink, or its file system cannot grow that far.
    pub fn grow_root(&mut self, len: u64) -> Result<()> {
        let number = self.root_volume()?.partition.number;
        self.root_mut()?.commit()?;
        self.root = None;
        disk::grow_last(&mut lock(&self.image), number, len)?;
        *self = Self::new(&self.path, self.image.clone())?;
        let len = self.root_volume()?.partition.len;
        self.root_mut()?
            .base_mut()
            .grow(len)
            .with_context(|| format!("growing the root file system to {len} bytes"))
    }

    /// Commits what was edited and opens it anew from its blocks.
    ///
    /// # Errors
    /// As [`open_raw`], and what committing fails with.
    pub fn reopen(mut self) -> Result<Self> {
        self.root_mut()?.commit()?;
        let Self { path, image, root, .. } = self;
        drop(root);
        Self::new(&path, image).context("opening the edited image again")
    }

    /// As [`Opened::reopen`], and has every file system checked.
    ///
    /// # Errors
    /// [`Error::Verification`] with all that is wrong with the first file system that is not sound.
    pub fn recheck(self) -> Result<Self> {
        let opened = self.reopen()?;
        for (at, tree) in opened.root()?.trees() {
            let complaints = tree.check()?;
            if !complaints.is_empty() {
                let what = format!("the file system at {} after the edits", lossy(at));
                return Err(Error::Verification { what, reason: complaints.join("; ") });
            }
        }
        Ok(opened)
    }

    /// Which bytes of the image matter: of file systems that the system mounts, only what is in
    /// use.
    ///
    /// # Errors
    /// What reading the file systems fails with.
    pub fn in_use(&self) -> Result<InUse> {
        let mut used = InUse::everything(lock(&self.image).len());
        for volume in &self.volumes {
            let (Some(at), Some(root)) = (&volume.mounted_at, &self.root) else { continue };
            if let Some((_, tree)) = root.trees().find(|(mount, _)| *mount == at.as_bytes()) {
                used.limit(volume.partition.start, volume.partition.len, &tree.used()?);
            }
        }
        Ok(used)
    }

    /// Writes the image, of which `used` matters: [`Opened::in_use`].
    ///
    /// # Errors
    /// What writing fails with; no output appears then.
    pub fn emit(
        &self,
        used: &InUse,
        spec: &Spec,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<Emitted> {
        self.emit_with(used, spec, &|_, _| Vec::new(), sink, cancel)
    }

    /// As [`Opened::emit`], with what is to lie beside it.
    ///
    /// # Errors
    /// As [`Opened::emit`].
    pub fn emit_with(
        &self,
        used: &InUse,
        spec: &Spec,
        tell: &Tell<'_>,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<Emitted> {
        emit::emit_with(&lock(&self.image), used, spec, tell, sink, cancel)
    }
}

fn no_root(path: &Path, volumes: &[Volume]) -> Error {
    let seen: Vec<String> = volumes
        .iter()
        .map(|v| match &v.content {
            Ok(found) => format!("partition {}: {}", v.partition.number, found.format),
            Err(error) => format!("partition {}: {error}", v.partition.number),
        })
        .collect();
    Error::Unsupported {
        what: format!("{}", path.display()),
        feature: format!("no readable root file system ({})", seen.join("; ")),
    }
}

/// The image behind the lock; a panic elsewhere cannot leave it half changed.
pub fn lock(image: &SharedImage) -> MutexGuard<'_, Image> {
    image.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Finds the root among the trees and mounts the others where its fstab says.
fn assemble(
    volumes: &mut [Volume],
    mut trees: Vec<Option<Box<dyn FileTree>>>,
) -> Result<Option<Root>> {
    let Some(index) = root_index(&trees)? else { return Ok(None) };
    let Some(tree) = trees[index].take() else { return Ok(None) };
    let mut root = Root::new(tree);
    volumes[index].mounted_at = Some("/".to_owned());
    let text = root.read(b"/etc/fstab", 1 << 20)?.unwrap_or_default();
    let mut mounts = fstab::parse(&String::from_utf8_lossy(&text));
    mounts.retain(|m| m.at.starts_with('/') && m.at != "/");
    mounts.sort_by_key(|m| m.at.len());
    for mount in mounts {
        let wanted = volumes.iter().position(|v| {
            let Ok(content) = &v.content else { return false };
            let partition = &v.partition;
            v.mounted_at.is_none()
                && mount.names(partition.partuuid.as_deref(), partition.number, content)
        });
        let Some(tree) = wanted.and_then(|i| trees[i].take()) else { continue };
        if root.mount(mount.at.as_bytes(), tree).is_ok()
            && let Some(i) = wanted
        {
            volumes[i].mounted_at = Some(mount.at);
        }
    }
    Ok(Some(root))
}

/// The tree with an operating system in it; else the only one, else the first that is no FAT.
fn root_index(trees: &[Option<Box<dyn FileTree>>]) -> Result<Option<usize>> {
    let readable = || trees.iter().enumerate().filter_map(|(i, t)| Some((i, t.as_ref()?)));
    for (index, tree) in readable() {
        for path in ["/etc/os-release", "/usr/lib/os-release"] {
            let kind = tree.metadata(path.as_bytes())?.map(|m| m.kind);
            if matches!(kind, Some(FileKind::File | FileKind::Symlink)) {
                return Ok(Some(index));
            }
        }
    }
    let linux = readable().find(|(_, tree)| tree.describe().format != "vfat");
    Ok(linux.or_else(|| readable().next()).map(|(index, _)| index))
}
