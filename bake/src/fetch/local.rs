//! Digests of the user's own files, computed once and remembered while the file stays the same.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Fetcher;
use super::entry::Times;
use crate::error::{IoContext, Result};
use crate::event::{Event, Unit};
use crate::io::digest::{Hasher, Sha256};

const STEP: &str = "hash";

/// What a file was when its digest was computed, the way git(1) recognises a file: its time of change cannot be set back.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    path: String,
    len: u64,
    #[serde(flatten)]
    times: Times,
    sha256: Sha256,
}

/// Digest and length of an open file of the user's.
pub(super) fn digest(
    fetcher: &Fetcher<'_>,
    path: &Path,
    file: &File,
    name: &str,
) -> Result<(Sha256, u64)> {
    let metadata = file.metadata().at("examining", path)?;
    let times = Times::of(&metadata);
    let absolute = std::path::absolute(path).at("examining", path)?.display().to_string();
    let memo = fetcher.cache.seen()?.join(format!("{}.json", Sha256::of(absolute.as_bytes())));
    let known: Option<Seen> =
        fs::read(&memo).ok().and_then(|text| serde_json::from_slice(&text).ok());
    if let Some(seen) = known
        && (seen.path.as_str(), seen.len, seen.times) == (&absolute, metadata.len(), times)
    {
        return Ok((seen.sha256, seen.len));
    }
    let (sha256, len) = hash(fetcher, path, file, name)?;
    let seen = Seen { path: absolute, len, times, sha256 };
    if let Ok(text) = serde_json::to_vec(&seen) {
        // Only a memory: without it the file is read again.
        drop(fs::write(&memo, text));
    }
    Ok((sha256, len))
}

/// Digest and length of an open file, every byte read, with progress.
pub(super) fn hash(
    fetcher: &Fetcher<'_>,
    path: &Path,
    mut file: &File,
    name: &str,
) -> Result<(Sha256, u64)> {
    fetcher.sink.emit(Event::Started {
        step: STEP,
        title: format!("Reading {name}"),
        total: Some(file.metadata().at("examining", path)?.len()),
        unit: Unit::Bytes,
    });
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 1 << 20];
    let mut len = 0;
    loop {
        fetcher.options.cancel.check()?;
        let n = file.read(&mut buffer).at("reading", path)?;
        if n == 0 {
            break;
        }
        hasher.update(&buffer[..n]);
        len += n as u64;
        fetcher.sink.emit(Event::Progress { step: STEP, done: len });
    }
    let sha256 = hasher.finish();
    fetcher.sink.emit(Event::Finished { step: STEP, detail: format!("sha256 {sha256}") });
    Ok((sha256, len))
}
