//! Opening a device through udisks2, which lets the person at the desktop write cards.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::dbus::{Bus, Call, Failure};
use crate::device::Device;
use crate::sys;

const NAME: &str = "org.freedesktop.UDisks2";

/// Asks udisks2 for the open device, which asks the user where its policy says so.
///
/// # Errors
/// Why there is none: no udisks2, or what it answered.
pub fn open(device: &Device) -> Result<File, Failure> {
    open_at(&Bus::system(), device)
}

fn open_at(bus: &Path, device: &Device) -> Result<File, Failure> {
    let name = device.path.file_name().unwrap_or_default().to_string_lossy();
    let mut bus = Bus::connect(bus)?;
    let flags = sys::disk::flags().bits();
    let fd: OwnedFd = bus.call_for_fd(&Call {
        destination: NAME,
        path: &format!("/org/freedesktop/UDisks2/block_devices/{}", escape(&name)),
        interface: "org.freedesktop.UDisks2.Block",
        member: "OpenDevice",
        body: Some(("rw", "flags", flags)),
    })?;
    Ok(File::from(fd))
}

/// As udisks2 names its objects: what is no letter or digit is `_` and two hex digits.
fn escape(name: &str) -> String {
    let mut path = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("_{byte:02x}"));
        }
    }
    path
}

#[cfg(test)]
#[path = "udisks_tests.rs"]
mod tests;
