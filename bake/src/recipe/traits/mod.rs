//! What a base image is, read from the image itself: never from its file name.
//!
//! Everything a recipe asks about the image is in [`Traits`], so that a recipe is a pure function
//! and can be tested against a description of any release.

mod accounts;
mod arch;
mod imager;
mod kernel;
mod network;
mod os;
mod services;
mod swap;

pub use accounts::{Account, Accounts};
pub use arch::{HEADER, of_elf};
pub use imager::Imager;
pub use kernel::{CommandLine, Growth};
pub use network::Manager;
pub use os::Os;
pub use services::{Firewall, Iptables};
pub use swap::Swap;

use std::collections::BTreeMap;

use crate::arch::Arch;
use crate::error::{Error, Result};
use crate::fs::root::Root;
use crate::fs::{FileKind, fstab};

/// No text file we look into may be larger.
pub(super) const TEXT_LIMIT: u64 = 4 << 20;

/// A base image as a recipe sees it.
#[derive(Debug, Clone)]
pub struct Traits {
    /// Distribution and release.
    pub os: Os,
    /// What its programs run on.
    pub architecture: Arch,
    /// Where the FAT partition is mounted, if it is.
    pub boot_mount: Option<String>,
    /// Where the kernel's command line comes from.
    pub command_line: CommandLine,
    /// How the root file system grows on the first boot.
    pub growth: Growth,
    /// What configures the network.
    pub network: Manager,
    /// Whether wpa_supplicant is there.
    pub wpa_supplicant: bool,
    /// cloud-init, and the folder of its NoCloud seed where that is on the boot partition.
    pub cloud_init: Option<CloudInit>,
    /// What Raspberry Pi Imager or a person put on the boot partition.
    pub imager: Vec<Imager>,
    /// Everything that could make swap space.
    pub swap: Vec<Swap>,
    /// The iptables package.
    pub iptables: Iptables,
    /// Firewalls installed.
    pub firewalls: Vec<Firewall>,
    /// Raspberry Pi OS's wizard that waits for a person to name the first user.
    pub user_wizard: bool,
    /// /etc/sudoers.d is there.
    pub sudo: bool,
    /// sshd's unit: `ssh.service`, if sshd is installed, and whether a socket starts it instead.
    pub ssh: Option<Ssh>,
    /// The package fake-hwclock.
    pub fake_hwclock: bool,
    /// systemd-timesyncd.
    pub timesyncd: bool,
    /// systemd-time-wait-sync, which makes `time-sync.target` mean what it says.
    pub time_wait_sync: bool,
    /// The time zone database.
    pub zoneinfo: bool,
    /// `/etc/timezone` is there (Debian up to 12).
    pub etc_timezone: bool,
    /// Accounts and groups.
    pub accounts: Accounts,
    /// Files of /etc/skel with their content and mode, by name.
    pub skeleton: BTreeMap<String, (Vec<u8>, u16)>,
    /// `/etc/machine-id` names one machine, so that every copy of the image would share it.
    pub machine_id_fixed: bool,
    /// Folder of the distribution's units: `/usr/lib/systemd/system`, or `/lib/systemd/system`
    /// where /usr is not merged.
    pub unit_dir: &'static str,
    /// Newest modification time among the files that say what the image is, seconds since 1970.
    pub built: i64,
}

/// cloud-init in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudInit {
    /// The boot partition's folder that holds `user-data`.
    pub seed: Option<String>,
}

/// sshd in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ssh {
    /// Whether `ssh.socket` is enabled and so starts it.
    pub socket: bool,
    /// Whether it has host keys, or something that makes them.
    pub host_keys: bool,
}

impl Traits {
    /// Reads them from a system with its boot partition mounted.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for an image we do not understand, with what was seen.
    pub fn detect(root: &Root) -> Result<Self> {
        let look = Look(root);
        let os = os::detect(&look)?;
        if !look.is_dir("/etc/systemd/system")? {
            return Err(unsupported(&os, "it has no /etc/systemd/system: systemd is needed"));
        }
        let unit_dir = ["/usr/lib/systemd/system", "/lib/systemd/system"]
            .into_iter()
            .find(|dir| matches!(look.is_dir(dir), Ok(true)))
            .ok_or_else(|| unsupported(&os, "no folder of systemd units in /usr/lib or /lib"))?;
        let boot_mount = boot_mount(&look)?;
        let command_line = kernel::command_line(&look, boot_mount.as_deref())?;
        let cloud_init = services::cloud_init(&look, boot_mount.as_deref())?;
        Ok(Self {
            architecture: arch::detect(&look)?,
            growth: kernel::growth(&look, &command_line, cloud_init.is_some())?,
            network: network::detect(&look)
                .and_then(|found| found.ok_or_else(|| unsupported(&os, network::UNKNOWN)))?,
            imager: imager::detect(&look, boot_mount.as_deref(), &command_line)?,
            wpa_supplicant: look.any(&["/usr/sbin/wpa_supplicant", "/sbin/wpa_supplicant"])?,
            swap: swap::detect(&look, unit_dir)?,
            iptables: services::iptables(&look)?,
            firewalls: services::firewalls(&look)?,
            user_wizard: look.unit("userconfig.service")?,
            sudo: look.is_dir("/etc/sudoers.d")?,
            ssh: services::ssh(&look)?,
            fake_hwclock: look.any(&["/sbin/fake-hwclock", "/usr/sbin/fake-hwclock"])?,
            timesyncd: look.unit("systemd-timesyncd.service")?,
            time_wait_sync: look.unit("systemd-time-wait-sync.service")?,
            zoneinfo: look.is_dir("/usr/share/zoneinfo")?,
            etc_timezone: look.exists("/etc/timezone")?,
            accounts: Accounts::detect(&look)?,
            skeleton: accounts::skeleton(&look)?,
            machine_id_fixed: look.text("/etc/machine-id")?.is_some_and(|id| is_machine_id(&id)),
            built: built(&look)?,
            boot_mount,
            command_line,
            cloud_init,
            unit_dir,
            os,
        })
    }
}

/// Where the system mounts its FAT partition, from its fstab: a mount point at or below /boot.
///
/// # Errors
/// [`Error::Unsupported`] where no partition of the image is what the fstab means.
fn boot_mount(look: &Look<'_>) -> Result<Option<String>> {
    let fstab = look.text("/etc/fstab")?.unwrap_or_default();
    let mut points: Vec<String> = fstab::parse(&fstab)
        .into_iter()
        .filter(|m| m.format == "vfat" && (m.at == "/boot" || m.at.starts_with("/boot/")))
        .map(|m| m.at.trim_end_matches('/').to_owned())
        .collect();
    // A Raspberry Pi that also has an EFI partition boots from the other one.
    points.sort_by_key(|point| point == "/boot/efi");
    let Some(point) = points.into_iter().next() else { return Ok(None) };
    if look.0.trees().any(|(at, _)| at == point.as_bytes()) {
        return Ok(Some(point));
    }
    Err(Error::Unsupported {
        what: "the image".into(),
        feature: format!("its fstab mounts at {point} what is no readable partition of it"),
    })
}

/// When the image was made, as far as its own files say: never from the host's clock.
fn built(look: &Look<'_>) -> Result<i64> {
    let mut newest = 0;
    let files = [
        "/etc/os-release",
        "/etc/rpi-issue",
        "/var/lib/dpkg/status",
        "/var/lib/systemd/timesync/clock",
    ];
    for path in files {
        if let Some(found) = look.0.stat(path.as_bytes())? {
            newest = newest.max(found.attributes.mtime);
        }
    }
    Ok(newest)
}

/// machine-id(5): 32 hexadecimal digits; what is not set yet is empty or `uninitialized`.
fn is_machine_id(text: &str) -> bool {
    let id = text.trim_end();
    id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())
}

fn unsupported(os: &Os, why: &str) -> Error {
    Error::Unsupported { what: format!("the image ({os})"), feature: why.to_owned() }
}

/// Questions about a system, asked by path.
pub(super) struct Look<'r>(pub &'r Root);

impl Look<'_> {
    pub(super) fn exists(&self, path: &str) -> Result<bool> {
        Ok(self.0.stat(path.as_bytes())?.is_some())
    }

    pub(super) fn any(&self, paths: &[&str]) -> Result<bool> {
        for path in paths {
            if self.exists(path)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn is_dir(&self, path: &str) -> Result<bool> {
        Ok(self.0.stat(path.as_bytes())?.is_some_and(|m| m.kind == FileKind::Directory))
    }

    /// Content of a text file; bytes that are no UTF-8 are replaced, which is right for looking
    /// and wrong for writing back.
    pub(super) fn text(&self, path: &str) -> Result<Option<String>> {
        let bytes = self.0.read(path.as_bytes(), TEXT_LIMIT)?;
        Ok(bytes.map(|b| String::from_utf8_lossy(&b).into_owned()))
    }

    /// Names in a directory, those that are no UTF-8 left out; empty where there is none.
    pub(super) fn names(&self, path: &str) -> Result<Vec<String>> {
        if !self.is_dir(path)? {
            return Ok(Vec::new());
        }
        let entries = self.0.read_dir(path.as_bytes())?;
        Ok(entries.into_iter().filter_map(|e| String::from_utf8(e.name).ok()).collect())
    }

    /// Whether a unit is installed by a package.
    pub(super) fn unit(&self, name: &str) -> Result<bool> {
        self.any(&[
            &format!("/usr/lib/systemd/system/{name}"),
            &format!("/lib/systemd/system/{name}"),
        ])
    }

    /// Whether a unit is enabled by a link in some target's folder.
    pub(super) fn enabled(&self, target: &str, name: &str) -> Result<bool> {
        let link = format!("/etc/systemd/system/{target}.wants/{name}");
        Ok(self.0.lstat(link.as_bytes())?.is_some())
    }
}
