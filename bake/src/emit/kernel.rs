//! Copies without the bytes coming to this process: the kernel moves them from file to file.

use std::fs::File;

use super::Spec;
use super::raw::write_sparse;
use super::stream::{CHUNK, Job, Progress};
use crate::error::{IoContext, Result};
use crate::store::{BlockStore, Origin};
use crate::sys::file::{copy_range, has_holes, write_all_at};

/// Bytes copied between two looks at whether to go on.
const STEP: u64 = 8 << 20;

/// Copies what is in use. `false` where all of it is to be copied in another way: the kernel
/// cannot, or the base has no holes, so that zeros in it have yet to be looked for.
pub(super) fn copy(job: &Job<'_>, file: &File, spec: &Spec) -> Result<bool> {
    let base = job.image.base();
    let Some(from) = base.as_file().filter(|from| has_holes(from)) else { return Ok(false) };
    let mut progress = Progress { sink: job.sink, done: 0, told: 0 };
    let mut copied_any = false;
    for segment in job.used.ranges().iter().flat_map(|used| job.image.segments(used.clone())) {
        let mut rest = segment.range;
        match segment.origin {
            Origin::Zero => {}
            Origin::Memory(bytes) => {
                write_sparse(file, rest.start, bytes).at("writing", &spec.path)?;
                progress.advance(bytes.len() as u64);
            }
            Origin::Payload(..) => {
                let mut buffer = vec![0; CHUNK];
                while !rest.is_empty() {
                    job.cancel.check()?;
                    let len = (rest.end - rest.start).min(CHUNK as u64);
                    let part = &mut buffer[..usize::try_from(len).unwrap_or(CHUNK)];
                    job.image.read_at(rest.start, part).at("reading what goes into", &spec.path)?;
                    write_all_at(file, part, rest.start).at("writing", &spec.path)?;
                    rest.start += len;
                    progress.advance(len);
                }
            }
            Origin::Base => {
                while let Some(data) = base.next_data(rest.clone()) {
                    rest.start = data.end;
                    let mut at = data.start;
                    while at < data.end {
                        job.cancel.check()?;
                        let step = at..data.end.min(at + STEP);
                        match copy_range(from, file, step).at("copying to", &spec.path)? {
                            Some(len) => {
                                at += len;
                                progress.advance(len);
                            }
                            None if copied_any => {
                                return Err(std::io::Error::other("the kernel stopped copying"))
                                    .at("copying to", &spec.path);
                            }
                            None => return Ok(false),
                        }
                        copied_any = true;
                    }
                }
            }
        }
    }
    Ok(true)
}
