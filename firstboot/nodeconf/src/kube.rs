//! What both sides read of a Kubernetes API, and how they have a Node deleted (Kubernetes API
//! reference, Node v1). Each sends its own requests and judges the answers.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use serde::Deserialize;
use serde_json::{Value, json};

/// Path of every Node.
pub const NODES: &str = "/api/v1/nodes";

/// Label of Nodes that run embedded etcd. K3s sets it, and takes the member out of etcd when a Node
/// that has it is deleted.
pub const ETCD_LABEL: &str = "node-role.kubernetes.io/etcd";
/// Labels of servers; the second is the older name.
const SERVER_LABELS: [&str; 2] =
    ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];
/// What K3s's finalizers begin with.
const OWN_FINALIZERS: &str = "wrangler.cattle.io/";
/// What those begin with that hold a Node until its member is out of etcd (K3s `pkg/etcd`:
/// `managed-etcd-controller` and its kin).
const ETCD_FINALIZERS: &str = "wrangler.cattle.io/managed-etcd";

/// A Node as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Object")]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What tells it from an earlier Node of the same name.
    pub uid: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its address in the cluster's network.
    pub address: Option<Ipv4Addr>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// What must still be cleaned up before it goes.
    pub finalizers: Vec<String>,
    /// Whether it is Ready; the reason where it is not.
    pub ready: Result<(), String>,
}

impl Node {
    /// Whether it runs embedded etcd.
    #[must_use]
    pub fn has_etcd(&self) -> bool {
        self.labels.contains_key(ETCD_LABEL)
    }

    /// Whether it runs the API.
    #[must_use]
    pub fn is_server(&self) -> bool {
        SERVER_LABELS.iter().any(|label| self.labels.contains_key(*label))
    }

    /// Whether it is Ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.is_ok()
    }

    /// Whether it is being deleted, and K3s has taken its member out of etcd.
    #[must_use]
    pub fn has_left_etcd(&self) -> bool {
        self.deleting && !self.finalizers.iter().any(|f| f.starts_with(ETCD_FINALIZERS))
    }

    /// The finalizers that are not K3s's.
    #[must_use]
    pub fn foreign_finalizers(&self) -> Vec<&str> {
        let foreign = |f: &&str| !f.starts_with(OWN_FINALIZERS);
        self.finalizers.iter().map(String::as_str).filter(foreign).collect()
    }

    /// Path of the Node of that name.
    #[must_use]
    pub fn path(name: &str) -> String {
        format!("{NODES}/{name}")
    }

    /// What to send to have it deleted: this one, and no newer one of its name.
    #[must_use]
    pub fn delete_options(&self) -> Value {
        json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": self.uid}})
    }

    /// The merge patch that leaves it, and no newer one of its name, with these finalizers. The API
    /// refuses another uid than the Node's.
    #[must_use]
    pub fn patch_finalizers(&self, finalizers: &[&str]) -> Value {
        json!({"metadata": {"uid": self.uid, "finalizers": finalizers}})
    }
}

/// Every Node.
#[derive(Debug, Deserialize)]
pub struct NodeList {
    /// Them.
    pub items: Vec<Node>,
}

/// What the API says of a request it refused, in the Status object that it answers with; cut short.
#[must_use]
pub fn refusal(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Status {
        message: String,
    }
    let status: Status = serde_json::from_slice(body).ok()?;
    Some(status.message.chars().take(300).collect())
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
    #[serde(default)]
    status: State,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    deletion_timestamp: Option<String>,
    #[serde(default)]
    finalizers: Vec<String>,
}

#[derive(Default, Deserialize)]
struct State {
    #[serde(default)]
    conditions: Vec<Condition>,
    #[serde(default)]
    addresses: Vec<Address>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Address {
    #[serde(rename = "type")]
    kind: String,
    address: String,
}

impl From<Object> for Node {
    fn from(Object { metadata, status }: Object) -> Self {
        let ready = match status.conditions.into_iter().find(|c| c.kind == "Ready") {
            Some(ready) if ready.status == "True" => Ok(()),
            Some(ready) => Err(format!("Ready is {}: {}", ready.status, ready.message)),
            None => Err("it has no Ready condition yet".into()),
        };
        let inner = status.addresses.iter().filter(|a| a.kind == "InternalIP");
        let mut inner = inner.filter_map(|a| match a.address.parse() {
            Ok(IpAddr::V4(address)) => Some(address),
            _ => None,
        });
        Self {
            address: inner.next(),
            name: metadata.name,
            uid: metadata.uid,
            labels: metadata.labels,
            deleting: metadata.deletion_timestamp.is_some(),
            finalizers: metadata.finalizers,
            ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_read() {
        let json = r#"{"kind":"Node","metadata":{"name":"node2","uid":"u-1","labels":
            {"node-role.kubernetes.io/etcd":"true"},"deletionTimestamp":"2026-01-01T00:00:00Z",
            "finalizers":["wrangler.cattle.io/managed-etcd-controller","wrangler.cattle.io/node",
            "example.org/x"]},"status":{"conditions":[{"type":"MemoryPressure","status":"False"},
            {"type":"Ready","status":"Unknown","message":"no kubelet"}],"addresses":
            [{"type":"Hostname","address":"node2"},{"type":"InternalIP","address":"10.0.0.2"}]}}"#;
        let mut node: Node = serde_json::from_str(json).unwrap();
        assert!(node.has_etcd() && node.deleting && !node.is_server() && !node.has_left_etcd());
        assert_eq!((node.name.as_str(), node.uid.as_str()), ("node2", "u-1"));
        assert_eq!(node.ready, Err("Ready is Unknown: no kubelet".into()));
        assert_eq!(node.address, Some(Ipv4Addr::new(10, 0, 0, 2)));
        assert_eq!(node.foreign_finalizers(), ["example.org/x"]);
        node.finalizers.remove(0);
        assert!(node.has_left_etcd());
        let bare: Node = serde_json::from_str(r#"{"metadata":{"name":"n"}}"#).unwrap();
        assert!(!bare.has_etcd() && !bare.deleting && !bare.is_ready() && !bare.has_left_etcd());
    }

    #[test]
    fn what_is_sent_names_the_very_node() {
        let node: Node = serde_json::from_str(r#"{"metadata":{"name":"n","uid":"u"}}"#).unwrap();
        assert_eq!(Node::path("n"), "/api/v1/nodes/n");
        assert_eq!(node.delete_options()["preconditions"]["uid"], "u");
        let patch = node.patch_finalizers(&["a"]);
        assert_eq!(patch, json!({"metadata": {"uid": "u", "finalizers": ["a"]}}));
    }

    #[test]
    fn what_the_api_says_is_told() {
        let status = br#"{"kind":"Status","message":"nodes \"n\" is forbidden","code":403}"#;
        assert_eq!(refusal(status).as_deref(), Some("nodes \"n\" is forbidden"));
        assert_eq!(refusal(b"starting"), None);
    }
}
