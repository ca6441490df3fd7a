//! The bytes of an image as a card gets them: what is not in use is zero, as in every output.

use std::ops::Range;

use super::Content;
use crate::error::{Error, IoContext, Result};
use crate::store::BlockStore;

/// Fills `buf` with the image from `at`; beyond its end there are zeros.
pub(super) fn fill(content: Content<'_>, at: u64, buf: &mut [u8]) -> Result<()> {
    let whole = at..(at + buf.len() as u64).min(content.image.len());
    let index = |offset: u64| usize::try_from(offset - at).unwrap_or(0);
    let mut done = at;
    for used in inside(content.used.ranges(), &whole) {
        buf[index(done)..index(used.start)].fill(0);
        content
            .image
            .read_at(used.start, &mut buf[index(used.start)..index(used.end)])
            .at("reading", "the image")
            .map_err(|e| Error::Context {
                doing: format!("composing bytes {} to {}", used.start, used.end),
                source: Box::new(e),
            })?;
        done = used.end;
    }
    buf[index(done)..].fill(0);
    Ok(())
}

/// The parts of ascending `ranges` that lie inside `within`.
fn inside<'a>(
    ranges: &'a [Range<u64>],
    within: &'a Range<u64>,
) -> impl Iterator<Item = Range<u64>> + 'a {
    let first = ranges.partition_point(|r| r.end <= within.start);
    ranges[first..]
        .iter()
        .take_while(|r| r.start < within.end)
        .map(|r| r.start.max(within.start)..r.end.min(within.end))
}
