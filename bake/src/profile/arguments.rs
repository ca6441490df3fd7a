//! K3s's `config.yaml` for each role (K3s docs, configuration; `k3s server --help`).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use nodeconf::{Secret, paths};
use serde_json::Value;

use super::check::{Checked, Node, SERVER_ONLY};
use super::k3s::K3sConfig;
use super::plan::{K3sPlan, LoadBalancer};
use super::raw::{self, Failover, Role};
use super::secrets::ClusterSecrets;

/// Database and role of a `database` node's PostgreSQL. `kubernetes` is what K3s itself assumes.
pub const DATABASE: (&str, &str) = ("kubernetes", "k3s");

/// What kubelet and the node controller do faster with `failover: fast`. A node's lease is
/// renewed every 10 s, so a grace below two renewals would evict healthy nodes.
///
/// The grace must also be longer than a client needs to see that its connection to an API server
/// is dead (kube-controller-manager, `--node-monitor-grace-period`); by default that is 45 s, in
/// which a healthy node that had spoken to the dead one would lose its pods (ADR 0099). K3s's
/// components read both times from its environment (apimachinery `pkg/util/net/http.go`).
const DEAD_CONNECTION: [(&str, &str); 2] =
    [("HTTP2_READ_IDLE_TIMEOUT_SECONDS", "4"), ("HTTP2_PING_TIMEOUT_SECONDS", "3")];
const STATUS_EVERY: &str = "node-status-update-frequency=4s";
const MONITOR: [&str; 2] = ["node-monitor-period=2s", "node-monitor-grace-period=20s"];
const TOLERATIONS: [&str; 2] =
    ["default-not-ready-toleration-seconds=0", "default-unreachable-toleration-seconds=0"];

/// The K3s of `node`; `None` for a database node.
pub fn plan(profile: &Checked, node: &Node, secrets: &ClusterSecrets) -> Option<K3sPlan> {
    let server = match node.role {
        Role::Server => true,
        Role::Agent => false,
        Role::Database => return None,
    };
    let mut config = K3sConfig::default();
    config.set("node-name", node.name.as_str());
    if let Some(address) = node.address {
        config.set("node-ip", address.to_string());
    }
    config.set("flannel-iface", node.interface.as_str());
    if server {
        server_keys(&mut config, profile)
    } else {
        agent_keys(&mut config, profile)
    }
    if profile.raw.cluster.failover == Failover::Fast {
        config.extend("kubelet-arg", [STATUS_EVERY]);
    }
    if profile.raw.system.iptables == raw::Iptables::Bundled {
        config.set("prefer-bundled-bin", true);
    }
    config.extend("node-label", node.labels.iter().map(String::as_str));
    config.extend("node-taint", node.taints.iter().map(String::as_str));
    pass_through(&mut config, &profile.raw.k3s.config, server);
    Some(K3sPlan {
        version: profile.raw.k3s.version.clone(),
        sha256: profile.raw.k3s.sha256.as_ref().map(|s| s.to_ascii_lowercase()),
        airgap: profile.raw.k3s.airgap,
        unit: if server { paths::K3S_SERVER_UNIT } else { paths::K3S_AGENT_UNIT },
        command: if server { "server" } else { "agent" },
        config,
        env: environment(profile, server, secrets),
        secret_files: secret_files(server, node, secrets),
    })
}

/// `cluster-init` and `server` are not here: `firstboot` decides at run time who founds the
/// cluster and who joins, and writes that to a file of its own.
fn server_keys(config: &mut K3sConfig, profile: &Checked) {
    config.set("token-file", paths::K3S_TOKEN);
    config.set("agent-token-file", paths::K3S_AGENT_TOKEN);
    if own_database(profile) {
        config.set("datastore-cafile", paths::DATABASE_CA);
    }
    config.extend("tls-san", tls_names(profile).iter().map(String::as_str));
    if profile.load_balancer != LoadBalancer::Servicelb {
        config.extend("disable", ["servicelb"]);
    }
    if profile.raw.cluster.failover == Failover::Fast {
        config.extend("kube-apiserver-arg", TOLERATIONS);
        config.extend("kube-controller-manager-arg", MONITOR);
    }
}

/// Every name and address a client may call a server by.
fn tls_names(profile: &Checked) -> Vec<String> {
    let servers = || profile.nodes.iter().filter(|n| n.role == Role::Server);
    let vip = profile.vip.iter().map(|vip| vip.address.to_string());
    let addresses = servers().filter_map(|n| n.address).map(|a| a.to_string());
    vip.chain(servers().map(|n| n.name.clone())).chain(addresses).collect()
}

fn agent_keys(config: &mut K3sConfig, profile: &Checked) {
    if let Some((address, port)) = entrance(profile) {
        config.set("server", format!("https://{address}:{port}"));
    }
    config.set("token-file", paths::K3S_AGENT_TOKEN);
}

/// Where agents join: the shared address, else the first server.
fn entrance(profile: &Checked) -> Option<(Ipv4Addr, u16)> {
    if let Some(vip) = &profile.vip {
        return Some((vip.address, vip.port));
    }
    let first = profile.nodes.iter().find(|n| n.role == Role::Server)?;
    Some((first.address?, paths::API_PORT))
}

/// The profile's own keys: lists are added to ours, anything else replaces ours.
fn pass_through(config: &mut K3sConfig, own: &serde_json::Map<String, Value>, server: bool) {
    for (key, value) in own {
        if !server && SERVER_ONLY.contains(&key.as_str()) {
            continue;
        }
        match value {
            Value::Null => {}
            Value::Array(items) => config.append(key, items.clone()),
            one if matches!(config.0.get(key), Some(Value::Array(_))) => {
                config.append(key, vec![one.clone()]);
            }
            one => config.set(key, one.clone()),
        }
    }
}

fn environment(
    profile: &Checked,
    server: bool,
    secrets: &ClusterSecrets,
) -> BTreeMap<String, Secret> {
    let mut env = BTreeMap::new();
    if profile.raw.cluster.failover == Failover::Fast {
        let quick = DEAD_CONNECTION.iter();
        env.extend(quick.map(|(name, value)| ((*name).to_owned(), Secret::new(*value))));
    }
    let own = profile.raw.k3s.env.iter();
    env.extend(own.map(|(name, value)| (name.clone(), Secret::new(value))));
    if let Some(endpoint) = datastore_endpoint(profile, secrets).filter(|_| server) {
        env.insert("K3S_DATASTORE_ENDPOINT".into(), endpoint);
    }
    env
}

/// Kept out of `config.yaml` because it holds the password (K3s docs, datastore).
fn datastore_endpoint(profile: &Checked, secrets: &ClusterSecrets) -> Option<Secret> {
    if let Some(datastore) = &profile.raw.cluster.datastore {
        return Some(Secret::new(&datastore.endpoint));
    }
    let host = profile.datastore.as_ref()?.hosts.first()?;
    let (database, user) = DATABASE;
    let password = secrets.database_password.expose();
    Some(Secret::new(format!("postgres://{user}:{password}@{host}/{database}?sslmode=verify-full")))
}

/// Whoever joins brings a token that names the CA it expects. For servers the agent token is the
/// password itself: they compare it as it stands (k3s `pkg/daemons/control/deps`, `getNodePass`).
fn secret_files(
    server: bool,
    node: &Node,
    secrets: &ClusterSecrets,
) -> BTreeMap<&'static str, Secret> {
    let mut files = BTreeMap::new();
    if server {
        let token = secrets.pki.pinned_token("server", &secrets.server_token);
        files.insert(paths::K3S_TOKEN, token);
        files.insert(paths::K3S_AGENT_TOKEN, secrets.agent_token.clone());
    } else {
        let token = secrets.pki.pinned_token("node", &secrets.agent_token);
        files.insert(paths::K3S_AGENT_TOKEN, token);
    }
    if let Some(record) = secrets.nodes.get(&node.name) {
        files.insert(paths::K3S_NODE_PASSWORD, record.password.clone());
    }
    files
}

/// Whether a node of the cluster runs its database.
pub fn own_database(profile: &Checked) -> bool {
    profile.datastore.as_ref().is_some_and(|datastore| datastore.node.is_some())
}
