//! Reading back: one thread reads past every cache, another hashes.

use std::ops::Range;
use std::sync::mpsc::sync_channel;

use super::Stage;
use super::pieces::CHUNK;
use super::write::{BUFFERS, Sum, Sums, length};
use crate::device::{Fault, Transport, read_all};
use crate::io::digest::Sha256;
use crate::sys::aligned::Buffer;
use crate::sys::interrupt::Cancel;

/// Compares everything that was written; the number of bytes.
pub(super) fn verify(
    sums: &Sums,
    card: &mut dyn Transport,
    cancel: &Cancel,
    progress: &mut dyn FnMut(Stage, u64, u64),
) -> Result<u64, Fault> {
    let total: u64 = sums.extents.iter().map(|(r, _)| r.end - r.start).sum();
    progress(Stage::Verify, 0, total);
    std::thread::scope(|scope| {
        let (full, to_compare) = sync_channel::<(Range<u64>, &Sum, Buffer)>(BUFFERS);
        let (empty, to_fill) = sync_channel(BUFFERS);
        for _ in 0..BUFFERS {
            // The receiver is right here.
            let _ = empty.send(Buffer::zeroed(usize::try_from(CHUNK).unwrap_or(0)));
        }
        let judge = scope.spawn(move || {
            to_compare.iter().try_for_each(|(range, sum, buffer)| {
                if !is(&buffer[..length(&range)], sum) {
                    return Err(Fault::Different { range });
                }
                // The reader is done where it does not take it.
                let _ = empty.send(buffer);
                Ok(())
            })
        });
        let mut done = 0;
        let read = (|| {
            for (extent, sum) in &sums.extents {
                for range in steps(extent) {
                    cancel.check().map_err(|_| Fault::Interrupted)?;
                    // A judge that hung up has found something.
                    let Ok(mut buffer) = to_fill.recv() else { return Ok(()) };
                    read_all(card, range.start, &mut buffer[..length(&range)])?;
                    done += range.end - range.start;
                    if full.send((range, sum, buffer)).is_err() {
                        return Ok(());
                    }
                    progress(Stage::Verify, done, total);
                }
            }
            Ok(())
        })();
        drop(full);
        judge.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        read?;
        Ok(total)
    })
}

/// Data comes in pieces that fit a buffer; zeros are cut here.
fn steps(extent: &Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
    let end = extent.end;
    (extent.start..end)
        .step_by(usize::try_from(CHUNK).unwrap_or(1))
        .map(move |at| at..(at + CHUNK).min(end))
}

fn is(bytes: &[u8], sum: &Sum) -> bool {
    match sum {
        Sum::Digest(digest) => Sha256::of(bytes) == *digest,
        Sum::Zeros => bytes.iter().all(|b| *b == 0),
    }
}
