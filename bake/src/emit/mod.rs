//! Outputs: sparse and reflinked raw files, compressed images, block maps; whole or not at all.
//! And cards ([`card`]), which have a partition table only once they are whole.
//!
//! An output appears under its name only when all of it is on disk. Blocks that no file system
//! uses are holes (zeros in compressed outputs), whichever way the rest is written, so the bytes
//! do not depend on what the host can do.

mod bmap;
pub mod card;
mod compress;
mod digest;
pub mod in_place;
mod in_use;
mod kernel;
mod output;
mod raw;
mod stream;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Error, IoContext, Result};
use crate::event::{Event, Sink, Unit};
use crate::io::remove::remove;
use crate::store::{BlockStore, Image};
use crate::sys::{self, interrupt::Cancel};
use crate::units::human;

pub use in_use::InUse;
pub use output::{Output, link};

/// The step name of every event from here.
const STEP: &str = "emit";

/// How an image file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Sparse raw file.
    Raw,
    /// Zstandard, multi-threaded.
    Zstd,
    /// xz, multi-threaded, one block each 24 MiB.
    Xz,
    /// gzip.
    Gzip,
}

impl Format {
    /// By suffix: `.zst`, `.xz`, `.gz`, else raw.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        match path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("zst" | "zstd") => Self::Zstd,
            Some("xz") => Self::Xz,
            Some("gz") => Self::Gzip,
            _ => Self::Raw,
        }
    }
}

/// What is to be written, and where.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The image file. It is created with mode 0600: nodes carry secrets.
    pub path: PathBuf,
    /// Whether everybody may read it all the same: it carries none.
    pub public: bool,
    /// How it is written; [`Format::of`] the path, usually.
    pub format: Format,
    /// Whether an existing regular file is replaced.
    pub force: bool,
    /// Whether the sha256 of the image is taken. Every byte, holes included, goes through the
    /// hash: about half a second for each GiB on a processor with SHA instructions.
    pub digest: bool,
    /// Where to write a block map (version 2.0), if at all.
    pub bmap: Option<PathBuf>,
    /// Whether to wait until the disk has it, so that a power cut cannot leave a name without
    /// content. A file that is replaced is always waited for.
    pub sync: bool,
    /// Whether blocks of the base may be shared with the output where the file system can.
    pub reflink: bool,
    /// Whether the base may become the output, where it lies under that name ([`in_place`]).
    pub in_place: bool,
    /// Whether other work fills the processors meanwhile. The kernel then copies, which takes the
    /// least of them; else one thread reads while another writes, which is sooner done.
    pub crowded: bool,
}

impl Spec {
    /// Writes `path` in the format of its suffix, with digest, without block map or overwriting.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let format = Format::of(&path);
        Self {
            path,
            public: false,
            format,
            force: false,
            digest: true,
            bmap: None,
            sync: true,
            reflink: true,
            in_place: false,
            crowded: false,
        }
    }
}

/// A file that lies beside an output and tells about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// What its name has after the output's.
    pub suffix: &'static str,
    /// What it holds; `None` where there is none, so that one of an earlier output is not true.
    pub text: Option<Vec<u8>>,
}

impl Beside {
    /// Where it lies.
    #[must_use]
    pub fn path(&self, output: &Path) -> PathBuf {
        beside(output, self.suffix)
    }
}

/// The name of an output with something after it: `node1.img.spdx.json` and the like.
#[must_use]
pub fn beside(output: &Path, suffix: &str) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// What is to lie beside an output with these SHA-256, of the file and of the image in it.
pub type Tell<'t> = dyn Fn(Option<&str>, Option<&str>) -> Vec<Beside> + 't;

/// How the bytes of an output came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Blocks are shared with the base; only changes were written.
    Reflink,
    /// Blocks in use were copied.
    Copy,
    /// The base became the output: only changes were written.
    InPlace,
    /// The image was compressed.
    Compress,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitted {
    /// The output file.
    pub path: PathBuf,
    /// Length of the output file in bytes.
    pub bytes: u64,
    /// Length of the image in bytes: `bytes`, unless compressed.
    pub image_bytes: u64,
    /// Bytes of the image that are in use.
    pub used_bytes: u64,
    /// sha256 of the output file, hexadecimal, if it was asked for.
    pub sha256: Option<String>,
    /// sha256 of the image, hexadecimal, if it was asked for: `sha256`, unless compressed.
    pub image_sha256: Option<String>,
    /// How it was written.
    pub method: Method,
}

/// Checks, before any work is done, that `spec` can be written: the folder is there, nothing is
/// overwritten unasked, and the target is no device, folder or pipe.
///
/// # Errors
/// [`Error::Refused`], [`Error::Usage`], or [`Error::Io`] about the folder.
pub fn preflight(spec: &Spec) -> Result<()> {
    output::check_target(&spec.path, spec.force)?;
    if let Some(bmap) = &spec.bmap {
        output::check_target(bmap, spec.force)?;
    }
    Ok(())
}

/// Writes `image`, of which `used` is in use, as `spec` says.
///
/// # Errors
/// Those of [`preflight`]; [`Error::Io`] where reading or writing fails, with the space needed
/// and free where the disk is full; [`Error::Interrupted`]. In all of them no output appears and
/// what stood under the name stays.
pub fn emit(
    image: &Image,
    used: &InUse,
    spec: &Spec,
    sink: &dyn Sink,
    cancel: &Cancel,
) -> Result<Emitted> {
    emit_with(image, used, spec, &|_, _| Vec::new(), sink, cancel)
}

/// As [`emit`], with what is to lie beside the output. Where that is the base of before, which
/// nobody can make again from what it has become, the files beside it are there before it is.
///
/// # Errors
/// As [`emit`]; where one of the files beside it cannot be written.
pub fn emit_with(
    image: &Image,
    used: &InUse,
    spec: &Spec,
    tell: &Tell<'_>,
    sink: &dyn Sink,
    cancel: &Cancel,
) -> Result<Emitted> {
    preflight(spec)?;
    let title = format!("Writing {}", spec.path.display());
    let total = Some(used.bytes());
    sink.emit(Event::Started { step: STEP, title, total, unit: Unit::Bytes });
    let output = create(&spec.path, spec)?;
    let job = stream::Job { image, used, sink, cancel };
    let written = match spec.format {
        Format::Raw => raw::write(&job, spec, tell, &output),
        format => compress::write(&job, spec, format, &output),
    };
    let written = written.map_err(|e| explain_full_disk(e, spec, used.bytes()))?;
    let in_place = written.method == Method::InPlace;
    let bytes = if in_place { image.len() } else { output.len()? };
    let bmap = match (&spec.bmap, written.bmap) {
        (Some(path), Some(ranges)) => {
            let staged = create(path, spec)?;
            bmap::write(&staged, image.len(), &ranges)?;
            Some(staged)
        }
        _ => None,
    };
    if !in_place {
        cancel.check()?;
        let files = tell(written.sha256.as_deref(), written.image_sha256.as_deref());
        let put = || {
            files.iter().try_for_each(|file| put_beside(file, spec))?;
            bmap.map_or(Ok(()), |bmap| bmap.publish(spec.sync))
        };
        let published = match spec.in_place {
            true => put().and_then(|()| output.publish(spec.sync)),
            false => output.publish(spec.sync).and_then(|()| put()),
        };
        published.map_err(|e| explain_full_disk(e, spec, used.bytes()))?;
    }
    let detail = match &written.sha256 {
        Some(sha256) => format!("{}, sha256 {sha256}", human(bytes)),
        None => human(bytes),
    };
    sink.emit(Event::Finished { step: STEP, detail });
    Ok(Emitted {
        path: spec.path.clone(),
        bytes,
        image_bytes: image.len(),
        used_bytes: used.bytes(),
        sha256: written.sha256,
        image_sha256: written.image_sha256,
        method: written.method,
    })
}

/// Writes `image` into a file of `folder` that has no name, for outputs there to share blocks with;
/// `None` where the file system shares none.
///
/// # Errors
/// [`Error::Io`] where reading or writing fails; [`Error::Interrupted`].
pub fn scratch(
    image: &Image,
    used: &InUse,
    folder: &Path,
    sink: &dyn Sink,
    cancel: &Cancel,
) -> Result<Option<File>> {
    let pair = (sys::file::unnamed(folder), sys::file::unnamed(folder));
    let (Some(file), Some(probe)) = pair else { return Ok(None) };
    sys::file::write_all_at(&file, &[1; 4096], 0).at("writing in", folder)?;
    if !sys::file::reflink(&file, &probe).at("sharing blocks in", folder)? {
        return Ok(None);
    }
    let spec = Spec { digest: false, ..Spec::new(folder.join("golden.img")) };
    let title = "Writing what all nodes of a role share".into();
    let total = Some(used.bytes());
    sink.emit(Event::Started { step: STEP, title, total, unit: Unit::Bytes });
    file.set_len(0).at("writing in", folder)?;
    file.set_len(image.len()).at("extending a file in", folder)?;
    raw::copy(&stream::Job { image, used, sink, cancel }, &file, &spec)
        .map_err(|e| explain_full_disk(e, &spec, used.bytes()))?;
    let detail = "each node's image shares its blocks".into();
    sink.emit(Event::Finished { step: STEP, detail });
    Ok(Some(file))
}

/// Writes a file beside an output; one that is no longer true goes with the image it told about.
fn put_beside(file: &Beside, spec: &Spec) -> Result<()> {
    let path = file.path(&spec.path);
    let Some(text) = &file.text else {
        if !spec.force {
            return Ok(());
        }
        return remove(&path);
    };
    let output = create(&path, spec)?;
    output.file().write_all(text).at("writing", &path)?;
    output.publish(spec.sync)
}

fn create(path: &Path, spec: &Spec) -> Result<Output> {
    let output = Output::create(path, spec.force)?;
    if spec.public {
        output.publicise()?;
    }
    Ok(output)
}

/// What the writers of all formats hand back.
struct Written {
    method: Method,
    sha256: Option<String>,
    image_sha256: Option<String>,
    bmap: Option<Vec<digest::MappedRange>>,
}

/// Names the space needed and the space free where a disk filled up.
fn explain_full_disk(error: Error, spec: &Spec, used: u64) -> Error {
    let full = matches!(&error, Error::Io { source, .. } if matches!(
        source.kind(),
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
    ));
    if !full {
        return error;
    }
    let folder = output::folder(&spec.path);
    let about = if spec.format == Format::Raw { "about" } else { "at most" };
    let free = crate::sys::file::free_space(folder)
        .map_or_else(String::new, |free| format!(", of which {} are free", human(free)));
    let needed = human(used);
    error.hint(format!(
        "the output needs {about} {needed} on the file system of {}{free}",
        folder.display()
    ))
}

#[cfg(test)]
mod tests;
