//! The few questions about a cluster that its Kubernetes API answers (Kubernetes API reference,
//! Node v1).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::error::{Error, Result};
use crate::profile::{ClusterSecrets, Pki};
use crate::remote::{Access, Method, Place, Reply};

/// K3s gives it to nodes that are members of its etcd, and takes the member out of etcd when the
/// Node is deleted.
const ETCD: &str = "node-role.kubernetes.io/etcd";
/// Servers have it; its older name is `…/master`.
const CONTROL_PLANE: [&str; 2] =
    ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];

/// A Node as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What tells it from an earlier Node of the same name.
    pub uid: String,
    /// Whether it is a member of embedded etcd.
    pub etcd: bool,
    /// Whether it runs the API.
    pub server: bool,
    /// Whether it is Ready.
    pub ready: bool,
    /// Its address in the cluster's network.
    pub address: Option<Ipv4Addr>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// What must still be cleaned up before it goes.
    pub finalizers: Vec<String>,
}

/// Who acts on the API.
#[derive(Debug, Clone)]
pub struct Api {
    access: Access,
    timeout: Duration,
}

impl Api {
    /// With an administrator's certificate made for the next hour.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where the secrets are damaged.
    pub fn new(secrets: &ClusterSecrets, now: u64, timeout: Duration) -> Result<Self> {
        let pki: &Pki = &secrets.pki;
        let admin = pki.client("bake:operator", &["system:masters"], now + 3600)?;
        let ca = [pki.k3s.server.certificate.as_str(), &pki.root.certificate].concat();
        Ok(Self { access: Access::new(&ca, &admin.certificate, &admin.key)?, timeout })
    }

    /// Whether the API at `at` has its datastore and takes changes.
    ///
    /// # Errors
    /// In words, why there is no answer.
    pub fn is_ready(&self, at: SocketAddr) -> std::result::Result<bool, String> {
        let reply = self.send(at, Method::GET, "/readyz", None)?;
        match reply.status {
            200 => Ok(true),
            401 | 403 => Err("it does not accept the cluster's administrator".into()),
            _ => Ok(false),
        }
    }

    /// Every Node.
    ///
    /// # Errors
    /// In words, why there is no answer.
    pub fn nodes(&self, at: SocketAddr) -> std::result::Result<Vec<Node>, String> {
        #[derive(Deserialize)]
        struct List {
            items: Vec<Object>,
        }
        let reply = self.send(at, Method::GET, "/api/v1/nodes", None)?;
        if reply.status != 200 {
            return Err(refused(&reply));
        }
        let list: List = serde_json::from_slice(&reply.body)
            .map_err(|e| format!("its list of nodes is not understood: {e}"))?;
        Ok(list.items.into_iter().map(Node::from).collect())
    }

    /// A Node by name; `None` where there is none.
    ///
    /// # Errors
    /// In words, why there is no answer.
    pub fn node(&self, at: SocketAddr, name: &str) -> std::result::Result<Option<Node>, String> {
        let reply = self.send(at, Method::GET, &path(name), None)?;
        match reply.status {
            404 => Ok(None),
            200 => serde_json::from_slice::<Object>(&reply.body)
                .map(|object| Some(object.into()))
                .map_err(|e| format!("what it says of {name} is not understood: {e}")),
            _ => Err(refused(&reply)),
        }
    }

    /// Asks for a Node to be deleted, this one and no newer of its name.
    ///
    /// # Errors
    /// [`Error::Cluster`] where the API does not do it.
    pub fn delete(&self, at: SocketAddr, node: &Node) -> Result<()> {
        let body = json!({
            "kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": node.uid},
        });
        let failed = |reason| Error::Cluster { what: format!("deleting {}", node.name), reason };
        let reply = self.send(at, Method::DELETE, &path(&node.name), Some(&body));
        let reply = reply.map_err(failed)?;
        match reply.status {
            200 | 202 | 404 => Ok(()),
            _ => Err(failed(refused(&reply))),
        }
    }

    fn send(
        &self,
        at: SocketAddr,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> std::result::Result<Reply, String> {
        let place = Place { address: at, name: None };
        self.access.ask(&place, method, path, body, self.timeout).map_err(|e| e.to_string())
    }
}

fn path(name: &str) -> String {
    format!("/api/v1/nodes/{name}")
}

/// The API explains itself in a Status object.
fn refused(reply: &Reply) -> String {
    #[derive(Deserialize)]
    struct Status {
        message: String,
    }
    match serde_json::from_slice::<Status>(&reply.body) {
        Ok(Status { message }) => {
            let message: String = message.chars().take(300).collect();
            format!("it answers {}: {message}", reply.status)
        }
        Err(_) => format!("it answers {}", reply.status),
    }
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
}

#[derive(Deserialize)]
struct Address {
    #[serde(rename = "type")]
    kind: String,
    address: String,
}

impl From<Object> for Node {
    fn from(object: Object) -> Self {
        let Object { metadata, status } = object;
        let ready = |c: &Condition| c.kind == "Ready" && c.status == "True";
        let inner = status.addresses.iter().filter(|a| a.kind == "InternalIP");
        let mut inner = inner.filter_map(|a| match a.address.parse() {
            Ok(IpAddr::V4(address)) => Some(address),
            _ => None,
        });
        Self {
            etcd: metadata.labels.contains_key(ETCD),
            server: CONTROL_PLANE.iter().any(|label| metadata.labels.contains_key(*label)),
            ready: status.conditions.iter().any(ready),
            address: inner.next(),
            deleting: metadata.deletion_timestamp.is_some(),
            finalizers: metadata.finalizers,
            name: metadata.name,
            uid: metadata.uid,
        }
    }
}
