//! What configures the network.

use super::Look;
use crate::error::Result;

/// The program whose files say how the network is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// dhcpcd (Raspberry Pi OS to Bullseye).
    Dhcpcd,
    /// NetworkManager with keyfiles (Raspberry Pi OS Bookworm).
    NetworkManager,
    /// netplan, for NetworkManager (Raspberry Pi OS Trixie).
    NetplanForNetworkManager,
    /// netplan, for systemd-networkd (Ubuntu, Debian's cloud images).
    NetplanForNetworkd,
    /// systemd-networkd by itself.
    Networkd,
    /// Debian's /etc/network/interfaces.
    Ifupdown,
}

pub(super) const UNKNOWN: &str =
    "none of netplan, NetworkManager, dhcpcd, systemd-networkd and ifupdown configures its network";

pub(super) fn detect(look: &Look<'_>) -> Result<Option<Manager>> {
    let wanted = |unit: &str| look.enabled("multi-user.target", unit);
    let network_manager = wanted("NetworkManager.service")?;
    if look.any(&["/usr/sbin/netplan", "/usr/lib/netplan/generate", "/lib/netplan/generate"])? {
        return Ok(Some(if network_manager {
            Manager::NetplanForNetworkManager
        } else {
            Manager::NetplanForNetworkd
        }));
    }
    Ok(if network_manager {
        Some(Manager::NetworkManager)
    } else if wanted("dhcpcd.service")? && look.exists("/etc/dhcpcd.conf")? {
        Some(Manager::Dhcpcd)
    } else if wanted("systemd-networkd.service")? {
        Some(Manager::Networkd)
    } else if look.any(&["/sbin/ifup", "/usr/sbin/ifup"])? {
        Some(Manager::Ifupdown)
    } else {
        None
    })
}
