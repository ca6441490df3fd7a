//! One device as `/sys/class/block` describes it (Linux, Documentation/ABI/stable/sysfs-block).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::inuse::InUse;
use super::last;
use crate::device::{Bus, Device, Identity, Kind};

/// Sizes in sysfs count these, whatever the device's blocks are.
const SECTOR: u64 = 512;

/// Reads what there is to know about the device the kernel calls `name`.
pub fn read(root: &Path, name: &str, in_use: &InUse) -> io::Result<Device> {
    let link = root.join("sys/class/block").join(name);
    let folder = match fs::canonicalize(&link) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            fs::canonicalize(root.join("sys/block").join(name))?
        }
        found => found?,
    };
    let dev = |name: &str| PathBuf::from("/dev").join(name);
    let (kind, whole) = kind(&folder, name);
    let text = |file: &str| text(&folder.join(file));
    let number = |file: &str| text(file).and_then(|t| t.parse::<u64>().ok());
    let numbers = text("dev").as_deref().and_then(pair).ok_or_else(|| invalid("dev"))?;
    let size = number("size").ok_or_else(|| invalid("size"))?;
    let attributes = whole.as_deref().unwrap_or(&folder);
    let block = self::text(&attributes.join("queue/logical_block_size"));
    Ok(Device {
        path: dev(name),
        number: numbers,
        sequence: number("diskseq"),
        kind: match kind {
            Some(Part::Of(disk)) => Kind::PartitionOf(dev(&disk)),
            Some(Part::Area) => Kind::Area,
            None => Kind::Whole,
        },
        bus: bus(attributes, name),
        removable: self::text(&attributes.join("removable")).as_deref() == Some("1"),
        // What is not known counts against it.
        read_only: text("ro").as_deref() != Some("0"),
        size: size.saturating_mul(SECTOR),
        block: block.and_then(|t| t.parse().ok()).unwrap_or(0),
        identity: identity(attributes),
        uses: in_use.of(&folder, name),
    })
}

enum Part {
    Of(String),
    Area,
}

/// What `name` is a part of, and the folder of that whole.
fn kind(folder: &Path, name: &str) -> (Option<Part>, Option<PathBuf>) {
    if folder.join("partition").exists() {
        let parent = folder.parent().map(Path::to_owned);
        let disk = parent.as_deref().and_then(last).unwrap_or_default();
        return (Some(Part::Of(disk)), parent);
    }
    // mmcblk0boot0, mmcblk0rpmb, mmcblk0gp0 (drivers/mmc/core/block.c).
    let after =
        name.strip_prefix("mmcblk").map(|n| n.trim_start_matches(|c: char| c.is_ascii_digit()));
    (after.is_some_and(|rest| !rest.is_empty()).then_some(Part::Area), None)
}

/// By the way sysfs leads to it.
fn bus(folder: &Path, name: &str) -> Bus {
    let way: Vec<&str> = folder.iter().filter_map(|c| c.to_str()).collect();
    let through = |what: &str| {
        way.iter().any(|c| {
            c.strip_prefix(what).is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit()))
        })
    };
    if way.contains(&"virtual") {
        return if name.starts_with("loop") { Bus::Loop } else { Bus::Other };
    }
    if through("usb") {
        Bus::Usb
    } else if through("mmc") {
        Bus::Mmc
    } else {
        Bus::Other
    }
}

/// SCSI disks (USB readers among them) say `vendor` and `model`, cards `name` and `cid`; the
/// serial number of a USB device is in a folder above.
fn identity(folder: &Path) -> Identity {
    let device = folder.join("device");
    let of = |file: &str| text(&device.join(file)).filter(|t| !t.is_empty());
    let words: Vec<String> =
        [of("vendor"), of("model"), of("name")].into_iter().flatten().collect();
    let backing = text(&folder.join("loop/backing_file"));
    let model =
        if words.is_empty() { backing.clone().unwrap_or_default() } else { words.join(" ") };
    let above = || {
        let above = fs::canonicalize(&device).ok()?;
        let usb = above.ancestors().find(|a| a.join("idVendor").exists())?;
        text(&usb.join("serial"))
    };
    let cid = of("cid");
    let serial = of("serial").filter(|_| cid.is_none()).or_else(above).or(backing);
    Identity { model, serial: serial.filter(|s| !s.is_empty()), cid }
}

/// "8:16"
pub(super) fn pair(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

pub(super) fn text(file: &Path) -> Option<String> {
    Some(fs::read_to_string(file).ok()?.trim().to_owned())
}

fn invalid(file: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("sysfs does not say its `{file}`"))
}
