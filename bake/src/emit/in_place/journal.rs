//! What stood in an image and beside it before it was changed, as a file: [`MAGIC`], then in
//! little-endian order the image's length (u64) and its mode (u32); the number of files (u32), and for
//! each its suffix, its mode (u32, [`ABSENT`] where it was not there) and its bytes; and for each range
//! its place (u64) and its bytes. Suffixes and bytes have their length before them (u64). At the end the
//! SHA-256 of all that.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::beside::Old;
use super::steps::New;
use crate::error::{Error, Result};

const MAGIC: &[u8] = b"bake undo 2\n";
const ABSENT: u32 = u32::MAX;
const DIGEST: usize = 32;

/// What stood there.
#[derive(PartialEq, Eq)]
pub(super) struct Journal {
    pub len: u64,
    pub mode: u32,
    pub files: Vec<Old>,
    pub ranges: Vec<(u64, Vec<u8>)>,
}

impl Journal {
    pub fn of(len: u64, mode: u32, new: &New<'_>) -> Self {
        let files = new.files.iter().map(|file| file.old.clone()).collect();
        let ranges = new.changes.iter().map(|c| (c.at, c.old.clone())).collect();
        Self { len, mode, files, ranges }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.len.to_le_bytes());
        bytes.extend(self.mode.to_le_bytes());
        let count = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        bytes.extend(count.to_le_bytes());
        for Old { suffix, content } in &self.files {
            push(&mut bytes, suffix.as_bytes());
            let (mode, text) = content.as_ref().map_or((ABSENT, &[][..]), |(m, text)| (*m, text));
            bytes.extend(mode.to_le_bytes());
            push(&mut bytes, text);
        }
        for (at, old) in &self.ranges {
            bytes.extend(at.to_le_bytes());
            push(&mut bytes, old);
        }
        let digest = Sha256::digest(&bytes);
        bytes.extend(digest);
        bytes
    }

    /// # Errors
    /// [`Error::Corrupt`].
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let corrupt = |reason: &str| Error::Corrupt {
            what: path.display().to_string(),
            reason: reason.into(),
        };
        let (text, digest) = bytes
            .split_last_chunk::<DIGEST>()
            .ok_or_else(|| corrupt("it is too short for a journal"))?;
        if Sha256::digest(text)[..] != digest[..] {
            return Err(corrupt("it is not what was written: its SHA-256 is another"));
        }
        let short = || corrupt("it is no journal that this bake knows");
        let mut rest = text.strip_prefix(MAGIC).ok_or_else(short)?;
        let len = u64::from_le_bytes(take(&mut rest).ok_or_else(short)?);
        let mode = u32::from_le_bytes(take(&mut rest).ok_or_else(short)?);
        let mut files = Vec::new();
        for _ in 0..u32::from_le_bytes(take(&mut rest).ok_or_else(short)?) {
            let suffix = take_text(&mut rest).and_then(|text| str::from_utf8(text).ok());
            // Nothing but what lies beside the image.
            let suffix = suffix.filter(|s| s.starts_with('.') && !s.contains(['/', '\\', '\0']));
            let suffix = suffix.ok_or_else(short)?.to_owned();
            let mode = u32::from_le_bytes(take(&mut rest).ok_or_else(short)?);
            let text = take_text(&mut rest).ok_or_else(short)?;
            let content = (mode != ABSENT).then(|| (mode, text.to_vec()));
            files.push(Old { suffix, content });
        }
        let mut ranges = Vec::new();
        while !rest.is_empty() {
            let at = u64::from_le_bytes(take(&mut rest).ok_or_else(short)?);
            let old = take_text(&mut rest).ok_or_else(short)?;
            let end = at.checked_add(old.len() as u64);
            end.filter(|end| *end <= len).ok_or_else(short)?;
            ranges.push((at, old.to_vec()));
        }
        Ok(Self { len, mode, files, ranges })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*first)
}

fn push(bytes: &mut Vec<u8>, text: &[u8]) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text);
}

fn take_text<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let len = usize::try_from(u64::from_le_bytes(take(rest)?)).ok()?;
    let (text, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(bytes: &[u8]) -> Result<Journal> {
        Journal::parse(Path::new("journal"), bytes)
    }

    proptest! {
        #[test]
        fn it_reads_back_and_nothing_less_or_else_does(
            ranges in prop::collection::vec((0..5000_u64, prop::collection::vec(any::<u8>(), 0..50)), 0..5),
            files in prop::collection::vec((r"\.[a-z.]{0,9}", prop::option::of((0..0o7777_u32, any::<Vec<u8>>()))), 0..4),
            mode in any::<u32>(),
            at in any::<prop::sample::Index>(),
        ) {
            let files = files.into_iter().map(|(suffix, content)| Old { suffix, content }).collect();
            let journal = Journal { len: 6000, mode, files, ranges };
            let bytes = journal.to_bytes();
            prop_assert!(parse(&bytes).is_ok_and(|read| read == journal));
            let at = at.index(bytes.len());
            prop_assert!(parse(&bytes[..at]).is_err());
            let mut spoilt = bytes;
            spoilt[at] ^= 1;
            prop_assert!(parse(&spoilt).is_err());
        }
    }

    #[test]
    fn ranges_outside_the_image_and_files_not_beside_it_are_refused() {
        for (at, len) in [(6, 1), (u64::MAX, 1), (0, 7)] {
            let ranges = vec![(at, vec![0; len])];
            let journal = Journal { len: 6, mode: 0, files: Vec::new(), ranges };
            assert!(parse(&journal.to_bytes()).is_err(), "{at} {len}");
        }
        for suffix in ["", "json", "./../../etc/passwd", ".a\0"] {
            let files = vec![Old { suffix: suffix.into(), content: None }];
            let journal = Journal { len: 6, mode: 0, files, ranges: Vec::new() };
            assert!(parse(&journal.to_bytes()).is_err(), "{suffix}");
        }
        let mut other =
            Journal { len: 6, mode: 0, files: Vec::new(), ranges: Vec::new() }.to_bytes();
        other.truncate(other.len() - DIGEST);
        other[0] = b'B';
        let digest = Sha256::digest(&other);
        other.extend(digest);
        assert!(parse(&other).is_err());
    }
}
