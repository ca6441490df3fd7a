//! A lock in use: everything that is baked must be what it says.

use std::path::{Component, Path, PathBuf};

use super::{Base, Lock, OwnFile, Package, Part};
use crate::error::{Error, Result};
use crate::io::digest::Sha256;

/// A lock and where it was read.
#[derive(Debug, Clone)]
pub struct Locked {
    lock: Lock,
    path: PathBuf,
    sha256: Sha256,
}

impl Locked {
    /// Reads the lock at `path`; `None` where there is none.
    ///
    /// # Errors
    /// Those of [`Lock::read`]; [`Error::Verification`] where another version of bake made it, or
    /// its lines contradict each other.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let Some((lock, text)) = Lock::read(path)? else { return Ok(None) };
        let locked = Self { lock, path: path.to_owned(), sha256: Sha256::of(text.as_bytes()) };
        let own = env!("CARGO_PKG_VERSION");
        if locked.lock.bake != own {
            let of = &locked.lock.bake;
            return Err(locked.differs(format!("it was made by bake {of}, and this is bake {own}")));
        }
        match locked.lock.fault() {
            Some(fault) => Err(locked.differs(fault)),
            None => Ok(Some(locked)),
        }
    }

    /// What it says.
    #[must_use]
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// Digest of the file.
    #[must_use]
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// That something is not what it says.
    #[must_use]
    pub fn differs(&self, reason: String) -> Error {
        let what = format!("what {} pins", self.path.display());
        Error::Verification { what, reason }.hint(
            "if the change is meant, write the lock anew with `bake lock --update`; `--no-lock` \
             bakes without it",
        )
    }

    /// Compares a digest.
    ///
    /// # Errors
    /// [`Error::Verification`].
    pub fn same(&self, what: &str, pinned: Sha256, found: &str) -> Result<()> {
        if pinned.to_string() == found {
            return Ok(());
        }
        Err(self.differs(format!("{what} has sha256 {found}, and the lock says {pinned}")))
    }

    /// Compares a length.
    ///
    /// # Errors
    /// [`Error::Verification`].
    pub fn as_long(&self, what: &str, pinned: u64, found: u64) -> Result<()> {
        if pinned == found {
            return Ok(());
        }
        Err(self.differs(format!("{what} has {found} bytes, and the lock says {pinned}")))
    }

    /// That it is the lock of this profile.
    ///
    /// # Errors
    /// [`Error::Verification`].
    pub fn of_profile(&self, name: &str) -> Result<()> {
        let own = &self.lock.profile;
        if own == name {
            return Ok(());
        }
        Err(self.differs(format!("it is the lock of profile {own}, and this is {name}")))
    }

    /// The base image, where it is the one that the profile names.
    ///
    /// # Errors
    /// [`Error::Verification`] where the profile names another.
    pub fn base(&self, image: &str) -> Result<&Base> {
        let base = &self.lock.base;
        if base.image == image {
            return Ok(base);
        }
        let pinned = &base.image;
        Err(self.differs(format!("the base image is {image}, and the lock says {pinned}")))
    }

    /// A part by name and release.
    ///
    /// # Errors
    /// [`Error::Verification`] where it is not in the lock, or in another version.
    pub fn part(&self, name: &str, version: Option<&str>) -> Result<&Part> {
        let Some(part) = self.lock.part(name) else {
            return Err(self.differs(format!("{name} is needed and not in the lock")));
        };
        match version {
            Some(wanted) if part.version.as_deref() != Some(wanted) => {
                let pinned = part.version.as_deref().unwrap_or("no version");
                Err(self.differs(format!("{name} is {wanted}, and the lock says {pinned}")))
            }
            _ => Ok(part),
        }
    }

    /// A file of the profile's, by its path on the host.
    ///
    /// # Errors
    /// [`Error::Verification`] where it is not in the lock.
    pub fn file(&self, path: &Path) -> Result<&OwnFile> {
        let path = own_path(self.path.parent().unwrap_or(Path::new("")), path);
        let found = self.lock.files.iter().find(|file| file.path == path);
        found.ok_or_else(|| self.differs(format!("{path} is not in the lock")))
    }

    /// The packages that must be installed for `wanted`, each with its batch.
    ///
    /// # Errors
    /// [`Error::Verification`] where the lock does not say.
    pub fn selection(&self, wanted: &[String]) -> Result<Vec<(u16, &Package)>> {
        let mut names = wanted.to_vec();
        names.sort();
        let Some(selection) = self.lock.selections.iter().find(|s| s.wanted == names) else {
            let names = names.join(", ");
            return Err(self.differs(format!("the packages {names} are not in the lock together")));
        };
        let mut packages = Vec::new();
        for (batch, names) in selection.batches.iter().enumerate() {
            let batch = u16::try_from(batch).unwrap_or(u16::MAX);
            for name in names {
                let package = self.lock.package(name).ok_or_else(|| {
                    self.differs(format!("it installs {name} and does not say what that is"))
                })?;
                packages.push((batch, package));
            }
        }
        Ok(packages)
    }
}

/// Whether the lock of a profile counts.
#[derive(Debug, Clone, Default)]
pub enum Use {
    /// It does not.
    #[default]
    Ignored,
    /// Where there is one.
    IfThere(PathBuf),
    /// There must be one.
    Required(PathBuf),
}

impl Use {
    /// The lock that counts.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there must be one, and those of [`Locked::read`].
    pub fn read(&self) -> Result<Option<Locked>> {
        match self {
            Self::Ignored => Ok(None),
            Self::IfThere(path) => Locked::read(path),
            Self::Required(path) => match Locked::read(path)? {
                Some(locked) => Ok(Some(locked)),
                None => {
                    let name = path.display().to_string();
                    Err(Error::NotFound { what: "lock", name }.hint("`bake lock` makes one"))
                }
            },
        }
    }
}

/// How a lock calls a file of the profile's: by its path from the profile's folder.
#[must_use]
pub fn own_path(folder: &Path, path: &Path) -> String {
    // `edge.yaml` and `./edge.yaml` are one profile.
    let plain = |path: &Path| -> PathBuf {
        path.components().filter(|part| *part != Component::CurDir).collect()
    };
    let (folder, path) = (plain(folder), plain(path));
    let inside = path.strip_prefix(folder).unwrap_or(&path);
    let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
    // The same on every system.
    parts.join("/")
}
