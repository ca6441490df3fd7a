//! Which devices may be written: a pure judgement over what was seen of one.
//!
//! Everything that must hold is asked for; what is not known counts against the device.

use std::fmt;

use super::observed::{Bus, Device, Kind, Use};
use crate::error::Error;
use crate::units::human;

/// What a device is wanted for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Demand {
    /// Bytes that must fit.
    pub bytes: u64,
    /// Whether a loop device counts as a card.
    pub loops: bool,
}

/// A device that may be written. Only [`judge`] makes one, and only one can be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleared(Device);

impl Cleared {
    /// The device.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.0
    }
}

/// Why a device is not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It is only a partition of the device named.
    Partition(std::path::PathBuf),
    /// It is a hardware area beside the card's own storage.
    Area,
    /// It is neither removable nor attached by USB or a card slot.
    BuiltIn,
    /// It is a loop device, and those were not allowed.
    Loop,
    /// It, or a part of it, is in use.
    Used(Use),
    /// It takes no writes.
    ReadOnly,
    /// There is no card in the reader.
    Empty,
    /// What is to be written does not fit.
    Small {
        /// Bytes needed.
        needed: u64,
        /// Bytes there are.
        size: u64,
    },
    /// Its blocks are too large, or no power of two.
    Blocks(u32),
}

/// A device that is not written, with everything that speaks against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The device.
    pub device: Box<Device>,
    /// At least one.
    pub reasons: Vec<Reason>,
}

/// Decides whether `device` may be overwritten.
///
/// # Errors
/// A [`Refusal`] with every reason against it.
pub fn judge(device: Device, demand: Demand) -> Result<Cleared, Refusal> {
    let mut reasons = Vec::new();
    match &device.kind {
        Kind::Whole => {}
        Kind::PartitionOf(disk) => reasons.push(Reason::Partition(disk.clone())),
        Kind::Area => reasons.push(Reason::Area),
    }
    match device.bus {
        Bus::Mmc | Bus::Usb => {}
        Bus::Loop if demand.loops => {}
        Bus::Loop => reasons.push(Reason::Loop),
        Bus::Other if device.removable => {}
        Bus::Other => reasons.push(Reason::BuiltIn),
    }
    reasons.extend(device.uses.iter().cloned().map(Reason::Used));
    if device.size == 0 {
        reasons.push(Reason::Empty);
    } else if device.size < demand.bytes {
        reasons.push(Reason::Small { needed: demand.bytes, size: device.size });
    }
    if device.read_only && device.size > 0 {
        reasons.push(Reason::ReadOnly);
    }
    if !device.block.is_power_of_two() || !(512..=4096).contains(&device.block) {
        reasons.push(Reason::Blocks(device.block));
    }
    if reasons.is_empty() {
        Ok(Cleared(device))
    } else {
        Err(Refusal { device: Box::new(device), reasons })
    }
}

impl Reason {
    /// What the user can do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Partition(disk) => format!("name the whole device, {}", disk.display()),
            Self::Area => "name the card itself".into(),
            Self::BuiltIn => "name a card or a USB device; `bake flash --list` shows them".into(),
            Self::Loop => "`--allow-loop` treats loop devices as cards".into(),
            Self::Used(Use::Mounted { at, .. }) => {
                format!("if it is the right device, unmount it: umount {at}")
            }
            Self::Used(Use::Swap { part }) => {
                format!("if it is the right device, stop swapping: swapoff /dev/{part}")
            }
            Self::Used(Use::Held { by, .. }) => {
                format!("if it is the right device, take {by} apart first")
            }
            Self::ReadOnly => {
                "slide the switch at the card's edge away from LOCK and insert it again; a card \
                 that stays read-only is worn out"
                    .into()
            }
            Self::Empty => "insert a card".into(),
            Self::Small { .. } => "use a larger card".into(),
            Self::Blocks(_) => "use another card or reader".into(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partition(disk) => write!(f, "it is a partition of {}", disk.display()),
            Self::Area => f.write_str("it is a hardware area of a card, not the card"),
            Self::BuiltIn => f.write_str("it is a built-in disk"),
            Self::Loop => f.write_str("it is a loop device"),
            Self::Used(what) => what.fmt(f),
            Self::ReadOnly => f.write_str("it is write-protected"),
            Self::Empty => f.write_str("there is no card in it"),
            Self::Small { needed, size } => {
                write!(f, "{} are needed, and it has {}", human(*needed), human(*size))
            }
            Self::Blocks(bytes) => write!(f, "it has blocks of {bytes} bytes"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons: Vec<String> = self.reasons.iter().map(Reason::to_string).collect();
        f.write_str(&reasons.join("; "))
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let action = format!("write to {}", refusal.device);
        let refused = Self::Refused { action, reason: refusal.to_string() };
        match refusal.reasons.first() {
            Some(first) => refused.hint(first.remedy()),
            None => refused,
        }
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
