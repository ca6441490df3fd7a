//! From a checked profile and a cluster's secrets to the plan of one node.

use std::net::Ipv4Addr;

use nodeconf::{Address, DatabaseSecret, NodeSecrets, StaticAddress};

use super::Profile;
use super::arguments::{self, DATABASE};
use super::check::{Checked, Node};
use super::placement;
use super::plan::{
    ImageSource, IptablesWish, NetworkPlan, NodePlan, SystemPlan, UserPlan, WifiPlan,
};
use super::raw::{self, Identity, Role};
use super::secrets::ClusterSecrets;

/// The plan of the node at `index`.
pub fn plan(profile: &Profile, index: usize, secrets: &ClusterSecrets) -> NodePlan {
    let checked = &profile.checked;
    let node = &checked.nodes[index];
    let address = address(checked, node);
    let image = match &checked.image {
        ImageSource::File(path) => ImageSource::File(profile.folder.join(path)),
        other => other.clone(),
    };
    let server = node.role == Role::Server;
    NodePlan {
        profile: profile.name.clone(),
        cluster: cluster(checked, secrets),
        node: nodeconf::Node {
            name: node.name.clone(),
            role: role(node.role),
            address: address.clone(),
            interface: node.interface.clone(),
            incarnation: secrets.nodes.get(&node.name).map_or(1, |record| record.incarnation),
        },
        image,
        root_size: checked.root_size,
        k3s: arguments::plan(checked, node, secrets),
        system: system(&checked.raw.system),
        network: NetworkPlan {
            interface: node.interface.clone(),
            address,
            ntp: checked.raw.network.ntp.clone(),
            hosts: hosts(checked, node),
        },
        load_balancer: checked.load_balancer.clone(),
        manifests: if server { profile.manifests.clone() } else { Vec::new() },
        files: profile.files.clone(),
        pki: placement::plan(checked, node, secrets),
        secrets: node_secrets(checked, node, secrets),
        newest_input: profile.newest_input,
    }
}

/// As nodes know it.
pub fn cluster(profile: &Checked, secrets: &ClusterSecrets) -> nodeconf::Cluster {
    let raw = &profile.raw.cluster;
    nodeconf::Cluster {
        name: raw.name.clone(),
        id: secrets.id.clone(),
        topology: match raw.topology {
            raw::Topology::Single => nodeconf::Topology::Single,
            raw::Topology::EmbeddedEtcd => nodeconf::Topology::EmbeddedEtcd,
            raw::Topology::ExternalDatastore => nodeconf::Topology::ExternalDatastore,
        },
        vip: profile.vip.clone(),
        servers: servers(profile)
            .map(|n| nodeconf::Peer { name: n.name.clone(), address: n.address })
            .collect(),
        datastore: profile.datastore.clone(),
        bootstrap: match &raw.bootstrap {
            raw::Bootstrap::Majority => nodeconf::Bootstrap::Majority,
            raw::Bootstrap::All => nodeconf::Bootstrap::All,
            raw::Bootstrap::Designated(server) => {
                nodeconf::Bootstrap::Designated { server: server.clone() }
            }
        },
        failover: match raw.failover {
            raw::Failover::Default => nodeconf::Failover::Default,
            raw::Failover::Fast => nodeconf::Failover::Fast,
        },
    }
}

fn servers(profile: &Checked) -> impl Iterator<Item = &Node> {
    profile.nodes.iter().filter(|node| node.role == Role::Server)
}

/// As nodes know it.
pub fn role(role: Role) -> nodeconf::Role {
    match role {
        Role::Server => nodeconf::Role::Server,
        Role::Agent => nodeconf::Role::Agent,
        Role::Database => nodeconf::Role::Database,
    }
}

fn address(profile: &Checked, node: &Node) -> Address {
    node.address.map_or(Address::Dhcp, |address| {
        Address::Static(StaticAddress {
            address,
            prefix: profile.raw.network.prefix,
            gateway: profile.gateway,
            dns: profile.dns.clone(),
        })
    })
}

fn hosts(profile: &Checked, node: &Node) -> Vec<(Ipv4Addr, String)> {
    let others = profile.nodes.iter().filter(|other| other.name != node.name);
    let mut hosts: Vec<_> =
        others.filter_map(|other| Some((other.address?, other.name.clone()))).collect();
    hosts.sort();
    hosts
}

fn system(raw: &raw::System) -> SystemPlan {
    let users: Vec<UserPlan> = raw
        .users
        .iter()
        .map(|user| UserPlan {
            name: user.name.clone(),
            password_hash: user.password_hash.as_ref().map(nodeconf::Secret::new),
            ssh_keys: user.ssh_keys.clone(),
            sudo: user.sudo,
            shell: user.shell.clone(),
        })
        .collect();
    let can_enter = users.iter().any(|u| u.password_hash.is_some() || !u.ssh_keys.is_empty());
    SystemPlan {
        iptables: match raw.iptables {
            raw::Iptables::Legacy => IptablesWish::Legacy,
            raw::Iptables::Auto => IptablesWish::Auto,
            raw::Iptables::Bundled => IptablesWish::Bundled,
        },
        swap: match raw.swap {
            raw::Swap::Off => nodeconf::Swap::Off,
            raw::Swap::Keep => nodeconf::Swap::Keep,
        },
        timezone: raw.timezone.clone(),
        locale: raw.locale.clone(),
        ssh: raw.ssh.unwrap_or(can_enter),
        users,
        wifi: raw.wifi.as_ref().map(|wifi| WifiPlan {
            ssid: wifi.ssid.clone(),
            psk: wifi.psk.as_ref().map(nodeconf::Secret::new),
            country: wifi.country.clone(),
            hidden: wifi.hidden,
        }),
        packages: raw.packages.clone(),
        cloud_init: raw.identity == Identity::CloudInit,
    }
}

fn node_secrets(profile: &Checked, node: &Node, secrets: &ClusterSecrets) -> NodeSecrets {
    let server = node.role == Role::Server;
    let own_database = arguments::own_database(profile);
    let (name, user) = DATABASE;
    NodeSecrets {
        version: nodeconf::VERSION,
        server_token: server.then(|| secrets.server_token.clone()),
        agent_token: (node.role != Role::Database).then(|| secrets.agent_token.clone()),
        database: (own_database && node.role != Role::Agent).then(|| DatabaseSecret {
            name: name.into(),
            user: user.into(),
            password: secrets.database_password.clone(),
        }),
    }
}
