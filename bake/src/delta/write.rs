//! Making a delta from a node's layers.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

use super::header::{Extent, Golden, Header, LONGEST, Subject};
use crate::emit::InUse;
use crate::store::{BlockStore, Image};

/// Changes are widened to blocks of this size, so that neighbours become one extent.
const BLOCK: u64 = 4096;
/// zstd's own default.
const LEVEL: i32 = 3;

/// Writes what turns the image `golden` into `image`, whose working layer is all that was changed
/// since, and of which `used` is in use.
///
/// # Errors
/// Those of reading the image and of writing to `out`.
pub fn write(
    node: Subject,
    golden: Golden,
    image: &Image,
    used: &InUse,
    out: &mut dyn Write,
) -> io::Result<()> {
    let golden_used = golden.used();
    let changed = image.work().into_iter();
    let blocks = changed.map(|r| r.start / BLOCK * BLOCK..r.end.next_multiple_of(BLOCK));
    // What the golden image does not have is not there to be relied on, whoever wrote it.
    let changed = InUse::of(blocks, golden.len).or(&used.without(&golden_used)).and(used);
    let freed = golden_used.without(used);
    let mut extents = Vec::new();
    let mut buffer = vec![0; usize::try_from(LONGEST).unwrap_or(0)];
    each_piece(&changed, &mut buffer, image, |at, bytes| {
        let sha256 = Some(hex::encode(Sha256::digest(bytes)));
        extents.push(Extent { at, len: bytes.len() as u64, sha256 });
        Ok(())
    })?;
    let free =
        |r: &std::ops::Range<u64>| Extent { at: r.start, len: r.end - r.start, sha256: None };
    extents.extend(freed.ranges().iter().map(free));
    extents.sort_by_key(|extent| extent.at);
    out.write_all(&Header { node, golden, extents }.encode()?)?;
    let mut payload = zstd::Encoder::new(out, LEVEL)?;
    payload.include_checksum(true)?;
    payload.set_pledged_src_size(Some(changed.bytes()))?;
    each_piece(&changed, &mut buffer, image, |_, bytes| payload.write_all(bytes))?;
    payload.finish()?.flush()
}

fn each_piece(
    ranges: &InUse,
    buffer: &mut [u8],
    image: &Image,
    mut take: impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    for range in ranges.ranges() {
        let mut at = range.start;
        while at < range.end {
            let len = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(buffer.len());
            image.read_at(at, &mut buffer[..len])?;
            take(at, &buffer[..len])?;
            at += len as u64;
        }
    }
    Ok(())
}
