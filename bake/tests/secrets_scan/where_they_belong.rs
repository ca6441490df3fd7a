//! Which node may have which secret, in which file, and who may read that.

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Server,
    Agent,
    Database,
}

#[derive(Clone, Copy)]
pub struct Node {
    pub name: &'static str,
    pub kind: Kind,
    /// Whether the cluster's servers share a database node.
    pub database: bool,
}

impl Node {
    pub fn server(name: &'static str) -> Self {
        Self { name, kind: Kind::Server, database: false }
    }

    pub fn agent(name: &'static str) -> Self {
        Self { name, kind: Kind::Agent, database: false }
    }

    pub fn database(name: &'static str) -> Self {
        Self { name, kind: Kind::Database, database: true }
    }
}

/// Mode and owner.
const ROOTS: &str = "0600 0";

/// A file, its mode and owner, the secrets that it has.
pub type Place = (&'static str, &'static str, Vec<&'static str>);

/// The keys of the root, of the witnesses' and the database's authority, of the operator, and the
/// VRRP password are in no image at all.
pub fn places(node: &Node) -> Vec<Place> {
    let (password, witness) = own(node.name);
    let mut places = vec![
        ("/etc/bake/witness/node.key", ROOTS, vec![witness]),
        ("/etc/own.key", ROOTS, vec!["profile.file"]),
        (
            "/etc/NetworkManager/system-connections/bake-wlan0.nmconnection",
            ROOTS,
            vec!["profile.psk"],
        ),
        // As Debian has it: group shadow reads it too.
        ("/etc/shadow", "0640 0", vec!["profile.hash"]),
    ];
    match node.kind {
        Kind::Server => places.extend(server(node, password)),
        Kind::Agent => places.extend([
            ("/etc/rancher/k3s/agent-token", ROOTS, vec!["agent_token"]),
            ("/etc/bake/secrets.json", ROOTS, vec!["agent_token"]),
            ("/etc/rancher/node/password", ROOTS, vec![password]),
            ("/etc/systemd/system/k3s-agent.service.env", ROOTS, vec!["profile.env"]),
        ]),
        Kind::Database => places.extend([
            ("/etc/bake/secrets.json", ROOTS, vec!["database_password"]),
            ("/etc/bake/database/server.key", ROOTS, vec!["pki.database.key"]),
        ]),
    }
    places
}

fn server(node: &Node, password: &'static str) -> Vec<Place> {
    let mut secrets = vec!["server_token", "agent_token"];
    let mut environment = vec!["profile.env"];
    if node.database {
        secrets.push("database_password");
        environment.push("database_password");
    }
    let mut places = vec![
        ("/etc/rancher/k3s/server-token", ROOTS, vec!["server_token"]),
        ("/etc/rancher/k3s/agent-token", ROOTS, vec!["agent_token"]),
        ("/etc/bake/secrets.json", ROOTS, secrets),
        ("/etc/bake/api/admin.key", ROOTS, vec!["pki.admin.key"]),
        ("/etc/rancher/node/password", ROOTS, vec![password]),
        ("/etc/systemd/system/k3s.service.env", ROOTS, environment),
        ("/var/lib/rancher/k3s/server/tls/server-ca.key", ROOTS, vec!["pki.k3s.server.key"]),
        ("/var/lib/rancher/k3s/server/tls/client-ca.key", ROOTS, vec!["pki.k3s.client.key"]),
        (
            "/var/lib/rancher/k3s/server/tls/request-header-ca.key",
            ROOTS,
            vec!["pki.k3s.request_header.key"],
        ),
        (
            "/var/lib/rancher/k3s/server/tls/etcd/server-ca.key",
            ROOTS,
            vec!["pki.k3s.etcd_server.key"],
        ),
        ("/var/lib/rancher/k3s/server/tls/etcd/peer-ca.key", ROOTS, vec!["pki.k3s.etcd_peer.key"]),
        ("/var/lib/rancher/k3s/server/tls/service.key", ROOTS, vec!["pki.service_key"]),
    ];
    if !node.database {
        places.push(("/etc/rancher/k3s/config.yaml", ROOTS, vec!["profile.config"]));
    }
    places
}

fn own(name: &str) -> (&'static str, &'static str) {
    match name {
        "node1" => ("nodes.node1.password", "nodes.node1.witness.key"),
        "node2" => ("nodes.node2.password", "nodes.node2.witness.key"),
        "node3" => ("nodes.node3.password", "nodes.node3.witness.key"),
        "worker1" => ("nodes.worker1.password", "nodes.worker1.witness.key"),
        "db1" => ("nodes.db1.password", "nodes.db1.witness.key"),
        _ => panic!("no node of these profiles: {name}"),
    }
}
