//! Stopping at the user's word: a flag that signals set and long loops look at.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// Set once when the work shall stop. Clones share the flag.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A flag that only [`Cancel::cancel`] sets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A flag that the first SIGINT, SIGTERM or SIGHUP sets; the second ends the process at once
    /// with status 130.
    ///
    /// # Errors
    /// The system's, where a handler cannot be installed.
    pub fn on_signals() -> io::Result<Self> {
        use signal_hook::consts;
        let cancel = Self::new();
        #[cfg(unix)]
        let signals = [consts::SIGINT, consts::SIGTERM, consts::SIGHUP];
        #[cfg(not(unix))]
        let signals = [consts::SIGINT, consts::SIGTERM];
        for signal in signals {
            // Order matters: this one looks at the flag before the next one sets it.
            signal_hook::flag::register_conditional_shutdown(signal, 130, cancel.0.clone())?;
            signal_hook::flag::register(signal, cancel.0.clone())?;
        }
        Ok(cancel)
    }

    /// Asks the work to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the work shall stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// For loops: `cancel.check()?`.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once the work shall stop.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::Interrupted) } else { Ok(()) }
    }
}
