//! The node's address and its wireless network, in the words of whatever configures the network.

mod dhcpcd;
mod ifupdown;
pub(super) mod netplan;
mod networkd;
mod networkmanager;
mod wifi;

use nodeconf::{Address, StaticAddress};
use sha2::{Digest, Sha256};

use super::edit::Topic;
use super::steps::Steps;
use super::traits::{Manager, Traits};
use crate::profile::NodePlan;

pub(super) fn edits(traits: &Traits, plan: &NodePlan, steps: &mut Steps) {
    steps.about(Topic::Network);
    let fixed = match &plan.network.address {
        Address::Static(fixed) => Some(fixed),
        Address::Dhcp => None,
    };
    let wireless = plan.system.wifi.is_some() && plan.network.interface.starts_with("wl");
    if plan.system.cloud_init && !wireless {
        steps.note("cloud-init gives the node its address (network-config)");
    } else if let Some(fixed) = fixed.filter(|_| !wireless) {
        wired(traits.network, plan, fixed, steps);
    } else if fixed.is_none() {
        steps.note("the node asks the network for its address (DHCP)");
    }
    if let Some(wish) = &plan.system.wifi {
        let fixed = fixed.filter(|_| wireless);
        let interface = if wireless { &plan.network.interface } else { "wlan0" };
        wifi::edits(traits, &wifi::Wireless { plan, wish, interface, fixed }, steps);
    }
    time_servers(traits, plan, steps);
}

fn wired(manager: Manager, plan: &NodePlan, fixed: &StaticAddress, steps: &mut Steps) {
    let interface = plan.network.interface.as_str();
    match manager {
        Manager::Dhcpcd => dhcpcd::address(interface, fixed, steps),
        Manager::NetworkManager => {
            let id = connection_id(plan, interface);
            networkmanager::ethernet(interface, fixed, &id, steps);
        }
        Manager::NetplanForNetworkManager => {
            netplan::ethernet("NetworkManager", interface, fixed, steps);
        }
        Manager::NetplanForNetworkd => netplan::ethernet("networkd", interface, fixed, steps),
        Manager::Networkd => networkd::address(interface, fixed, steps),
        Manager::Ifupdown => ifupdown::address(interface, fixed, steps),
    }
}

/// systemd-timesyncd(8) reads drop-ins; other time services are the image's own affair.
fn time_servers(traits: &Traits, plan: &NodePlan, steps: &mut Steps) {
    if plan.network.ntp.is_empty() {
        return;
    }
    steps.about(Topic::Time).shared();
    if traits.timesyncd {
        let servers = plan.network.ntp.join(" ");
        let path = "/etc/systemd/timesyncd.conf.d/90-bake.conf";
        steps.write(path, 0o644, format!("[Time]\nNTP={servers}\n"));
    } else {
        steps.warn("network.ntp has no effect: the image has no systemd-timesyncd");
    }
}

/// A UUID for a NetworkManager connection: the same for the same cluster, node and interface.
fn connection_id(plan: &NodePlan, interface: &str) -> String {
    let name = format!("bake {} {} {interface}", plan.cluster.id, plan.node.name);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Sha256::digest(name.as_bytes())[..16]);
    // RFC 9562, version 8 (custom) and variant.
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// Addresses separated by `separator`.
fn join(addresses: &[std::net::Ipv4Addr], separator: &str) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}
