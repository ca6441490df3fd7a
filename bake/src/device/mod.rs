//! Cards and other block devices: finding them, judging them, opening them.
//!
//! [`Platform::list`] sees devices, [`judge`] decides about one, and only the [`Cleared`] it gives
//! can be opened for writing. What an open one can do is a [`Transport`]; what goes wrong on one
//! is a [`Fault`].

mod capacity;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
mod fault;
mod guard;
#[cfg(target_os = "linux")]
mod linux;
mod observed;
mod transport;

use std::fmt::Debug;
use std::path::Path;

use crate::error::Result;

pub use capacity::check_capacity;
pub use fault::Fault;
pub use guard::{Cleared, Demand, Reason, Refusal, judge};
#[cfg(target_os = "linux")]
pub use linux::Linux;
pub use observed::{Bus, Device, Identity, Kind, Use};
pub use transport::{Transport, read_all, write_all};

/// What the operating system knows and does about block devices.
pub trait Platform: Debug + Sync {
    /// Every whole block device that is worth a look: cards, USB disks, and whatever else there
    /// is, by path.
    ///
    /// # Errors
    /// Those of the system.
    fn list(&self) -> Result<Vec<Device>>;

    /// Looks at the device that `path` names, through links such as those in `/dev/disk`.
    ///
    /// # Errors
    /// No block device is there.
    fn look(&self, path: &Path) -> Result<Device>;

    /// Opens a device for writing, alone, after making sure that it still is the one that was
    /// cleared.
    ///
    /// # Errors
    /// [`crate::error::Error::Refused`] where it is another one by now or the system holds it in
    /// use; what permission is missing.
    fn open(&self, cleared: &Cleared) -> Result<Box<dyn Transport>>;
}

/// The platform of this computer.
#[must_use]
pub fn host() -> Box<dyn Platform> {
    #[cfg(target_os = "linux")]
    return Box::new(Linux::default());
    #[cfg(not(target_os = "linux"))]
    return Box::new(elsewhere::Elsewhere);
}
