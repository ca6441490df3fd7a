//! The few questions `firstboot` has for a Kubernetes API server.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use nodeconf::paths;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::facts::k3s::config_value;
use crate::sys::{HttpsError, HttpsReply, HttpsRequest, Identity, Method, Sys, read_text_if_there};

/// Label of the nodes that run embedded etcd (K3s sets it, and removes the etcd member of a node
/// that has it and is deleted).
pub const ETCD_LABEL: &str = "node-role.kubernetes.io/etcd";

/// Why there is no answer to a question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// No exchange took place.
    #[error(transparent)]
    Https(#[from] HttpsError),
    /// The API refused, or cannot answer now.
    #[error("the API answers {status} to a question about {about}{}", said(.message))]
    Status {
        /// Path that was asked for.
        about: String,
        /// HTTP status.
        status: u16,
        /// What the API says about it, if it does.
        message: String,
    },
    /// The answer is not what was asked for.
    #[error("the API's answer about {about} is not understood: {why}")]
    Garbled {
        /// Path that was asked for.
        about: String,
        /// The parser's complaint.
        why: String,
    },
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(" ({message})") }
}

/// A node as the API knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What tells it from an earlier node of the same name.
    pub uid: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it is being deleted and waits for somebody's clean-up.
    pub deleting: bool,
    /// Whether it is Ready; the reason where it is not.
    pub ready: Result<(), String>,
}

impl Node {
    /// Whether it runs embedded etcd.
    #[must_use]
    pub fn has_etcd(&self) -> bool {
        self.labels.contains_key(ETCD_LABEL)
    }
}

/// One API server, and who we are to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    address: SocketAddr,
    ca: Vec<u8>,
    client: Option<Identity>,
    timeout: Duration,
}

impl Api {
    /// The API at `address`, whose certificate `ca` (PEM) must have signed.
    #[must_use]
    pub fn at(address: SocketAddr, ca: Vec<u8>) -> Self {
        Self { address, ca, client: None, timeout: Duration::from_secs(10) }
    }

    /// K3s's API on this machine, by the CA it was baked with or else the one it made. Port and
    /// data directory may be set by further K3s keys of the profile.
    ///
    /// # Errors
    /// No CA is there to trust it by, or a file cannot be read.
    pub fn local(sys: &dyn Sys) -> std::io::Result<Self> {
        let yaml = read_text_if_there(sys, paths::K3S_CONFIG)?.unwrap_or_default();
        let port = config_value(&yaml, "https-listen-port").and_then(|port| port.parse().ok());
        let data = config_value(&yaml, "data-dir").unwrap_or(paths::K3S_DATA);
        let own = || sys.read(&Path::new(data).join("server/tls/server-ca.crt"));
        let ca = sys.read(Path::new(paths::API_CA)).or_else(|_| own())?;
        Ok(Self::at((Ipv4Addr::LOCALHOST, port.unwrap_or(paths::API_PORT)).into(), ca))
    }

    /// The same, asked as the owner of a certificate.
    #[must_use]
    pub fn by(mut self, identity: Identity) -> Self {
        self.client = Some(identity);
        self
    }

    /// The same, with another limit for every exchange.
    #[must_use]
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// A request, to be sent together with others ([`Sys::https_all`]).
    #[must_use]
    pub fn request(&self, method: Method, path: &str) -> HttpsRequest {
        HttpsRequest {
            method,
            client: self.client.clone(),
            connect: self.timeout.min(Duration::from_secs(5)),
            timeout: self.timeout,
            ..HttpsRequest::get(self.address, path, self.ca.clone())
        }
    }

    /// Whether K3s serves: it says so without being told who asks, and nothing before it is up.
    ///
    /// # Errors
    /// Nobody answers, or somebody who is not of this cluster.
    pub fn ping(&self, sys: &dyn Sys) -> Result<bool, HttpsError> {
        sys.https(&self.request(Method::Get, "/ping")).map(|reply| is_pong(&reply))
    }

    /// Whether the API has its datastore and takes changes. Needs a certificate.
    ///
    /// # Errors
    /// [`ApiError::Https`], or [`ApiError::Status`] where the certificate is not accepted.
    pub fn is_ready(&self, sys: &dyn Sys) -> Result<bool, ApiError> {
        let path = "/readyz";
        let reply = sys.https(&self.request(Method::Get, path))?;
        match reply.status {
            401 | 403 => Err(refused(path, &reply)),
            status => Ok(status == 200),
        }
    }

    /// A node by its name; `None` where there is none.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn node(&self, sys: &dyn Sys, name: &str) -> Result<Option<Node>, ApiError> {
        let path = node_path(name);
        let reply = sys.https(&self.request(Method::Get, &path))?;
        match reply.status {
            404 => Ok(None),
            _ => parse::<NodeObject>(&path, &reply).map(|object| Some(object.into())),
        }
    }

    /// Every node.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn nodes(&self, sys: &dyn Sys) -> Result<Vec<Node>, ApiError> {
        #[derive(Deserialize)]
        struct List {
            items: Vec<NodeObject>,
        }
        let path = "/api/v1/nodes";
        let reply = sys.https(&self.request(Method::Get, path))?;
        let list: List = parse(path, &reply)?;
        Ok(list.items.into_iter().map(Node::from).collect())
    }

    /// Asks for a node to be deleted: this one, and no newer one of the same name (`uid` is made a
    /// precondition). It may take its time to go. One that is gone or was made anew is no error.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn delete_node(&self, sys: &dyn Sys, node: &Node) -> Result<(), ApiError> {
        let path = node_path(&node.name);
        let body = serde_json::json!({
            "kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": node.uid},
        });
        let request = HttpsRequest {
            body: body.to_string().into_bytes(),
            ..self.request(Method::Delete, &path)
        };
        let reply = sys.https(&request)?;
        match reply.status {
            200 | 202 | 404 | 409 => Ok(()),
            _ => Err(refused(&path, &reply)),
        }
    }
}

/// Whether a reply is K3s's to `/ping`.
#[must_use]
pub fn is_pong(reply: &HttpsReply) -> bool {
    reply.status == 200 && reply.body.trim_ascii() == b"pong"
}

fn node_path(name: &str) -> String {
    format!("/api/v1/nodes/{name}")
}

fn parse<T: DeserializeOwned>(path: &str, reply: &HttpsReply) -> Result<T, ApiError> {
    if reply.status != 200 {
        return Err(refused(path, reply));
    }
    serde_json::from_slice(&reply.body)
        .map_err(|e| ApiError::Garbled { about: path.to_owned(), why: e.to_string() })
}

/// The API explains itself in a Status object.
fn refused(path: &str, reply: &HttpsReply) -> ApiError {
    #[derive(Deserialize)]
    struct Status {
        message: String,
    }
    let message = serde_json::from_slice::<Status>(&reply.body).map(|s| s.message);
    ApiError::Status {
        about: path.to_owned(),
        status: reply.status,
        message: message.unwrap_or_default().chars().take(200).collect(),
    }
}

#[derive(Deserialize)]
struct NodeObject {
    metadata: Metadata,
    #[serde(default)]
    status: NodeState,
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
}

#[derive(Default, Deserialize)]
struct NodeState {
    #[serde(default)]
    conditions: Vec<NodeCondition>,
}

#[derive(Deserialize)]
struct NodeCondition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    message: String,
}

impl From<NodeObject> for Node {
    fn from(object: NodeObject) -> Self {
        let ready = match object.status.conditions.into_iter().find(|c| c.kind == "Ready") {
            Some(ready) if ready.status == "True" => Ok(()),
            Some(ready) => Err(format!("Ready is {}: {}", ready.status, ready.message)),
            None => Err("it has no Ready condition yet".into()),
        };
        Self {
            name: object.metadata.name,
            uid: object.metadata.uid,
            labels: object.metadata.labels,
            deleting: object.metadata.deletion_timestamp.is_some(),
            ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> HttpsReply {
        HttpsReply { status, body: body.into() }
    }

    #[test]
    fn nodes_are_read() {
        let json = r#"{"kind":"Node","metadata":{"name":"node2","uid":"u-1","labels":
            {"node-role.kubernetes.io/etcd":"true"},"deletionTimestamp":"2026-01-01T00:00:00Z"},
            "status":{"conditions":[{"type":"MemoryPressure","status":"False"},
            {"type":"Ready","status":"Unknown","message":"no kubelet"}]}}"#;
        let node: Node = parse::<NodeObject>("/x", &reply(200, json)).unwrap().into();
        assert!(node.has_etcd() && node.deleting);
        assert_eq!((node.name.as_str(), node.uid.as_str()), ("node2", "u-1"));
        assert_eq!(node.ready, Err("Ready is Unknown: no kubelet".into()));
        let bare = r#"{"metadata":{"name":"n"}}"#;
        let node: Node = parse::<NodeObject>("/x", &reply(200, bare)).unwrap().into();
        assert!(!node.has_etcd() && !node.deleting && node.ready.is_err());
    }

    #[test]
    fn what_the_api_says_is_told() {
        let status = r#"{"kind":"Status","message":"nodes \"n\" is forbidden","code":403}"#;
        let error = parse::<NodeObject>("/x", &reply(403, status)).err().unwrap();
        let text = error.to_string();
        assert_eq!(text, "the API answers 403 to a question about /x (nodes \"n\" is forbidden)");
        assert!(parse::<NodeObject>("/x", &reply(200, "starting")).is_err());
        assert!(!is_pong(&reply(503, "starting")) && is_pong(&reply(200, "pong\n")));
    }
}
