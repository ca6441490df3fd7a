//! What is seen of a block device: plain data, so that judging it needs no device.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::units::human;

/// A block device as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Where it is opened: `/dev/sdb`.
    pub path: PathBuf,
    /// Major and minor number.
    pub number: (u32, u32),
    /// Its place in the order of insertions, where the system counts them.
    pub sequence: Option<u64>,
    /// What it is.
    pub kind: Kind,
    /// How it is attached.
    pub bus: Bus,
    /// Whether its medium can be taken out.
    pub removable: bool,
    /// Whether it takes no writes: a write-protect switch, a worn-out card.
    pub read_only: bool,
    /// Bytes it claims to have; 0 where there is no medium.
    pub size: u64,
    /// Smallest unit of reading and writing, in bytes.
    pub block: u32,
    /// Who it is.
    pub identity: Identity,
    /// What it is in use for.
    pub uses: Vec<Use>,
}

/// What a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A whole disk or card.
    Whole,
    /// A partition of this device.
    PartitionOf(PathBuf),
    /// An area of an eMMC that holds its boot code or keys.
    Area,
}

/// How a device is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bus {
    /// A slot for SD cards and eMMC.
    Mmc,
    /// USB.
    Usb,
    /// A file that looks like a disk.
    Loop,
    /// Anything else: SATA, NVMe, virtual disks, …
    Other,
}

/// What tells a card from others of its size.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Maker and model as far as the device says.
    #[serde(default)]
    pub model: String,
    /// Serial number. Behind USB it is often the reader's, not the card's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Card identification register, which no two SD cards share (SD specification, 5.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cid: Option<String>,
}

/// Something that a device, or a part of it, is in use for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// `part` is mounted.
    Mounted {
        /// The device or partition: `sdb1`.
        part: String,
        /// Where.
        at: String,
    },
    /// `part` is swap space.
    Swap {
        /// The device or partition.
        part: String,
    },
    /// `part` belongs to another block device: LVM, RAID, encryption, …
    Held {
        /// The device or partition.
        part: String,
        /// Name of that device.
        by: String,
    },
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mounted { part, at } => write!(f, "{part} is mounted at {at}"),
            Self::Swap { part } => write!(f, "{part} is swap space"),
            Self::Held { part, by } => write!(f, "{part} is part of {by}"),
        }
    }
}

impl fmt::Display for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mmc => "card slot",
            Self::Usb => "USB",
            Self::Loop => "file",
            Self::Other => "built in",
        })
    }
}

impl fmt::Display for Device {
    /// "/dev/sdb (Generic MassStorageClass, USB, 29.7 GiB)"
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = &self.identity.model;
        let comma = if model.is_empty() { "" } else { ", " };
        let (path, bus, size) = (self.path.display(), self.bus, human(self.size));
        write!(f, "{path} ({model}{comma}{bus}, {size})")
    }
}

impl Identity {
    /// The name that a person or a record knows the card by, where it has one.
    #[must_use]
    pub fn unique(&self) -> Option<&str> {
        self.cid.as_deref().or(self.serial.as_deref())
    }
}
