//! Openings for what K3s's nodes say to each other, where a firewall is installed.
//!
//! Ports: K3s docs, installation/requirements. Flannel's VXLAN is UDP 8472 (the paper this work
//! starts from prints 8470).

use nodeconf::{Role, Topology, VipProvider, paths};

use super::amend::{Amendment, Opening, Protocol};
use super::edit::Topic;
use super::steps::Steps;
use super::traits::{Firewall, Traits};
use crate::profile::NodePlan;

const SERVICE: &str = "bake-k3s";

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
                steps.amend("/etc/ufw/user.rules", Amendment::UfwRules(openings.clone()));
            }
            Firewall::Firewalld { zone, definition } => {
                firewalld(zone, definition, &openings, steps);
            }
        }
    }
}

fn port(protocol: Protocol, first: u16, last: u16) -> Opening {
    Opening::Ports { protocol, first, last }
}

/// What this node must let in.
fn openings(plan: &NodePlan) -> Vec<Opening> {
    use Protocol::{Tcp, Udp};
    let Some(k3s) = &plan.k3s else {
        return vec![port(Tcp, paths::POSTGRES_PORT, paths::POSTGRES_PORT)];
    };
    let mut all = Vec::new();
    if plan.node.role == Role::Server {
        all.push(port(Tcp, paths::API_PORT, paths::API_PORT));
        if let Some(vip) =
            plan.cluster.vip.as_ref().filter(|v| v.provider == VipProvider::Keepalived)
        {
            all.push(port(Tcp, vip.port, vip.port));
        }
        if plan.cluster.topology == Topology::EmbeddedEtcd {
            all.push(port(Tcp, 2379, 2380));
        }
    }
    let text = |key: &str| k3s.config.0.get(key).and_then(|value| value.as_str());
    all.push(port(Tcp, 10250, 10250));
    all.push(match text("flannel-backend") {
        Some("wireguard-native") => port(Udp, 51820, 51821),
        _ => port(Udp, 8472, 8472),
    });
    // Pods and services; of two families only IPv4 is ours.
    for (key, default) in [("cluster-cidr", "10.42.0.0/16"), ("service-cidr", "10.43.0.0/16")] {
        let network = text(key).and_then(|v| v.split(',').find(|n| !n.contains(':')));
        all.push(Opening::From(network.unwrap_or(default).to_owned()));
    }
    all
}

fn list(openings: &[Opening]) -> String {
    openings.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// `insert` puts the rules before a final `drop` of the chain; the whole file is one transaction.
fn nftables(openings: &[Opening]) -> String {
    openings
        .iter()
        .map(|opening| match opening {
            Opening::Ports { protocol, first, last } if first == last => {
                format!("insert rule inet filter input {protocol} dport {first} accept\n")
            }
            Opening::Ports { protocol, first, last } => {
                format!("insert rule inet filter input {protocol} dport {first}-{last} accept\n")
            }
            Opening::From(network) => {
                format!("insert rule inet filter input ip saddr {network} accept\n")
            }
        })
        .collect()
}

/// firewalld.service(5) and firewalld.zone(5).
fn firewalld(zone: &str, definition: &[u8], openings: &[Opening], steps: &mut Steps) {
    let mut ports = String::new();
    let mut sources = String::new();
    for opening in openings {
        match opening {
            Opening::Ports { protocol, first, last } => {
                let range =
                    if first == last { first.to_string() } else { format!("{first}-{last}") };
                ports += &format!("  <port protocol=\"{protocol}\" port=\"{range}\"/>\n");
            }
            Opening::From(network) => {
                sources += &format!("  <source address=\"{network}\"/>\n");
            }
        }
    }
    const HEAD: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n";
    let service = format!("{HEAD}<service>\n  <short>K3s</short>\n{ports}</service>\n");
    steps.write(format!("/etc/firewalld/services/{SERVICE}.xml"), 0o644, service);
    let zone_file = format!("/etc/firewalld/zones/{zone}.xml");
    let opened = Amendment::FirewalldService(SERVICE.into()).apply(definition);
    steps.write(zone_file, 0o644, opened);
    if !sources.is_empty() && zone != "trusted" {
        let trusted =
            format!("{HEAD}<zone target=\"ACCEPT\">\n  <short>Trusted</short>\n{sources}</zone>\n");
        steps.write("/etc/firewalld/zones/trusted.xml", 0o644, trusted);
    }
}
