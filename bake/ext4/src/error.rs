//! The three kinds of failure of an image (device, feature, corruption) and those of an edit.

use std::io;

/// Result of every operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. An edit that fails leaves the file system as it was before that edit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The device below failed.
    #[error("the device failed: {0}")]
    Io(#[from] io::Error),
    /// The file system needs something this crate does not do.
    #[error("feature {feature} is not supported")]
    Unsupported {
        /// Name of the feature as `tune2fs` writes it, or a short description.
        feature: String,
    },
    /// The file system contradicts itself; run `e2fsck` on it.
    #[error("{place}: {reason}")]
    Corrupt {
        /// Structure concerned ("inode 12", "group 3").
        place: String,
        /// What contradicts what.
        reason: String,
    },
    /// No such entry.
    #[error("{path}: no such file or directory")]
    NotFound {
        /// The path asked for.
        path: String,
    },
    /// Something is there already.
    #[error("{path}: exists already")]
    Exists {
        /// The path asked for.
        path: String,
    },
    /// A directory is needed here.
    #[error("{path}: not a directory")]
    NotADirectory {
        /// The path asked for.
        path: String,
    },
    /// A directory cannot be used here.
    #[error("{path}: is a directory")]
    IsADirectory {
        /// The path asked for.
        path: String,
    },
    /// Only an empty directory can be removed or replaced.
    #[error("{path}: directory not empty")]
    NotEmpty {
        /// The path asked for.
        path: String,
    },
    /// A path or name that no ext4 file system can hold.
    #[error("{path}: {reason}")]
    InvalidName {
        /// The path or attribute name asked for.
        path: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// The operation makes no sense on this file.
    #[error("{path}: {reason}")]
    Invalid {
        /// The path asked for.
        path: String,
        /// Why not.
        reason: &'static str,
    },
    /// The file system cannot take on this length.
    #[error("cannot resize to {asked} bytes: {reason}")]
    Resize {
        /// Bytes asked for.
        asked: u64,
        /// Why not, and what would be possible.
        reason: String,
    },
    /// Too few free blocks. Blocks reserved for root count as free: we edit as root.
    #[error("no space left: {needed} bytes needed, {free} free")]
    NoSpace {
        /// Bytes the edit needs, at least.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// No free inode.
    #[error("no free inode left: the file system holds as many files as it was made for")]
    NoInodes,
    /// More hard links or subdirectories than the format can count.
    #[error("{path}: too many links (at most 65000)")]
    TooManyLinks {
        /// File or directory at its limit.
        path: String,
    },
    /// Larger than the format can map with this block size and these features.
    #[error("{what} too large: {size} bytes, at most {limit}")]
    TooLarge {
        /// "file", "extended attributes", "symbolic link".
        what: &'static str,
        /// Bytes asked for.
        size: u64,
        /// Bytes possible.
        limit: u64,
    },
}

/// An [`Error::Corrupt`].
pub(crate) fn corrupt(place: impl Into<String>, reason: impl Into<String>) -> Error {
    Error::Corrupt { place: place.into(), reason: reason.into() }
}

/// An [`Error::Unsupported`].
pub(crate) fn unsupported(feature: impl Into<String>) -> Error {
    Error::Unsupported { feature: feature.into() }
}

/// A path for people; bytes that are not UTF-8 are replaced.
pub(crate) fn show(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
