//! Addresses: readable, inside the nodes' network, and each used once.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Node, Subnet};
use crate::profile::faults::Faults;
use crate::profile::path::{Path, at};
use crate::profile::plan::LoadBalancer;
use crate::profile::raw::{self, LoadBalancerProvider, VipProvider};

/// Every address of a profile besides the nodes' own.
#[derive(Debug)]
pub struct Addresses {
    pub subnet: Option<Subnet>,
    pub vip: Option<nodeconf::Vip>,
    pub gateway: Option<Ipv4Addr>,
    pub dns: Vec<Ipv4Addr>,
    pub load_balancer: LoadBalancer,
}

/// Who already has an address.
type Owners = BTreeMap<Ipv4Addr, String>;

pub fn check(raw: &raw::Profile, nodes: &[Node], faults: &mut Faults<'_>) -> Addresses {
    let network = &raw.network;
    let gateway = network
        .gateway
        .as_ref()
        .and_then(|text| read_address(&at!("network", "gateway"), text, faults));
    let dns = network
        .dns
        .iter()
        .enumerate()
        .filter_map(|(i, text)| read_address(&at!("network", "dns", i), text, faults))
        .collect();
    for (i, server) in network.ntp.iter().enumerate() {
        if !is_host(server) {
            faults.add(&at!("network", "ntp", i), "neither a host name nor an address");
        }
    }
    let vip = read_vip(raw.cluster.vip.as_ref(), faults);
    let anchor = gateway
        .or_else(|| nodes.iter().find_map(|n| n.address))
        .or(vip.as_ref().map(|v| v.address));
    let subnet = anchor.map(|address| Subnet::around(address, network.prefix));
    let mut owners = Owners::new();
    if let Some(address) = gateway {
        claim(&at!("network", "gateway"), address, "the gateway", subnet, &mut owners, faults);
    }
    for node in nodes {
        if let Some(address) = node.address {
            let path = at!("nodes", node.entry, "address");
            // Of a range, the first fault says enough.
            if faults.spares(&path) {
                claim(&path, address, &node.name, subnet, &mut owners, faults);
            } else {
                owners.entry(address).or_insert_with(|| node.name.clone());
            }
        }
    }
    if let Some(vip) = &vip {
        // An address that something outside moves may be in another network.
        let net = subnet.filter(|_| vip.provider != nodeconf::VipProvider::None);
        claim(&at!("cluster", "vip", "address"), vip.address, "the VIP", net, &mut owners, faults);
    }
    warn_about_the_way_out(raw, nodes, faults);
    let load_balancer = load_balancer(&raw.cluster.load_balancer, subnet, &owners, faults);
    Addresses { subnet, vip, gateway, dns, load_balancer }
}

/// An IPv4 address that one host can own; anything else is reported.
pub(super) fn read_address(path: &Path, text: &str, faults: &mut Faults<'_>) -> Option<Ipv4Addr> {
    let Ok(address) = text.parse::<Ipv4Addr>() else {
        if text.parse::<Ipv6Addr>().is_ok() {
            faults.add(path, "IPv6 addresses are not supported: write an IPv4 address");
        } else if text.contains('/') {
            let help = "the length of the prefix goes to `network.prefix`";
            faults.advise(path, format!("`{text}` is not an IPv4 address"), help);
        } else {
            faults.add(path, format!("`{text}` is not an IPv4 address"));
        }
        return None;
    };
    let unusable = address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_broadcast();
    if unusable {
        faults.add(path, format!("{address} cannot be the address of a host"));
        return None;
    }
    Some(address)
}

fn read_vip(vip: Option<&raw::Vip>, faults: &mut Faults<'_>) -> Option<nodeconf::Vip> {
    let vip = vip?;
    let provider = match vip.provider {
        VipProvider::Keepalived => nodeconf::VipProvider::Keepalived,
        VipProvider::KubeVip => nodeconf::VipProvider::KubeVip,
        VipProvider::None => nodeconf::VipProvider::None,
    };
    let path = at!("cluster", "vip", "port");
    let usual = match provider {
        nodeconf::VipProvider::KubeVip => nodeconf::paths::API_PORT,
        _ => nodeconf::paths::VIP_PORT,
    };
    let port = vip.port.unwrap_or(usual);
    if provider == nodeconf::VipProvider::Keepalived && TAKEN_PORTS.contains(&port) {
        let message = format!("K3s itself listens on {port} on every server");
        faults.advise(&path, message, format!("leave the key out for {usual}"));
    }
    if provider == nodeconf::VipProvider::Keepalived && OUR_PORTS.contains(&port) {
        let message = format!("bake's own services listen on {port} on every server");
        faults.advise(&path, message, format!("leave the key out for {usual}"));
    }
    if provider == nodeconf::VipProvider::KubeVip && port != usual {
        faults.add(&path, format!("kube-vip moves the address of the API itself, port {usual}"));
    }
    let address = read_address(&at!("cluster", "vip", "address"), &vip.address, faults)?;
    Some(nodeconf::Vip { address, port, provider })
}

/// TCP ports of K3s and etcd on a server (K3s docs, requirements; facts B2).
const TAKEN_PORTS: [u16; 9] = [2379, 2380, 2381, 2382, 5001, 6443, 6444, 10010, 10250];

/// TCP ports of what bake adds to a server: HAProxy's answer to keepalived, and the witness.
const OUR_PORTS: [u16; 2] = [16442, nodeconf::paths::WITNESS_PORT];

/// Takes an address for `owner`; reports one that is taken or outside the network.
fn claim(
    path: &Path,
    address: Ipv4Addr,
    owner: &str,
    subnet: Option<Subnet>,
    owners: &mut Owners,
    faults: &mut Faults<'_>,
) {
    if let Some(net) = subnet.filter(|net| !net.has_host(address)) {
        let message = if net.contains(address) {
            format!("{address} is the network or broadcast address of {net}")
        } else {
            format!("{address} is outside the nodes' network {net}")
        };
        faults.advise(path, message, "see `network.gateway` and `network.prefix`");
    }
    if let Some(other) = owners.get(&address) {
        faults.add(path, format!("{address} is already the address of {other}"));
    } else {
        owners.insert(address, owner.to_owned());
    }
}

fn warn_about_the_way_out(raw: &raw::Profile, nodes: &[Node], faults: &mut Faults<'_>) {
    if !nodes.iter().any(|node| node.address.is_some()) {
        return;
    }
    if raw.network.gateway.is_none() {
        let message = "nodes with a fixed address get no default route: K3s needs one to start";
        faults.warn(&at!("network", "gateway"), message);
    }
    if raw.network.dns.is_empty() {
        let message = "nodes with a fixed address get no name server";
        faults.warn(&at!("network", "dns"), message);
    }
}

fn load_balancer(
    raw: &raw::LoadBalancer,
    subnet: Option<Subnet>,
    owners: &Owners,
    faults: &mut Faults<'_>,
) -> LoadBalancer {
    let path = at!("cluster", "load_balancer", "addresses");
    if raw.provider != LoadBalancerProvider::Metallb {
        if !raw.addresses.is_empty() {
            faults.add(&path, "only `metallb` hands out addresses of its own");
        }
        return match raw.provider {
            LoadBalancerProvider::None => LoadBalancer::None,
            _ => LoadBalancer::Servicelb,
        };
    }
    if raw.addresses.is_empty() {
        let help = "add a range, such as `addresses: [192.168.24.41-192.168.24.49]`";
        faults.advise(&path, "MetalLB has no addresses to hand out", help);
    }
    let mut ranges: Vec<(Ipv4Addr, Ipv4Addr)> = Vec::new();
    for (i, text) in raw.addresses.iter().enumerate() {
        let here = path.index(i);
        let Some(range) = read_range(&here, text, faults) else { continue };
        check_range(&here, range, subnet, owners, faults);
        if let Some(other) = ranges.iter().find(|other| range.0 <= other.1 && other.0 <= range.1) {
            faults.add(&here, format!("overlaps {}-{}", other.0, other.1));
        }
        ranges.push(range);
    }
    LoadBalancer::Metallb(ranges)
}

fn check_range(
    path: &Path,
    (first, last): (Ipv4Addr, Ipv4Addr),
    subnet: Option<Subnet>,
    owners: &Owners,
    faults: &mut Faults<'_>,
) {
    if let Some(net) = subnet
        && !(net.has_host(first) && net.has_host(last))
    {
        let message = format!("not all of {first}-{last} are hosts of the nodes' network {net}");
        faults.advise(path, message, "MetalLB answers ARP, which stays inside one network");
    }
    let mut held = owners.range(first..=last);
    if let Some((address, owner)) = held.next() {
        let more = match held.count() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        faults.add(path, format!("holds {address}, the address of {owner}{more}"));
    }
}

/// `a-b`, `a/prefix` or one address.
pub(super) fn read_range(
    path: &Path,
    text: &str,
    faults: &mut Faults<'_>,
) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let range = range_of(text);
    match range {
        None => faults.advise(
            path,
            format!("`{text}` is not a range of IPv4 addresses"),
            "write `192.168.24.41-192.168.24.49` or `192.168.24.48/29`",
        ),
        Some((first, last)) if first > last => {
            faults.add(path, format!("{first} comes after {last}"));
        }
        _ => {}
    }
    range.filter(|(first, last)| first <= last)
}

/// First and last of the addresses that a text stands for, whichever comes first.
pub(super) fn range_of(text: &str) -> Option<(Ipv4Addr, Ipv4Addr)> {
    if let Some((first, last)) = text.split_once('-') {
        first.trim().parse().ok().zip(last.trim().parse().ok())
    } else if text.contains('/') {
        Subnet::parse(text).map(|net| (net.first(), net.last()))
    } else {
        text.parse().ok().map(|one| (one, one))
    }
}

/// A host name (RFC 1123) or an IP address.
pub(super) fn is_host(text: &str) -> bool {
    let name = text.len() <= 253
        && text.split('.').all(|part| nodeconf::names::is_label(&part.to_ascii_lowercase()));
    name || text.parse::<std::net::IpAddr>().is_ok()
}
