//! What can be wrong with compressed input, and how it is told.

use std::io;

use super::format::Refused;
use crate::error::Error;
use crate::units::human;

/// A fault of the input itself; travels inside an [`io::Error`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeFault {
    /// The input ends before its format says so.
    #[error("it ends too early: the file is truncated")]
    Truncated,
    /// Bytes follow the end of the compressed data.
    #[error("bytes follow the end of the compressed data")]
    Trailing,
    /// A checksum or a structure of the format does not hold.
    #[error("{0}")]
    Damaged(String),
    /// More came out than was allowed.
    #[error("it unpacks to more than {}", human(*.limit))]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// Decoding would take more memory than allowed.
    #[error("unpacking it takes more than {} of memory", human(*.limit))]
    Memory {
        /// The limit in bytes.
        limit: u64,
    },
    /// A variant of the format that we do not decode.
    #[error("{0}")]
    Unsupported(String),
    /// Recognised as something that is not accepted.
    #[error("it is {0}")]
    Refused(Refused),
}

impl From<DecodeFault> for io::Error {
    fn from(fault: DecodeFault) -> Self {
        let kind = match fault {
            DecodeFault::Truncated => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, fault)
    }
}

/// Makes an error of reading a [`super::Decoder`] one that names `what` was decoded; errors of
/// the source itself become those of reading `path`.
pub fn into_error(error: io::Error, what: &str, path: &std::path::Path) -> Error {
    let what = what.to_owned();
    let Some(fault) = error.get_ref().and_then(|e| e.downcast_ref::<DecodeFault>()) else {
        return Error::io("reading", path, error);
    };
    match fault {
        DecodeFault::Refused(kind) => {
            Error::Unsupported { what, feature: kind.to_string() }.hint(kind.advice())
        }
        DecodeFault::Unsupported(feature) => Error::Unsupported { what, feature: feature.clone() },
        DecodeFault::Memory { .. } => Error::Unsupported { what, feature: fault.to_string() }
            .hint("unpack it first and give the raw image"),
        fault => Error::Corrupt { what, reason: fault.to_string() },
    }
}
