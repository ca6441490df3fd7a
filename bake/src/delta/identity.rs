//! Which image a delta is for, whatever stands in it where nothing is in use.

use std::ops::Range;
use std::path::Path;

use crate::emit::InUse;
use crate::error::{Error, Result};
use crate::store::{BlockStore, Image, Origin, ReadAt};
use crate::sys::interrupt::Cancel;

/// Bytes read at a time: few enough to be hashed while they are in the processor's cache.
const STEP: usize = 256 * 1024;
static ZEROS: [u8; STEP] = [0; STEP];

/// What the image that is all of `source` is, in hexadecimal: the BLAKE3 of its length, and of each
/// range in use its start, its end and its bytes. Numbers are 8 bytes, little endian. Messages call
/// it `name`.
///
/// # Errors
/// Those of reading; [`Error::Interrupted`].
pub fn of_source(
    source: &dyn ReadAt,
    used: &InUse,
    name: &Path,
    cancel: &Cancel,
) -> Result<String> {
    let mut identity = Identity::new(source.len(), name, cancel);
    for range in used.ranges() {
        identity.begin(range);
        identity.stored(source, range.clone())?;
    }
    Ok(identity.finish())
}

/// The same of an image in layers.
///
/// # Errors
/// As [`of_source`].
pub fn of_image(image: &Image, used: &InUse, name: &Path, cancel: &Cancel) -> Result<String> {
    let mut identity = Identity::new(image.len(), name, cancel);
    for range in used.ranges() {
        identity.begin(range);
        for segment in image.segments(range.clone()) {
            let range = segment.range;
            match segment.origin {
                Origin::Base => identity.stored(&**image.base(), range)?,
                Origin::Memory(bytes) => {
                    identity.hash.update(bytes);
                }
                Origin::Payload(payload, from) => {
                    let end = from + (range.end - range.start);
                    identity.stored(&*payload.0, from..end)?;
                }
                Origin::Zero => identity.zeros(range.end - range.start),
            }
        }
    }
    Ok(identity.finish())
}

struct Identity<'a> {
    hash: blake3::Hasher,
    buffer: Vec<u8>,
    name: &'a Path,
    cancel: &'a Cancel,
}

impl<'a> Identity<'a> {
    fn new(len: u64, name: &'a Path, cancel: &'a Cancel) -> Self {
        let mut hash = blake3::Hasher::new();
        hash.update(&len.to_le_bytes());
        Self { hash, buffer: vec![0; STEP], name, cancel }
    }

    fn begin(&mut self, range: &Range<u64>) {
        self.hash.update(&range.start.to_le_bytes());
        self.hash.update(&range.end.to_le_bytes());
    }

    fn zeros(&mut self, mut len: u64) {
        while len > 0 {
            let part = len.min(STEP as u64);
            self.hash.update(&ZEROS[..usize::try_from(part).unwrap_or(STEP)]);
            len -= part;
        }
    }

    /// Takes `range` of `source`; its holes are not read.
    fn stored(&mut self, source: &dyn ReadAt, mut range: Range<u64>) -> Result<()> {
        while !range.is_empty() {
            let data = source.next_data(range.clone()).unwrap_or(range.end..range.end);
            self.zeros(data.start - range.start);
            range.start = data.start;
            while range.start < data.end {
                self.cancel.check()?;
                let len = (data.end - range.start).min(STEP as u64);
                let part = &mut self.buffer[..usize::try_from(len).unwrap_or(STEP)];
                let read = source.read_at(range.start, part);
                read.map_err(|e| Error::io("reading", self.name, e))?;
                self.hash.update(part);
                range.start += len;
            }
        }
        Ok(())
    }

    fn finish(self) -> String {
        self.hash.finalize().to_hex().to_string()
    }
}
