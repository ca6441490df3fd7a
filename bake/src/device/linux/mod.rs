//! Linux: devices as sysfs and procfs tell of them (no text made for people is read).

mod dbus;
mod disk;
mod inuse;
mod permission;
mod sysfs;
mod udisks;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Cleared, Device, Platform, Transport};
use crate::error::{Error, IoContext, Result};
use inuse::InUse;

/// Block devices of this computer.
#[derive(Debug, Clone)]
pub struct Linux {
    /// What `/sys`, `/proc` and `/dev` are below.
    root: PathBuf,
}

impl Default for Linux {
    fn default() -> Self {
        Self::below("/")
    }
}

impl Linux {
    /// As if `root` were `/`: for looking at a copy of another computer's tree.
    #[must_use]
    pub fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn sys(&self) -> PathBuf {
        self.root.join("sys")
    }

    /// The kernel's name of the device that `path` names.
    fn name(&self, path: &Path) -> Result<String> {
        let target = fs::canonicalize(path).at("looking for", path)?;
        if self.root == Path::new("/") {
            use std::os::unix::fs::{FileTypeExt, MetadataExt};
            let metadata = fs::metadata(&target).at("examining", path)?;
            if !metadata.file_type().is_block_device() {
                return Err(not_a_device(path, "it is no block device"));
            }
            let (major, minor) =
                (rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev()));
            let link = self.sys().join(format!("dev/block/{major}:{minor}"));
            let folder = fs::canonicalize(&link).at("looking for", &link)?;
            return last(&folder).ok_or_else(|| not_a_device(path, "the kernel does not know it"));
        }
        last(&target).ok_or_else(|| not_a_device(path, "it has no name"))
    }
}

fn last(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_str()?.to_owned())
}

fn not_a_device(path: &Path, reason: &str) -> Error {
    let action = format!("write to {}", path.display());
    Error::Refused { action, reason: reason.into() }
        .hint("name a device such as /dev/sdb; an image file is written with `--out`")
}

impl Platform for Linux {
    fn list(&self) -> Result<Vec<Device>> {
        let folder = self.sys().join("block");
        let in_use = InUse::gather(&self.root);
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder).at("listing", &folder)? {
            let name = entry.at("listing", &folder)?.file_name();
            let Some(name) = name.to_str() else { continue };
            // What goes away while we look is not there.
            match sysfs::read(&self.root, name, &in_use) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                device => found.push(device.at("examining", folder.join(name))?),
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    fn look(&self, path: &Path) -> Result<Device> {
        let name = self.name(path)?;
        let in_use = InUse::gather(&self.root);
        sysfs::read(&self.root, &name, &in_use).at("examining", path)
    }

    fn open(&self, cleared: &Cleared) -> Result<Box<dyn Transport>> {
        Ok(Box::new(disk::Disk::open(cleared, &self.root)?))
    }
}
