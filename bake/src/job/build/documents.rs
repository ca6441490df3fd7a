//! SBOMs and the attestation beside an output.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::workshop::Planned;
pub use crate::emit::beside;
use crate::emit::{self, Beside, Emitted, Output, Spec};
use crate::error::{IoContext, Result};
use crate::fs::root::Root;
use crate::provenance::attestation::{self, Resource};
use crate::provenance::sbom::{self, Sbom};
use crate::provenance::{Attestation, Record};
use crate::recipe::{Action, Scope, Source};

/// No SBOM is larger: a full desktop's is 2 MB.
const LIMIT: u64 = 64 << 20;

/// What lies beside an output: where it is in the image, and the end of its name.
const SBOMS: [(&str, &str); 2] = [(sbom::SPDX, ".spdx.json"), (sbom::CYCLONEDX, ".cdx.json")];

/// The documents of an output whose digest was taken.
pub fn all_beside(out: &Path) -> impl Iterator<Item = PathBuf> {
    let suffixes = SBOMS.iter().map(|(_, suffix)| *suffix).chain([attestation::SUFFIX]);
    suffixes.map(move |suffix| beside(out, suffix))
}

/// Checks, before any work is done, that the output and its documents can be written.
///
/// # Errors
/// As [`emit::preflight`].
pub fn preflight(out: &Spec) -> Result<()> {
    emit::preflight(out)?;
    let suffixes = SBOMS.iter().map(|(_, suffix)| *suffix);
    for suffix in suffixes.chain(out.digest.then_some(attestation::SUFFIX)) {
        emit::preflight(&Spec { bmap: None, path: beside(&out.path, suffix), ..out.clone() })?;
    }
    Ok(())
}

/// Writes what the image in `root` and its record tell about `emitted`; nothing for an image that
/// was baked without SBOMs. Returns the files.
///
/// # Errors
/// What reading the image and writing fail with.
pub fn write(root: &Root, record: &Record, emitted: &Emitted, out: &Spec) -> Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for Beside { suffix, text } in inside(root, record)? {
        if let Some(text) = text {
            written.push(place(beside(&out.path, suffix), &text, out)?);
        }
    }
    written.extend(attest(record, emitted, out)?);
    Ok(written)
}

/// The bills in `root`, to lie beside it; none for an image that was baked without SBOMs.
///
/// # Errors
/// What reading the image fails with.
pub fn inside(root: &Root, record: &Record) -> Result<Vec<Beside>> {
    let bill = |(inside, suffix): (&str, &'static str)| -> Result<Beside> {
        let text = match record.has_sbom() {
            true => Some(root.read(inside.as_bytes(), LIMIT)?.unwrap_or_default()),
            false => None,
        };
        Ok(Beside { suffix, text })
    };
    SBOMS.into_iter().map(bill).collect()
}

/// What `record` tells about an output at `path` with these SHA-256, of the file and of the image in
/// it; nothing where they were not taken, or for what was baked without SBOMs.
#[must_use]
pub fn attestation(
    record: &Record,
    path: &Path,
    sha256: Option<&str>,
    image_sha256: Option<&str>,
) -> Beside {
    let text = sha256.filter(|_| record.has_sbom()).map(|sha256| {
        let mut subject = vec![Resource::new(name(path), sha256)];
        if let Some(image) = image_sha256.filter(|image| *image != sha256) {
            subject.push(Resource::new(name(&path.with_extension("")), image));
        }
        Attestation::new(record, subject).to_json().into_bytes()
    });
    Beside { suffix: attestation::SUFFIX, text }
}

/// Writes what `record` tells about `emitted`, where its digest was taken; nothing for what was
/// baked without SBOMs.
///
/// # Errors
/// What writing fails with.
pub fn attest(record: &Record, emitted: &Emitted, out: &Spec) -> Result<Option<PathBuf>> {
    let (sha256, image) = (emitted.sha256.as_deref(), emitted.image_sha256.as_deref());
    let Beside { suffix, text } = attestation(record, &out.path, sha256, image);
    text.map(|text| place(beside(&out.path, suffix), &text, out)).transpose()
}

/// Writes what `record` tells about `subject`, beside `out`.
///
/// # Errors
/// What writing fails with.
pub fn attest_to(record: &Record, subject: Vec<Resource>, out: &Spec) -> Result<PathBuf> {
    let text = Attestation::new(record, subject).to_json();
    place(beside(&out.path, attestation::SUFFIX), text.as_bytes(), out)
}

/// Writes the bills of a golden image, for it and for the deltas that are for it.
///
/// # Errors
/// What writing fails with.
pub fn write_bills(planned: &Planned, golden: &Spec) -> Result<()> {
    for (suffix, text) in bills(planned) {
        place(beside(&golden.path, suffix), &text?, golden)?;
    }
    Ok(())
}

/// Puts the bills of `golden` beside the output of a node that shares its layer: the same bytes,
/// and where the file system can the same files.
///
/// # Errors
/// What writing fails with.
pub fn share_bills(planned: &Planned, golden: &Path, out: &Spec) -> Result<()> {
    for (suffix, text) in bills(planned) {
        let path = beside(&out.path, suffix);
        if !emit::link(&beside(golden, suffix), &path)? {
            place(path, &text?, out)?;
        }
    }
    Ok(())
}

/// The bills among the edits, each with the end of its name.
fn bills(planned: &Planned) -> impl Iterator<Item = (&'static str, Result<Vec<u8>>)> {
    planned.recipe.of(Scope::Shared).filter_map(|edit| {
        let Action::Write { path, source: Source::Material(bill), .. } = &edit.action else {
            return None;
        };
        let (_, suffix) = SBOMS.iter().find(|(inside, _)| inside == path)?;
        let mut text = vec![0; usize::try_from(bill.payload.0.len()).unwrap_or(0)];
        let read = bill.payload.0.read_at(0, &mut text).at("reading", path);
        Some((*suffix, read.map(|()| text)))
    })
}

/// The bills in an image that has them.
///
/// # Errors
/// What reading the image fails with.
pub fn read(root: &Root) -> Result<Sbom> {
    let text = |path: &str| -> Result<String> {
        let bytes = root.read(path.as_bytes(), LIMIT)?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok(Sbom { spdx: text(sbom::SPDX)?, cyclonedx: text(sbom::CYCLONEDX)? })
}

fn place(path: PathBuf, text: &[u8], out: &Spec) -> Result<PathBuf> {
    let output = Output::create(&path, out.force)?;
    if out.public {
        output.publicise()?;
    }
    output.file().write_all(text).at("writing", &path)?;
    output.publish(out.sync)?;
    Ok(path)
}

/// Name of a file, for lists.
#[must_use]
pub fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
