//! What stood in an image before it was changed, as a file: [`MAGIC`], then in little-endian order
//! the image's length (u64), its mode (u32), and for each range its place and length (u64 each) and
//! its bytes; at the end the SHA-256 of all that.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::changes::Change;
use crate::error::{Error, Result};

const MAGIC: &[u8] = b"bake undo 1\n";
const DIGEST: usize = 32;

/// What stood there.
#[derive(PartialEq, Eq)]
pub(super) struct Journal {
    pub len: u64,
    pub mode: u32,
    pub ranges: Vec<(u64, Vec<u8>)>,
}

impl Journal {
    pub fn of(len: u64, mode: u32, changes: &[Change]) -> Self {
        Self { len, mode, ranges: changes.iter().map(|c| (c.at, c.old.clone())).collect() }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.len.to_le_bytes());
        bytes.extend(self.mode.to_le_bytes());
        for (at, old) in &self.ranges {
            bytes.extend(at.to_le_bytes());
            bytes.extend((old.len() as u64).to_le_bytes());
            bytes.extend(old);
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
        let mut ranges = Vec::new();
        while !rest.is_empty() {
            let at = u64::from_le_bytes(take(&mut rest).ok_or_else(short)?);
            let count = u64::from_le_bytes(take(&mut rest).ok_or_else(short)?);
            let inside = at.checked_add(count).is_some_and(|end| end <= len);
            let count = usize::try_from(count).ok().filter(|_| inside).ok_or_else(short)?;
            let (old, after) = rest.split_at_checked(count).ok_or_else(short)?;
            ranges.push((at, old.to_vec()));
            rest = after;
        }
        Ok(Self { len, mode, ranges })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*first)
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
            mode in any::<u32>(),
            at in any::<prop::sample::Index>(),
        ) {
            let journal = Journal { len: 6000, mode, ranges };
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
    fn ranges_outside_the_image_are_refused() {
        for (at, len) in [(6, 1), (u64::MAX, 1), (0, 7)] {
            let journal = Journal { len: 6, mode: 0, ranges: vec![(at, vec![0; len])] };
            assert!(parse(&journal.to_bytes()).is_err(), "{at} {len}");
        }
        let mut other = Journal { len: 6, mode: 0, ranges: Vec::new() }.to_bytes();
        other.truncate(other.len() - DIGEST);
        other[0] = b'B';
        let digest = Sha256::digest(&other);
        other.extend(digest);
        assert!(parse(&other).is_err());
    }
}
