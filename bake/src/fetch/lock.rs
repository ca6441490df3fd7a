//! One download of a file at a time, across processes.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::error::{Error, IoContext, Result};
use crate::event::{Event, Sink, Unit};
use crate::sys::interrupt::Cancel;

const STEP: &str = "wait";

/// Holds the lock until dropped; the system releases it when the process dies.
///
/// The lock file stays: removing it would let two processes lock two files of one name.
#[derive(Debug)]
pub(super) struct Lock(#[allow(dead_code, reason = "held for its lock")] File);

impl Lock {
    /// Waits for the lock, saying so where it takes waiting.
    pub(super) fn take(path: &Path, name: &str, sink: &dyn Sink, cancel: &Cancel) -> Result<Self> {
        let mut options = OpenOptions::new();
        let file =
            options.create(true).truncate(false).write(true).open(path).at("opening", path)?;
        let mut waiting = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                // A file system without locks: better one download too many than none.
                Err(TryLockError::Error(e)) if e.kind() == std::io::ErrorKind::Unsupported => break,
                Err(TryLockError::Error(e)) => return Err(Error::io("locking", path, e)),
            }
            if !waiting {
                waiting = true;
                let title = format!("Waiting for another bake that fetches {name}");
                sink.emit(Event::Started { step: STEP, title, total: None, unit: Unit::Items });
            }
            cancel.check()?;
            std::thread::sleep(Duration::from_millis(100));
        }
        if waiting {
            sink.emit(Event::Finished { step: STEP, detail: "it has ended".into() });
        }
        Ok(Self(file))
    }
}
