//! What goes wrong while a card is written, by what the user can do about it.

use std::io;
use std::ops::Range;

use super::Transport;
use crate::error::Error;
use crate::units::human;

/// Why a card was not written, or not rightly.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It was pulled, or its reader was.
    #[error("it is not there any more")]
    Gone,
    /// Its switch says LOCK, or it gave up writing.
    #[error("it takes no writes at byte {at}")]
    ReadOnly {
        /// Where it was noticed.
        at: u64,
    },
    /// It says that it is full although its size says otherwise.
    #[error("it is full at byte {at}, although it claims more")]
    Full {
        /// Where.
        at: u64,
    },
    /// A block cannot be written or read.
    #[error("{doing} block {} (byte {at}) failed: {source}", .at / 512)]
    Failing {
        /// "writing" or "reading".
        doing: &'static str,
        /// First byte of the block; blocks count 512 bytes.
        at: u64,
        /// The system's own error.
        source: io::Error,
    },
    /// It stored less than it was given.
    #[error("it stored {missing} bytes too little at byte {at}")]
    Short {
        /// Where it stopped.
        at: u64,
        /// How much is missing.
        missing: u64,
    },
    /// What was read back is not what was written.
    #[error("bytes {} to {} read back as something else", .range.start, .range.end - 1)]
    Different {
        /// Which bytes.
        range: Range<u64>,
    },
    /// It holds less than it claims.
    #[error("it claims {} and holds at most {}", human(*.claimed), human(*.holds))]
    Capacity {
        /// What it says.
        claimed: u64,
        /// What it may hold.
        holds: u64,
    },
    /// What was to be written could not be read.
    #[error("reading what goes onto it: {0}")]
    Source(#[source] Box<Error>),
    /// The user, or the system, asked us to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Fault {
    /// What a failed write at byte `at` means.
    #[must_use]
    pub fn of_write(card: &dyn Transport, at: u64, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::WriteZero if card.present() => {
                Self::Full { at }
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
                if card.present() =>
            {
                Self::ReadOnly { at }
            }
            _ => Self::failing(card, "writing", at, source),
        }
    }

    /// What a failed read at byte `at` means.
    #[must_use]
    pub fn of_read(card: &dyn Transport, at: u64, source: io::Error) -> Self {
        Self::failing(card, "reading", at, source)
    }

    fn failing(card: &dyn Transport, doing: &'static str, at: u64, source: io::Error) -> Self {
        if is_gone(&source) || !card.present() {
            return Self::Gone;
        }
        Self::Failing { doing, at, source }
    }

    /// What the user can do.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        Some(match self {
            Self::Gone => "insert it again, push it in firmly, and flash it again",
            Self::ReadOnly { .. } => {
                "slide the switch at the card's edge away from LOCK; a card that stays read-only \
                 is worn out"
            }
            Self::Full { .. } | Self::Capacity { .. } => {
                "the card is a fake, made to look larger than it is: do not use it"
            }
            Self::Failing { .. } | Self::Short { .. } => {
                "try another reader or cable; if it fails again, the card is broken"
            }
            Self::Different { .. } => {
                "try another reader; if it happens again the card is broken or a fake, which \
                 `--check-capacity` tells"
            }
            Self::Source(_) | Self::Interrupted => return None,
        })
    }

    /// As an error about the card that `name` names.
    #[must_use]
    pub fn into_error(self, name: &str) -> Error {
        let remedy = self.remedy();
        let error = match self {
            Self::Interrupted => return Error::Interrupted,
            Self::Source(error) => return *error,
            Self::Different { .. } | Self::Capacity { .. } => {
                Error::Verification { what: name.to_owned(), reason: self.to_string() }
            }
            _ => Error::Device { device: name.to_owned(), reason: self.to_string() },
        };
        match remedy {
            Some(remedy) => error.hint(remedy),
            None => error,
        }
    }
}

/// Whether the system says that there is no such device any more.
fn is_gone(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let code = error.raw_os_error();
        [Errno::NODEV, Errno::NXIO].iter().any(|gone| Some(gone.raw_os_error()) == code)
            || Some(NO_MEDIUM) == code
    }
    #[cfg(not(unix))]
    {
        let _ = error;
        false
    }
}

/// `ENOMEDIUM` of Linux, which has no portable name.
#[cfg(unix)]
const NO_MEDIUM: i32 = 123;
