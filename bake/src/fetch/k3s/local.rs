//! A K3s program or a bundle of images that the user has already.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::elf::{self, Program};
use crate::arch::Arch;
use crate::error::{Error, IoContext, Result};
use crate::event::{Event, Sink};
use crate::fetch::Verified;
use crate::fetch::base::open_regular;
use crate::io::decompress::{self, Format, Refused};
use crate::io::digest::Sha256;

/// What a file given with `--k3s` must be.
#[derive(Debug, Clone, Copy)]
pub struct Local<'a> {
    /// The file.
    pub path: &'a Path,
    /// The node's architecture.
    pub arch: Arch,
    /// The profile's pin.
    pub pin: Option<Sha256>,
}

/// The program given with `--k3s`, checked against the pin and the node's architecture.
///
/// A script passes with a warning: stand-ins for tests are scripts.
///
/// # Errors
/// [`Error::Verification`] where the pin or the architecture does not fit, [`Error::Io`].
pub fn local_binary(wanted: Local<'_>, sink: &dyn Sink) -> Result<Verified<File>> {
    let Local { path, arch, pin } = wanted;
    let file = open_regular(path)?;
    match elf::examine(&file, path)? {
        Program::Script => sink.emit(Event::Warning {
            message: format!("{} is a script, not K3s: fit for tests only", path.display()),
        }),
        _ => elf::require(&file, path, arch)?,
    }
    verified(file, path, pin)
}

/// The bundle of images given by the user, and the name it must have for K3s.
///
/// # Errors
/// As [`images_name`].
pub fn local_images(path: &Path, arch: Arch) -> Result<(String, Verified<File>)> {
    let file = open_regular(path)?;
    let name = images_name(&file, path, arch)?;
    Ok((name, verified(file, path, None)?))
}

/// The name that a bundle of images must have for K3s: a tar archive, plain, gzip or Zstandard.
///
/// # Errors
/// [`Error::Verification`] where it is no such archive, [`Error::Io`].
pub fn images_name(mut file: &File, path: &Path, arch: Arch) -> Result<String> {
    let suffix = match decompress::detect_at_start(&mut file).at("reading", path)? {
        Format::Zstd => "tar.zst",
        Format::Gzip => "tar.gz",
        Format::Refused(Refused::Tar) => "tar",
        other => {
            let what = path.display().to_string();
            let reason = format!("it is {other}, and K3s takes .tar, .tar.gz and .tar.zst");
            return Err(Error::Verification { what, reason });
        }
    };
    Ok(format!("k3s-airgap-images-{}.{suffix}", super::short(arch)))
}

fn verified(file: File, path: &Path, pin: Option<Sha256>) -> Result<Verified<File>> {
    let (sha256, len) = Sha256::of_reader(&file).at("reading", path)?;
    if let Some(pin) = pin.filter(|pin| *pin != sha256) {
        let what = path.display().to_string();
        let reason = format!("its sha256 is {sha256}, and the profile pins {pin}");
        return Err(Error::Verification { what, reason });
    }
    Ok(Verified::new(file, PathBuf::from(path), sha256, len))
}
