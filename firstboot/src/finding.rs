//! What a step found, in words a person can act on.

use std::io;

use crate::sys::CommandError;

/// Why a step cannot be met, and what to do about it. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What is the matter, without a trailing period.
    pub what: String,
    /// What a person can do, or what we are waiting for.
    pub remedy: String,
}

impl Condition {
    /// A condition and its remedy.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }

    /// A failed file operation; `doing` is a gerund phrase that names the file.
    pub fn io(doing: impl std::fmt::Display, error: &io::Error) -> Self {
        let remedy = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "free some space on that file system; it goes on by itself"
            }
            io::ErrorKind::ReadOnlyFilesystem => {
                "the file system is read-only, often after errors on the card: check or replace it"
            }
            _ => "it is tried again; if it stays, check the card",
        };
        Self::new(format!("{doing}: {error}"), remedy)
    }
}

impl From<CommandError> for Condition {
    fn from(error: CommandError) -> Self {
        Self::new(error.to_string(), "it is tried again")
    }
}

/// What the check of a step found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Nothing to do.
    Met,
    /// Something that applying the step changes.
    Unmet(Condition),
    /// Something only the world outside can change, and may.
    Blocked(Condition),
    /// The configuration or the image is wrong.
    Wrong(Condition),
    /// An invariant does not hold.
    Broken(Condition),
}

impl Finding {
    /// The condition of anything but [`Finding::Met`].
    #[must_use]
    pub fn condition(&self) -> Option<&Condition> {
        match self {
            Self::Met => None,
            Self::Unmet(c) | Self::Blocked(c) | Self::Wrong(c) | Self::Broken(c) => Some(c),
        }
    }
}
