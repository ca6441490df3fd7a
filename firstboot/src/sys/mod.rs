//! Everything `firstboot` does to the world, as one trait.
//!
//! The operations are as small as the system calls behind them, so that the tests' fake can cut
//! the power between any two of them. Paths are absolute paths of the device.

mod command;
mod durable;
pub(crate) mod https;
mod memory;
mod notify;
mod real;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use command::{Command, CommandError};
pub use durable::{TEMPORARY_SUFFIX, write_durable, write_if_changed};
pub use https::{HttpsError, HttpsReply, HttpsRequest, Identity, Method};
pub use memory::keep_private;
pub use real::Real;

/// What we need to know of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Length in bytes.
    pub len: u64,
    /// Permission bits.
    pub mode: u32,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Device number (major, minor) of the file system it is on.
    pub device: (u32, u32),
}

/// Size of a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Usable size.
    pub total: u64,
    /// Free for root.
    pub free: u64,
}

/// Urgency of a journal line (syslog levels, sd-daemon(3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Priority {
    /// A person must act.
    Error = 3,
    /// Not as it should be; we go on or try again.
    Warning = 4,
    /// A milestone.
    Notice = 5,
    /// Progress.
    Info = 6,
}

/// Files, commands, clock and network of the board.
pub trait Sys: std::fmt::Debug {
    /// Reads a file whole; refuses one above 1 MiB.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// The first bytes of a file, at most `limit`.
    fn read_head(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>>;
    /// Names in a directory, in no order.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Target of a symbolic link.
    fn read_link(&self, path: &Path) -> io::Result<PathBuf>;
    /// Metadata; follows symbolic links.
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// Space of the file system that holds `path`.
    fn space(&self, path: &Path) -> io::Result<Space>;
    /// Creates or empties a file and writes `bytes`. Not durable by itself.
    fn create(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()>;
    /// Writes to an existing file in place: kernel files, and secrets to erase.
    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Makes a file's content durable.
    fn sync_file(&self, path: &Path) -> io::Result<()>;
    /// Makes a directory's entries durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Renames over whatever has the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory and all in it; may be cut short in the middle.
    fn remove_tree(&self, path: &Path) -> io::Result<()>;
    /// Makes a directory and its missing parents.
    fn make_dirs(&self, path: &Path, mode: u32) -> io::Result<()>;
    /// Takes the lock file for the life of the process; false where another process has it.
    fn lock(&self, path: &Path) -> io::Result<bool>;

    /// Runs a command to its end and returns its standard output.
    fn run(&self, command: &Command) -> Result<String, CommandError>;

    /// Wall clock: time since 1970-01-01 UTC.
    fn now(&self) -> Duration;
    /// Sets the wall clock.
    fn set_clock(&self, to: Duration) -> io::Result<()>;
    /// Time since the kernel started, sleep included (`CLOCK_BOOTTIME`).
    fn uptime(&self) -> Duration;
    /// Waits.
    fn sleep(&self, time: Duration);

    /// Asks an HTTPS server.
    fn https(&self, request: &HttpsRequest) -> Result<HttpsReply, HttpsError>;
    /// Asks several at the same time; one answer for each request, in their order.
    fn https_all(&self, requests: &[HttpsRequest]) -> Vec<Result<HttpsReply, HttpsError>> {
        requests.iter().map(|request| self.https(request)).collect()
    }

    /// Whether somebody takes TCP connections at `place` (`host:port`); hangs up at once.
    fn connect(&self, place: &str, timeout: Duration) -> io::Result<()>;

    /// Writes one line to the journal.
    fn say(&self, priority: Priority, line: &str);
    /// Tells systemd something (sd_notify(3)); does nothing where nobody listens.
    fn notify(&self, state: &str);
}

/// Reads a text file; bytes that are not UTF-8 become replacement characters.
///
/// # Errors
/// As [`Sys::read`].
pub fn read_text(sys: &dyn Sys, path: impl AsRef<Path>) -> io::Result<String> {
    sys.read(path.as_ref()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// As [`read_text`], with `None` for a file that does not exist.
///
/// # Errors
/// As [`Sys::read`], except for a missing file.
pub fn read_text_if_there(sys: &dyn Sys, path: impl AsRef<Path>) -> io::Result<Option<String>> {
    match read_text(sys, path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}
