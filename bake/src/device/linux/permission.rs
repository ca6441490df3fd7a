//! Why a device cannot be opened, and what lets one do so.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use super::dbus::Failure;
use crate::device::Device;
use crate::error::Error;

/// The error of a device that may not be opened, with what is missing.
pub fn explain(device: &Device, source: io::Error, asked: &Failure) -> Error {
    let path = device.path.display();
    let group = fs::metadata(&device.path).ok().and_then(|m| group(m.gid()));
    let join = match group.as_deref() {
        Some("root") | None => String::new(),
        Some(group) => format!("join its group (`usermod -aG {group} $USER`, then log in anew), "),
    };
    Error::io("opening", &device.path, source).hint(format!(
        "writing {path} takes a permission: run as root, {join}allow it by a udev rule \
         (docs/flashing.md has one), or have udisks2 open it ({asked})"
    ))
}

/// Name of a group of this computer.
fn group(id: u32) -> Option<String> {
    let groups = fs::read_to_string("/etc/group").ok()?;
    let id = id.to_string();
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    })
}
