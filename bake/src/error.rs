//! The one error type that crosses rooms, sorted by what the caller can do about it.
//!
//! Mechanisms may keep richer errors of their own; at the edge of their room they become one of
//! these, because [`Error::exit`] is what a script sees.

use std::path::{Path, PathBuf};

/// Result of every public function of `bake`.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Exit status of the `bake` process (design: style, "Exit codes").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done.
    Done = 0,
    /// The work failed: a device, a server, an image we cannot handle.
    Failed = 1,
    /// The request itself is wrong: arguments, profile, catalogue.
    Usage = 2,
    /// A digest, signature or file system is not what it must be.
    Verification = 3,
    /// Refused because it could destroy something of the user's.
    Refused = 4,
    /// Ended by SIGINT or SIGTERM.
    Interrupted = 130,
}

/// Position inside a text the user wrote; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// One thing wrong in a file the user wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Dotted key the fault is about (`nodes[2].address`), empty for the file as a whole.
    pub key: String,
    /// Where, if the value stands in the file (not a missing key or a `--set`).
    pub at: Option<Position>,
    /// What is wrong, without a trailing period.
    pub message: String,
    /// What to do about it, if that is not obvious.
    pub help: Option<String>,
}

/// What went wrong, by what the caller can do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused or failed an operation on `path`.
    #[error("{doing} {}", .path.display())]
    Io {
        /// Gerund: "opening", "writing".
        doing: &'static str,
        /// The host path concerned.
        path: PathBuf,
        /// The system's own error.
        #[source]
        source: std::io::Error,
    },
    /// A network transfer failed for good, after its retries.
    #[error("downloading {url}: {reason}")]
    Network {
        /// What was asked for, without credentials.
        url: String,
        /// The last failure.
        reason: String,
    },
    /// A cluster, or a node of it, is not as it must be for what was asked.
    #[error("{what}: {reason}")]
    Cluster {
        /// The cluster, node or endpoint.
        what: String,
        /// What is the matter.
        reason: String,
    },
    /// A card or disk failed while it was written or read back.
    #[error("{device}: {reason}")]
    Device {
        /// The device, as the user knows it.
        device: String,
        /// What happened to it.
        reason: String,
    },
    /// Well-formed, but it needs something we do not have.
    #[error("{what} is not supported: {feature}")]
    Unsupported {
        /// The thing examined ("ext4 file system of partition 2").
        what: String,
        /// The feature it needs.
        feature: String,
    },
    /// The bytes contradict their own format.
    #[error("{what} is corrupt: {reason}")]
    Corrupt {
        /// The thing examined, with an offset where there is one.
        what: String,
        /// What contradicts what.
        reason: String,
    },
    /// A file system inside the image is too small for the edit.
    #[error("{what} is full: {needed} bytes are needed, {free} are free")]
    NoSpace {
        /// The file system ("FAT file system at byte 4194304").
        what: String,
        /// Bytes the edit needs, at least.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// A file the user wrote has faults; all of them are listed.
    #[error("{what} has {} fault{}", .faults.len(), if .faults.len() == 1 { "" } else { "s" })]
    Invalid {
        /// The file or argument ("profile master3.yaml").
        what: String,
        /// Every fault found, in file order.
        faults: Vec<Fault>,
    },
    /// The command line asks for something impossible or ambiguous.
    #[error("{0}")]
    Usage(String),
    /// A path, node, image or release that should exist does not.
    #[error("{what} not found: {name}")]
    NotFound {
        /// The kind of thing.
        what: &'static str,
        /// Its name as asked for.
        name: String,
    },
    /// Bytes are not the ones that were promised.
    #[error("{what} failed verification: {reason}")]
    Verification {
        /// The thing verified.
        what: String,
        /// Expected and found, or the checker's complaint.
        reason: String,
    },
    /// Refused for the user's safety.
    #[error("refusing to {action}: {reason}")]
    Refused {
        /// What was not done ("overwrite node1.img").
        action: String,
        /// Why.
        reason: String,
    },
    /// Some of several things failed; the others were done.
    #[error("{} of {total} {what} failed: {}", .failed.len(), names(.failed))]
    Parts {
        /// What they are, plural: "nodes", "devices".
        what: &'static str,
        /// How many there were.
        total: usize,
        /// The name of each that failed, and why.
        failed: Vec<(String, Error)>,
    },
    /// The user, or the system, asked us to stop.
    #[error("interrupted")]
    Interrupted,
    /// An error in a wider operation.
    #[error("{doing}")]
    Context {
        /// Gerund phrase ("reading the partition table of base.img").
        doing: String,
        /// What happened inside.
        #[source]
        source: Box<Error>,
    },
    /// An error with advice.
    #[error("{source}")]
    Hinted {
        /// What the user can do.
        hint: String,
        /// The error advised on; displayed in its place.
        source: Box<Error>,
    },
}

impl Error {
    /// An [`Error::Io`] about `path`.
    pub fn io(doing: &'static str, path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { doing, path: path.as_ref().to_owned(), source }
    }

    /// Adds advice that the user sees on a line of its own below the error.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self::Hinted { hint: hint.into(), source: Box::new(self) }
    }

    /// The exit status a script sees.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Io { .. }
            | Self::Network { .. }
            | Self::Cluster { .. }
            | Self::Device { .. }
            | Self::Unsupported { .. }
            | Self::NoSpace { .. } => Exit::Failed,
            Self::Corrupt { .. } | Self::Verification { .. } => Exit::Verification,
            Self::Invalid { .. } | Self::Usage(_) | Self::NotFound { .. } => Exit::Usage,
            Self::Refused { .. } => Exit::Refused,
            Self::Interrupted => Exit::Interrupted,
            // What they have in common, where they do.
            Self::Parts { failed, .. } => {
                let mut exits = failed.iter().map(|(_, error)| error.exit());
                let first = exits.next().unwrap_or(Exit::Failed);
                if exits.all(|exit| exit == first) { first } else { Exit::Failed }
            }
            Self::Context { source, .. } | Self::Hinted { source, .. } => source.exit(),
        }
    }

    /// All advice along the chain, outermost first.
    #[must_use]
    pub fn hints(&self) -> Vec<&str> {
        match self {
            Self::Hinted { hint, source } => {
                let mut all = vec![hint.as_str()];
                all.extend(source.hints());
                all
            }
            Self::Context { source, .. } => source.hints(),
            Self::Parts { failed, .. } => {
                let mut all = Vec::new();
                for hint in failed.iter().flat_map(|(_, error)| error.hints()) {
                    if !all.contains(&hint) {
                        all.push(hint);
                    }
                }
                all
            }
            _ => Vec::new(),
        }
    }
}

fn names(failed: &[(String, Error)]) -> String {
    failed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Adds what was being done to an error, in gerund form.
pub trait Context<T> {
    /// `doing` completes the sentence "failed while …".
    fn context(self, doing: impl Into<String>) -> Result<T>;
    /// As [`Context::context`], formatted only on failure.
    fn with_context<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn context(self, doing: impl Into<String>) -> Result<T> {
        self.with_context(|| doing)
    }

    fn with_context<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|e| Error::Context { doing: doing().into(), source: Box::new(e.into()) })
    }
}

/// Names the host path in a plain [`std::io::Result`].
pub trait IoContext<T> {
    /// `doing` is a gerund: "opening", "creating".
    fn at(self, doing: &'static str, path: impl AsRef<Path>) -> Result<T>;
}

impl<T> IoContext<T> for std::io::Result<T> {
    fn at(self, doing: &'static str, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(|e| Error::io(doing, path, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_and_hints_keep_the_exit_status() {
        let refused = Error::Refused { action: "overwrite a".into(), reason: "exists".into() };
        let wrapped: Error =
            Err::<(), _>(refused.hint("use --force")).context("emitting a").unwrap_err();
        assert_eq!(wrapped.exit(), Exit::Refused);
        assert_eq!(wrapped.hints(), ["use --force"]);
    }

    #[test]
    fn parts_exit_as_they_all_do_else_as_failed() {
        let refused = |name: &str| {
            let error = Error::Refused { action: "overwrite".into(), reason: "it exists".into() };
            (name.to_owned(), error.hint("use --force"))
        };
        let parts = |failed| Error::Parts { what: "nodes", total: 9, failed };
        let alike = parts(vec![refused("a"), refused("b")]);
        assert_eq!(alike.exit(), Exit::Refused);
        assert_eq!(alike.hints(), ["use --force"], "once");
        assert_eq!(alike.to_string(), "2 of 9 nodes failed: a, b");
        let mixed = parts(vec![refused("a"), ("b".into(), Error::Usage("x".into()))]);
        assert_eq!(mixed.exit(), Exit::Failed);
    }
}
