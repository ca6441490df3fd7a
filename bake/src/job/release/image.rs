//! One image of a release, with what lies beside it.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::Made;
use super::os_list::Listed;
use crate::emit::Spec;
use crate::error::{Error, IoContext, Result};
use crate::event::{Event, Sink};
use crate::io::digest::Sha256;
use crate::io::remove::remove;
use crate::job::build::{Golden, documents};
use crate::job::open::{Opened, lock};
use crate::provenance::attestation::SUFFIX;
use crate::provenance::{Attestation, role};
use crate::store::BlockStore;
use crate::sys::interrupt::Cancel;

/// What was made.
pub(in crate::job) struct Put {
    pub made: Made,
    pub listed: Listed,
    /// Every file by name, with its digest.
    pub files: Vec<(String, String)>,
}

/// What is known of an image file.
struct Known {
    bytes: u64,
    sha256: String,
    image_sha256: String,
}

/// Writes `golden` to `path`, unless that is what stands there.
pub(in crate::job) fn put(
    golden: &Golden,
    path: &Path,
    sink: &dyn Sink,
    cancel: &Cancel,
) -> Result<Put> {
    let image = lock(golden.image()).fork();
    let image_bytes = image.len();
    let bmap = documents::beside(path, ".bmap");
    let mut spec = Spec { force: true, public: true, bmap: Some(bmap), ..Spec::new(path) };
    let there = unchanged(golden, path);
    let kept = there.is_some();
    let known = match there {
        Some(known) => {
            sink.emit(Event::Note { message: format!("{} is unchanged", path.display()) });
            known
        }
        None => {
            let emitted = golden.emit(&spec, sink, cancel)?;
            let opened = Opened::new(path, Arc::new(Mutex::new(image)))?;
            let written = documents::write(opened.root()?, golden.record(), &emitted, &spec)?;
            // Those of another image that was here.
            for old in documents::all_beside(path).filter(|old| !written.contains(old)) {
                remove(&old)?;
            }
            let digest = |found: Option<String>| {
                found.ok_or_else(|| Error::Usage("a release cannot be made without digests".into()))
            };
            Known {
                bytes: emitted.bytes,
                sha256: digest(emitted.sha256)?,
                image_sha256: digest(emitted.image_sha256)?,
            }
        }
    };
    let file = documents::name(path);
    let mut files = vec![(file.clone(), known.sha256.clone())];
    let documents = documents::all_beside(path).filter(|_| golden.record().has_sbom());
    for beside in documents.chain(spec.bmap.take()) {
        let opened = File::open(&beside).at("opening", &beside)?;
        let (sha256, _) = Sha256::of_reader(opened).at("reading", &beside)?;
        files.push((documents::name(&beside), sha256.to_string()));
    }
    let record = golden.record();
    let listed = Listed {
        profile: record.node.profile.clone(),
        role: role(record.node.role).into(),
        arch: golden.stock().base().traits.architecture,
        os: record.base.os.clone(),
        file: file.clone(),
        bytes: known.bytes,
        sha256: known.sha256.clone(),
        image_bytes,
        image_sha256: known.image_sha256,
        time: record.time,
    };
    let made = Made { file, bytes: known.bytes, image_bytes, sha256: known.sha256, kept };
    Ok(Put { made, listed, files })
}

/// What stands at `path`, where the attestation beside it says that it was made from the same, and
/// it still is what that says. Of a base image whose digest nobody knows, nothing can be told.
fn unchanged(golden: &Golden, path: &Path) -> Option<Known> {
    let record = golden.record();
    record.base.sha256.as_ref()?;
    let beside = documents::beside(path, SUFFIX);
    let text = std::fs::read(&beside).ok()?;
    let there = Attestation::parse(&beside.display().to_string(), &text).ok()?;
    if there.predicate != Attestation::new(record, Vec::new()).predicate {
        return None;
    }
    let complete = documents::all_beside(path).chain([documents::beside(path, ".bmap")]);
    if !complete.into_iter().all(|file| file.is_file()) {
        return None;
    }
    let digest = |index: usize| there.subject.get(index)?.sha256().map(str::to_owned);
    let (sha256, image_sha256) = (digest(0)?, digest(1)?);
    let (found, bytes) = Sha256::of_reader(File::open(path).ok()?).ok()?;
    (found.to_string() == sha256).then_some(Known { bytes, sha256, image_sha256 })
}
