//! The header: whose delta it is, for which golden image, and what it changes.

use std::io::Read;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::emit::InUse;
use crate::error::{Error, Result};

/// Version of the format that this build reads and writes.
pub const VERSION: u32 = 2;
/// First bytes of every delta.
pub(super) const MAGIC: [u8; 8] = *b"BAKEDLT\n";
/// Magic, version, length of the header, SHA-256 of the header.
pub(super) const PREFIX: usize = 8 + 4 + 4 + 32;
/// Longest extent of bytes: bounds what a reader must hold.
pub(super) const LONGEST: u64 = 1 << 20;
/// Largest header, compressed and not. A range takes about 30 bytes: room for half a million.
const LIMIT: u64 = 16 << 20;

/// Everything of a delta but the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Whose image comes out.
    pub node: Subject,
    /// The image it changes.
    pub golden: Golden,
    /// What it changes, ascending.
    pub extents: Vec<Extent>,
}

/// The node whose delta it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Its cluster.
    pub cluster: String,
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: nodeconf::Role,
    /// Its incarnation.
    pub incarnation: u32,
}

/// The image a delta is for; the node's is as long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// Length in bytes.
    pub len: u64,
    /// [`super::identity`] in hexadecimal.
    pub identity: String,
    /// First byte and end of each range in use, ascending.
    pub used: Vec<(u64, u64)>,
}

/// A range that differs from the golden image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extent {
    /// First byte.
    pub at: u64,
    /// Bytes.
    pub len: u64,
    /// SHA-256, in hexadecimal, of its bytes in the payload; without it, the range is not in use
    /// any more and reads as zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl Extent {
    /// The bytes of the image.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.at..self.at.saturating_add(self.len)
    }
}

impl Golden {
    /// Which of its bytes matter.
    #[must_use]
    pub fn used(&self) -> InUse {
        InUse::of(self.used.iter().map(|(start, end)| *start..*end), self.len)
    }
}

impl Header {
    /// Which bytes of the node's image matter.
    #[must_use]
    pub fn used(&self) -> InUse {
        let of = |bytes: bool| {
            let extents = self.extents.iter().filter(|e| e.sha256.is_some() == bytes);
            InUse::of(extents.map(Extent::range), self.golden.len)
        };
        self.golden.used().without(&of(false)).or(&of(true))
    }

    /// The first bytes of a delta with this header.
    pub(super) fn encode(&self) -> std::io::Result<Vec<u8>> {
        let text = serde_json::to_vec(self)?;
        let packed = zstd::bulk::compress(&text, 3)?;
        let len = u32::try_from(packed.len()).map_err(std::io::Error::other)?;
        let mut bytes = Vec::with_capacity(PREFIX + packed.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&Sha256::digest(&packed));
        bytes.extend_from_slice(&packed);
        Ok(bytes)
    }

    /// Reads the first bytes of the delta that messages call `what`.
    pub(super) fn decode(what: &str, source: &mut dyn Read) -> Result<Self> {
        let wrong = |reason: String| Error::Verification { what: what.to_owned(), reason };
        let mut prefix = [0; PREFIX];
        source.read_exact(&mut prefix).map_err(|e| cut_short(what, e))?;
        let (magic, rest) = prefix.split_at(8);
        let (version, rest) = rest.split_at(4);
        let (len, digest) = rest.split_at(4);
        if magic != MAGIC {
            return Err(wrong("it is no delta of bake's".into()));
        }
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |n: u32, b| n << 8 | u32::from(*b));
        let (version, len) = (number(version), u64::from(number(len)));
        if version != VERSION {
            let feature = format!("version {version}, where this build knows {VERSION}");
            return Err(Error::Unsupported { what: what.to_owned(), feature });
        }
        if len > LIMIT {
            return Err(wrong(format!("its header would be {len} bytes long")));
        }
        let mut packed = vec![0; usize::try_from(len).unwrap_or(0)];
        source.read_exact(&mut packed).map_err(|e| cut_short(what, e))?;
        if Sha256::digest(&packed)[..] != *digest {
            return Err(wrong("its header is not what it was".into()));
        }
        let mut text = Vec::new();
        zstd::Decoder::new(packed.as_slice())
            .and_then(|decoder| decoder.take(LIMIT + 1).read_to_end(&mut text))
            .map_err(|e| wrong(format!("its header cannot be unpacked: {e}")))?;
        if text.len() as u64 > LIMIT {
            return Err(wrong("its header is too large".into()));
        }
        let header: Self = serde_json::from_slice(&text)
            .map_err(|e| wrong(format!("its header cannot be read: {e}")))?;
        header.check().map_err(wrong)?;
        Ok(header)
    }

    /// Whether its numbers make sense; what they mean for an image relies on it.
    fn check(&self) -> Result<(), String> {
        let mut at = 0;
        for (start, end) in &self.golden.used {
            if *start < at || end <= start || *end > self.golden.len {
                return Err(format!("{start} to {end} is no range of the golden image"));
            }
            at = *end;
        }
        let mut at = 0;
        for extent in &self.extents {
            let end = extent.at.checked_add(extent.len).filter(|end| *end <= self.golden.len);
            let long = extent.sha256.is_some() && extent.len > LONGEST;
            let Some(end) = end.filter(|_| extent.at >= at && extent.len > 0 && !long) else {
                return Err(format!("{} bytes at byte {} are no extent", extent.len, extent.at));
            };
            at = end;
        }
        Ok(())
    }
}

/// The error of a delta that ends too soon, or cannot be read.
pub(super) fn cut_short(what: &str, error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            Error::Verification { what: what.to_owned(), reason: "it is cut short".into() }
        }
        _ => Error::io("reading", what, error),
    }
}
