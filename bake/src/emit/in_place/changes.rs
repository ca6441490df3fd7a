//! Which bytes of a base change, and what stands there.

use std::ops::Range;

use super::super::Spec;
use super::super::stream::{CHUNK, Job};
use crate::error::{IoContext, Result};
use crate::store::{BlockStore, Origin};

/// What is compared at a time.
const BLOCK: u64 = 4096;

/// Bytes that become others. They may be secrets: never printed.
pub(super) struct Change {
    pub at: u64,
    pub old: Vec<u8>,
    pub new: Vec<u8>,
}

/// Everything in which the image is not its base, ascending: what layers have changed, and what
/// nobody uses but is not zero. `None` where that is more than `most` bytes.
pub(super) fn of(job: &Job<'_>, spec: &Spec, most: u64) -> Result<Option<Vec<Change>>> {
    let mut found = Found { changes: Vec::new(), bytes: 0 };
    let mut ranges = candidates(job);
    ranges.sort_by_key(|(range, _)| range.start);
    for (mut rest, used) in ranges {
        while !rest.is_empty() {
            job.cancel.check()?;
            let len = (rest.end - rest.start).min(CHUNK as u64 - rest.start % BLOCK);
            let mut old = vec![0; usize::try_from(len).unwrap_or(CHUNK)];
            let mut new = old.clone();
            job.image.base().read_at(rest.start, &mut old).at("reading", &spec.path)?;
            if used {
                let read = job.image.read_at(rest.start, &mut new);
                read.at("reading what goes into", &spec.path)?;
            }
            found.compare(rest.start, &old, &new);
            if found.bytes > most {
                return Ok(None);
            }
            rest.start += len;
        }
    }
    Ok(Some(found.changes))
}

/// Ranges that may differ, and whether they are in use: the others become zero.
fn candidates(job: &Job<'_>) -> Vec<(Range<u64>, bool)> {
    let base = job.image.base();
    let mut ranges = Vec::new();
    let mut with_data = |mut rest: Range<u64>| {
        while let Some(data) = (!rest.is_empty()).then(|| base.next_data(rest.clone())).flatten() {
            rest.start = data.end;
            ranges.push((data, false));
        }
    };
    job.used.free(job.image.len()).for_each(&mut with_data);
    let segments = || job.used.ranges().iter().flat_map(|used| job.image.segments(used.clone()));
    segments().filter(|s| matches!(s.origin, Origin::Zero)).for_each(|s| with_data(s.range));
    for segment in segments() {
        if matches!(segment.origin, Origin::Memory(_) | Origin::Payload(..)) {
            ranges.push((segment.range, true));
        }
    }
    ranges
}

struct Found {
    changes: Vec<Change>,
    bytes: u64,
}

impl Found {
    fn compare(&mut self, start: u64, old: &[u8], new: &[u8]) {
        let mut from = 0;
        while from < old.len() {
            let at = start + from as u64;
            let len = usize::try_from(BLOCK - at % BLOCK).unwrap_or(usize::MAX);
            let to = (from + len).min(old.len());
            if old[from..to] != new[from..to] {
                self.push(at, &old[from..to], &new[from..to]);
            }
            from = to;
        }
    }

    fn push(&mut self, at: u64, old: &[u8], new: &[u8]) {
        self.bytes += old.len() as u64;
        match self.changes.last_mut() {
            Some(last) if last.at + last.old.len() as u64 == at => {
                last.old.extend_from_slice(old);
                last.new.extend_from_slice(new);
            }
            _ => self.changes.push(Change { at, old: old.to_vec(), new: new.to_vec() }),
        }
    }
}
