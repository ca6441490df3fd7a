//! Everything in the image that could make swap space.

use super::Look;
use crate::error::Result;
use crate::recipe::amend::is_swap;

/// One mechanism that makes swap space.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Swap {
    /// dphys-swapfile (Raspberry Pi OS to Bookworm).
    Dphys,
    /// rpi-swap (Raspberry Pi OS Trixie).
    RpiSwap,
    /// systemd-zram-generator.
    ZramGenerator,
    /// zram-tools.
    ZramTools,
    /// Entries of /etc/fstab.
    Fstab,
    /// A `.swap` unit, by name.
    Unit(String),
}

pub(super) fn detect(look: &Look<'_>, unit_dir: &str) -> Result<Vec<Swap>> {
    let mut found = Vec::new();
    if look.any(&["/sbin/dphys-swapfile", "/usr/sbin/dphys-swapfile", "/etc/dphys-swapfile"])? {
        found.push(Swap::Dphys);
    }
    if look.any(&["/etc/rpi/swap.conf", "/usr/lib/rpi-swap", "/usr/lib/rpi/swap.conf"])? {
        found.push(Swap::RpiSwap);
    }
    let generator = ["/usr/lib/systemd/system-generators/zram-generator"];
    if look.any(&generator)? || look.unit("systemd-zram-setup@.service")? {
        found.push(Swap::ZramGenerator);
    }
    if look.unit("zramswap.service")? {
        found.push(Swap::ZramTools);
    }
    let fstab = look.0.read(b"/etc/fstab", super::TEXT_LIMIT)?.unwrap_or_default();
    if fstab.split(|&b| b == b'\n').any(is_swap) {
        found.push(Swap::Fstab);
    }
    let mut units: Vec<String> = Vec::new();
    for dir in [unit_dir, "/etc/systemd/system"] {
        units.extend(look.names(dir)?.into_iter().filter(|name| name.ends_with(".swap")));
    }
    units.sort();
    units.dedup();
    found.extend(units.into_iter().map(Swap::Unit));
    Ok(found)
}
