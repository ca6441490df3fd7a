//! Topology: which nodes a cluster needs, and what goes with what.

use super::Node;
use super::nodes::check_name;
use crate::profile::faults::{Faults, did_you_mean};
use crate::profile::path::at;
use crate::profile::raw::{self, Bootstrap, Role, Topology};

pub fn check(
    raw: &raw::Profile,
    nodes: &[Node],
    faults: &mut Faults<'_>,
) -> Option<nodeconf::Datastore> {
    check_name(&at!("cluster", "name"), &raw.cluster.name, "cluster", faults);
    let servers = nodes.iter().filter(|node| node.role == Role::Server).count();
    if servers == 0 {
        let help = "give one node `role: server`";
        faults.advise(&at!("nodes"), "a cluster needs a server", help);
    }
    match raw.cluster.topology {
        Topology::Single => single(raw, servers, faults),
        Topology::EmbeddedEtcd => embedded_etcd(servers, faults),
        Topology::ExternalDatastore => {}
    }
    check_reachable(raw, nodes, faults);
    check_bootstrap(raw, nodes, faults);
    datastore(raw, nodes, faults)
}

fn single(raw: &raw::Profile, servers: usize, faults: &mut Faults<'_>) {
    if servers > 1 {
        faults.advise(
            &at!("cluster", "topology"),
            format!("`single` has one server, {servers} are declared"),
            "use `embedded-etcd` for 3 servers, `external-datastore` for 2",
        );
    }
    if raw.cluster.vip.is_some() {
        faults.add(&at!("cluster", "vip"), "one server has nobody to share an address with");
    }
}

fn embedded_etcd(servers: usize, faults: &mut Faults<'_>) {
    let path = at!("cluster", "topology");
    if servers == 2 {
        faults.advise(
            &path,
            "two servers with etcd stop when either stops: worse than one",
            "declare 1 or 3 servers, or use `external-datastore`",
        );
    } else if servers > 2 && servers.is_multiple_of(2) {
        let message = format!(
            "{servers} servers survive no more losses than {}: an odd number is better",
            servers - 1
        );
        faults.warn(&path, message);
    }
    if servers > 7 {
        faults.warn(&path, "etcd gets slower with each server: 3 or 5 is usual, 7 the most");
    }
}

/// Servers that others must find need a fixed address.
fn check_reachable(raw: &raw::Profile, nodes: &[Node], faults: &mut Faults<'_>) {
    let vip = raw.cluster.vip.is_some();
    let many = raw.cluster.topology != Topology::Single;
    let agents = nodes.iter().any(|node| node.role == Role::Agent);
    for node in nodes {
        let path = at!("nodes", node.entry, "address");
        let known = faults.spares(&path) && faults.is_whole(&at!("nodes", node.entry));
        if node.address.is_some() || !known {
            continue;
        }
        match node.role {
            Role::Server if many => {
                let message = format!(
                    "server `{}` needs a fixed address: etcd, the VIP or the database must know it",
                    node.name
                );
                faults.add(&path, message);
            }
            Role::Server if agents && !vip => {
                let message =
                    format!("server `{}` needs a fixed address: agents join it", node.name);
                faults.add(&path, message);
            }
            Role::Database => {
                let message = format!(
                    "database `{}` needs a fixed address: servers connect to it",
                    node.name
                );
                faults.add(&path, message);
            }
            _ => {}
        }
    }
}

fn check_bootstrap(raw: &raw::Profile, nodes: &[Node], faults: &mut Faults<'_>) {
    let path = at!("cluster", "bootstrap");
    if raw.cluster.topology != Topology::EmbeddedEtcd
        && raw.cluster.bootstrap != Bootstrap::Majority
    {
        faults.add(&path, "only topology `embedded-etcd` has to decide who founds the cluster");
    }
    let Bootstrap::Designated(name) = &raw.cluster.bootstrap else { return };
    let names = || nodes.iter().filter(|n| n.role == Role::Server).map(|n| n.name.as_str());
    if !names().any(|server| server == name) {
        let help = did_you_mean(name, names()).unwrap_or_else(|| "name one of the servers".into());
        faults.advise(&path.key("designated"), format!("`{name}` is not a server"), help);
    }
}

/// User and database of a `database` node.
const DATABASE_PORT: u16 = nodeconf::paths::POSTGRES_PORT;

fn datastore(
    raw: &raw::Profile,
    nodes: &[Node],
    faults: &mut Faults<'_>,
) -> Option<nodeconf::Datastore> {
    let databases: Vec<&Node> = nodes.iter().filter(|node| node.role == Role::Database).collect();
    let endpoint = raw.cluster.datastore.as_ref().map(|d| d.endpoint.as_str());
    let path = at!("cluster", "datastore");
    if raw.cluster.topology != Topology::ExternalDatastore {
        if endpoint.is_some() {
            faults.add(&path, "only topology `external-datastore` uses a database");
        }
        for node in databases {
            let message = "only topology `external-datastore` uses a database";
            faults.add(&at!("nodes", node.entry, "role"), message);
        }
        return None;
    }
    match (databases.as_slice(), endpoint) {
        ([], None) => {
            faults.advise(
                &at!("cluster", "topology"),
                "`external-datastore` needs a database",
                "give a node `role: database`, or set `cluster.datastore.endpoint`",
            );
            None
        }
        ([node], None) => Some(nodeconf::Datastore {
            kind: nodeconf::DatastoreKind::Postgres,
            hosts: node.address.iter().map(|a| format!("{a}:{DATABASE_PORT}")).collect(),
            node: Some(node.name.clone()),
        }),
        ([], Some(endpoint)) => {
            let read = read_endpoint(endpoint);
            if read.is_none() {
                faults.advise(
                    &path.key("endpoint"),
                    "not a database K3s knows",
                    "write postgres://user:password@host:5432/name, \
                     mysql://user:password@tcp(host:3306)/name, or https://host:2379 for etcd",
                );
            }
            read
        }
        ([_, second, ..], None) => {
            faults.add(&at!("nodes", second.entry, "role"), "a cluster has one database node");
            None
        }
        ([first, ..], Some(_)) => {
            let message = "`cluster.datastore.endpoint` names a database already";
            faults.add(&at!("nodes", first.entry, "role"), message);
            None
        }
    }
}

/// Kind and hosts of a K3s `datastore-endpoint` (K3s docs, datastore; facts D).
fn read_endpoint(endpoint: &str) -> Option<nodeconf::Datastore> {
    use nodeconf::DatastoreKind::{Etcd, Mysql, Postgres};
    let datastore = |kind, hosts| nodeconf::Datastore { kind, hosts, node: None };
    if let Some(rest) = endpoint.strip_prefix("mysql://") {
        let (_, after) = rest.split_once("@tcp(")?;
        let (host, _) = after.split_once(')')?;
        return (!host.is_empty()).then(|| datastore(Mysql, vec![with_port(host, 3306)]));
    }
    let (scheme, rest) = endpoint.split_once("://")?;
    match scheme {
        "postgres" | "postgresql" => {
            let authority = rest.split(['/', '?']).next()?;
            let host = authority.rsplit('@').next()?;
            (!host.is_empty()).then(|| datastore(Postgres, vec![with_port(host, DATABASE_PORT)]))
        }
        "http" | "https" => {
            let hosts: Option<Vec<String>> = endpoint
                .split(',')
                .map(|one| {
                    let url = url::Url::parse(one).ok()?;
                    Some(with_port(url.host_str()?, url.port().unwrap_or(2379)))
                })
                .collect();
            hosts.map(|hosts| datastore(Etcd, hosts))
        }
        _ => None,
    }
}

fn with_port(host: &str, port: u16) -> String {
    let has_port = host.rsplit_once(':').is_some_and(|(_, p)| p.parse::<u16>().is_ok());
    if has_port { host.to_owned() } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_without_their_credentials() {
        for (endpoint, hosts) in [
            ("postgres://k3s:hunter2@10.0.0.5:5433/k3s?sslmode=require", "10.0.0.5:5433"),
            ("postgresql://db.example", "db.example:5432"),
            ("mysql://root:hunter2@tcp(db:3307)/k3s", "db:3307"),
            ("https://a:2379,https://b", "a:2379 b:2379"),
        ] {
            assert_eq!(read_endpoint(endpoint).unwrap().hosts.join(" "), hosts);
        }
        for endpoint in ["", "sqlite", "nats://x", "postgres://", "mysql://u@host/db"] {
            assert!(read_endpoint(endpoint).is_none(), "{endpoint}");
        }
    }
}
