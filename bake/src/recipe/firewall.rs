//! Openings for what the nodes say to each other, where a firewall is installed.
//!
//! Ports: K3s docs, installation/requirements. Flannel's VXLAN is UDP 8472 (the paper this work
//! starts from prints 8470). docs/networking.md has the table.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use nodeconf::{Role, Topology, VipProvider, paths};

use super::amend::{Amendment, Opening, Protocol, range};
use super::edit::Topic;
use super::steps::Steps;
use super::traits::{Firewall, Traits};
use crate::profile::{K3sPlan, LoadBalancer, NodePlan};

const SERVICE: &str = "bake-k3s";
/// VRRP (RFC 5798, 5.1.1.4).
const VRRP: u8 = 112;

pub(super) fn edits(traits: &Traits, plan: &NodePlan, steps: &mut Steps) {
    steps.about(Topic::Firewall);
    let openings = openings(plan);
    for firewall in &traits.firewalls {
        match firewall {
            Firewall::Nftables { input_chain: true, .. } => {
                steps.amend("/etc/nftables.conf", Amendment::Block { body: nftables(&openings) });
            }
            Firewall::Nftables { input_chain: false, enabled: true } => steps.warn(format!(
                "/etc/nftables.conf has no chain `inet filter input` to open ports in; the node \
                 needs: {}",
                list(&openings)
            )),
            Firewall::Nftables { input_chain: false, enabled: false } => {}
            Firewall::Ufw => {
                let (ip, others): (Vec<_>, Vec<_>) = openings
                    .iter()
                    .cloned()
                    .partition(|opening| matches!(opening, Opening::Ip { .. }));
                steps.amend("/etc/ufw/user.rules", Amendment::UfwRules(others));
                if !ip.is_empty() {
                    steps.amend("/etc/ufw/before.rules", Amendment::UfwBefore(ip));
                }
            }
            Firewall::Firewalld { zone, definition } => {
                firewalld(zone, definition, &openings, steps);
            }
        }
    }
}

fn ports(protocol: Protocol, first: u16, last: u16, from: Option<Ipv4Addr>) -> Opening {
    Opening::Ports { protocol, first, last, from }
}

fn port(protocol: Protocol, port: u16) -> Opening {
    ports(protocol, port, port, None)
}

/// What this node must let in.
fn openings(plan: &NodePlan) -> Vec<Opening> {
    use Protocol::Tcp;
    // For the other nodes, and for `bake status` wherever it runs.
    let mut all = vec![port(Tcp, paths::WITNESS_PORT)];
    if plan.node.role == Role::Database {
        let database = paths::POSTGRES_PORT;
        all.extend(servers(plan).map(|server| ports(Tcp, database, database, Some(server))));
    }
    if plan.node.role == Role::Server {
        server(plan, &mut all);
    }
    if let Some(k3s) = &plan.k3s {
        pods(plan, k3s, &mut all);
    }
    all
}

/// Addresses of the servers other than the node.
fn servers(plan: &NodePlan) -> impl Iterator<Item = Ipv4Addr> {
    let others = plan.cluster.servers.iter().filter(|server| server.name != plan.node.name);
    others.filter_map(|server| server.address)
}

fn server(plan: &NodePlan, all: &mut Vec<Opening>) {
    use Protocol::Tcp;
    all.push(port(Tcp, paths::API_PORT));
    let vip = plan.cluster.vip.as_ref();
    if let Some(vip) = vip.filter(|vip| vip.provider == VipProvider::Keepalived) {
        all.push(port(Tcp, vip.port));
        all.extend(servers(plan).map(|from| Opening::Ip { number: VRRP, from }));
    }
    if plan.cluster.topology == Topology::EmbeddedEtcd {
        all.extend(servers(plan).map(|server| ports(Tcp, 2379, 2380, Some(server))));
    }
}

/// Agents may have any address: what they need is open to all.
fn pods(plan: &NodePlan, k3s: &K3sPlan, all: &mut Vec<Opening>) {
    use Protocol::{Tcp, Udp};
    let text = |key: &str| k3s.config.0.get(key).and_then(|value| value.as_str());
    all.push(port(Tcp, 10250));
    all.push(match text("flannel-backend") {
        Some("wireguard-native") => ports(Udp, 51820, 51821, None),
        _ => port(Udp, 8472),
    });
    if matches!(plan.load_balancer, LoadBalancer::Metallb(_)) {
        // Its speakers tell each other who is there (MetalLB docs, requirements).
        all.extend([port(Tcp, 7946), port(Udp, 7946)]);
    }
    if k3s.config.0.get("embedded-registry").and_then(serde_json::Value::as_bool) == Some(true) {
        all.push(port(Tcp, 5001));
    }
    // Pods and services; of two families only IPv4 is ours.
    for (key, default) in [("cluster-cidr", "10.42.0.0/16"), ("service-cidr", "10.43.0.0/16")] {
        let network = text(key).and_then(|v| v.split(',').find(|n| !n.contains(':')));
        all.push(Opening::From(network.unwrap_or(default).to_owned()));
    }
}

fn list(openings: &[Opening]) -> String {
    openings.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// `insert` puts the rules before a final `drop` of the chain; the whole file is one transaction.
/// What only some machines may names a set of them, to which a server adds those that come later.
fn nftables(openings: &[Opening]) -> String {
    let set = format!("inet filter {}", paths::NFT_SERVERS);
    let (mut addresses, mut rules) = (BTreeSet::new(), Vec::new());
    let only = format!("ip saddr @{} ", paths::NFT_SERVERS);
    for opening in openings {
        let matched = match opening {
            Opening::Ports { protocol, first, last, from } => {
                addresses.extend(from);
                let from = from.map_or("", |_| &only);
                format!("{from}{protocol} dport {}", range(*first, *last, "-"))
            }
            Opening::Ip { number, from } => {
                addresses.insert(*from);
                format!("{only}ip protocol {number}")
            }
            Opening::From(network) => format!("ip saddr {network}"),
        };
        let rule = format!("insert rule inet filter input {matched} accept\n");
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    let mut text = String::new();
    if !addresses.is_empty() {
        let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let all = all.join(", ");
        text = format!("add set {set} {{ type ipv4_addr; }}\nadd element {set} {{ {all} }}\n");
    }
    text + &rules.concat()
}

/// firewalld.service(5), firewalld.zone(5) and, for what only some may, firewalld.richlanguage(5).
fn firewalld(zone: &str, definition: &[u8], openings: &[Opening], steps: &mut Steps) {
    const HEAD: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n";
    let (mut opened, mut trusted) = (String::new(), String::new());
    let mut elements = vec![format!("<service name=\"{SERVICE}\"/>")];
    let mut only = |from: &Ipv4Addr, what: String| {
        elements.push(format!(
            "<rule family=\"ipv4\"><source address=\"{from}\"/>{what}<accept/></rule>"
        ));
    };
    for opening in openings {
        match opening {
            Opening::Ports { protocol, first, last, from } => {
                let ports = range(*first, *last, "-");
                let element = format!("<port protocol=\"{protocol}\" port=\"{ports}\"/>");
                match from {
                    Some(from) => only(from, element),
                    None => opened += &format!("  {element}\n"),
                }
            }
            Opening::Ip { number, from } => only(from, format!("<protocol value=\"{number}\"/>")),
            Opening::From(network) => {
                trusted += &format!("  <source address=\"{network}\"/>\n");
            }
        }
    }
    let service = format!("{HEAD}<service>\n  <short>K3s</short>\n{opened}</service>\n");
    steps.write(format!("/etc/firewalld/services/{SERVICE}.xml"), 0o644, service);
    let zone_file = format!("/etc/firewalld/zones/{zone}.xml");
    steps.write(zone_file, 0o644, Amendment::FirewalldZone(elements).apply(definition));
    if !trusted.is_empty() && zone != "trusted" {
        let text =
            format!("{HEAD}<zone target=\"ACCEPT\">\n  <short>Trusted</short>\n{trusted}</zone>\n");
        steps.write("/etc/firewalld/zones/trusted.xml", 0o644, text);
    }
}
