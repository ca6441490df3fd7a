//! Finds the device binary for the node's architecture.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::arch::Arch;
use crate::error::{Error, IoContext, Result};
use crate::recipe::traits::{HEADER, of_elf};

/// How `ci/build-firstboot` names its folders.
fn machine(arch: Arch) -> &'static str {
    match arch {
        Arch::Arm64 => "aarch64",
        Arch::Armhf => "armv7",
        Arch::Amd64 => "x86_64",
    }
}

pub(super) fn find(given: Option<&Path>, arch: Arch) -> Result<PathBuf> {
    let path = match given {
        Some(path) => path.to_owned(),
        None => installed(arch)?,
    };
    let mut header = Vec::new();
    let file = File::open(&path).at("opening", &path)?;
    file.take(HEADER as u64).read_to_end(&mut header).at("reading", &path)?;
    match of_elf(&header) {
        Some(found) if found == arch => Ok(path),
        Some(other) => Err(Error::Usage(format!(
            "firstboot {} is a program for {other}, and the image is {arch}",
            path.display()
        ))),
        None => Err(Error::Usage(format!(
            "firstboot {} is no program for arm64, armhf or amd64",
            path.display()
        ))),
    }
}

/// Beside this program as released, or where the workspace's script puts it.
fn installed(arch: Arch) -> Result<PathBuf> {
    let me = std::env::current_exe().at("finding", "the path of this program")?;
    let beside = me.parent().unwrap_or(Path::new("/"));
    let released = beside.join(format!("firstboot-{arch}"));
    let built = beside.join("..").join("firstboot").join(machine(arch)).join("firstboot");
    for path in [&released, &built] {
        if path.is_file() {
            return Ok(path.clone());
        }
    }
    let missing = Error::NotFound {
        what: "firstboot, the device binary",
        name: format!("{} or {}", released.display(), built.display()),
    };
    Err(missing.hint(format!(
        "build it with `ci/build-firstboot {}`, or name it with `--firstboot FILE`",
        machine(arch)
    )))
}
