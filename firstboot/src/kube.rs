//! The few questions `firstboot` has for a Kubernetes API server.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

pub use nodeconf::kube::Node;
use nodeconf::kube::{NODES, NodeList};
use nodeconf::paths;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::facts::k3s::config_value;
use crate::sys::{HttpsError, HttpsReply, HttpsRequest, Identity, Method, Sys, read_text_if_there};

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
        let path = Node::path(name);
        let reply = sys.https(&self.request(Method::Get, &path))?;
        match reply.status {
            404 => Ok(None),
            _ => parse(&path, &reply).map(Some),
        }
    }

    /// Every node.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn nodes(&self, sys: &dyn Sys) -> Result<Vec<Node>, ApiError> {
        let reply = sys.https(&self.request(Method::Get, NODES))?;
        Ok(parse::<NodeList>(NODES, &reply)?.items)
    }

    /// Asks for a node to be deleted: this one, and no newer one of the same name (`uid` is made a
    /// precondition). It may take its time to go. One that is gone or was made anew is no error.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn delete_node(&self, sys: &dyn Sys, node: &Node) -> Result<(), ApiError> {
        let path = Node::path(&node.name);
        let request = self.sending(Method::Delete, &path, &node.delete_options());
        let reply = sys.https(&request)?;
        match reply.status {
            200 | 202 | 404 | 409 => Ok(()),
            _ => Err(refused(&path, &reply)),
        }
    }

    /// Leaves a node, and no newer one of its name, with these finalizers. One that is gone or was
    /// made anew is no error.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn leave_finalizers(
        &self,
        sys: &dyn Sys,
        node: &Node,
        finalizers: &[&str],
    ) -> Result<(), ApiError> {
        let path = Node::path(&node.name);
        let patch = node.patch_finalizers(finalizers);
        let reply = sys.https(&self.sending(Method::Patch, &path, &patch))?;
        match reply.status {
            200 | 404 | 409 => Ok(()),
            _ => Err(refused(&path, &reply)),
        }
    }

    /// Whether etcd counts a member of that node's name or address; `None` where K3s does not say
    /// (later versions tell it to members of etcd only).
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn counts_member(
        &self,
        sys: &dyn Sys,
        name: &str,
        address: Option<Ipv4Addr>,
    ) -> Result<Option<bool>, ApiError> {
        let path = "/db/info";
        let reply = sys.https(&self.request(Method::Get, path))?;
        match reply.status {
            401 | 403 | 404 => Ok(None),
            _ => Ok(Some(parse::<Members>(path, &reply)?.holds(name, address))),
        }
    }

    fn sending(&self, method: Method, path: &str, body: &serde_json::Value) -> HttpsRequest {
        HttpsRequest { body: body.to_string().into_bytes(), ..self.request(method, path) }
    }
}

/// The members of etcd, as K3s tells them (`pkg/etcd`, `/db/info`).
#[derive(Deserialize)]
struct Members {
    members: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    /// The node's, a dash and eight digits; empty for one that never started.
    #[serde(default)]
    name: String,
    #[serde(rename = "peerURLs", default)]
    peer_urls: Vec<String>,
}

impl Members {
    fn holds(&self, node: &str, address: Option<Ipv4Addr>) -> bool {
        let url = address.map(|address| format!("https://{address}:"));
        self.members.iter().any(|member| {
            let here = |peer: &String| url.as_ref().is_some_and(|url| peer.starts_with(url));
            member.name.rsplit_once('-').is_some_and(|(of, _)| of == node)
                || member.peer_urls.iter().any(here)
        })
    }
}

/// Whether a reply is K3s's to `/ping`.
#[must_use]
pub fn is_pong(reply: &HttpsReply) -> bool {
    reply.status == 200 && reply.body.trim_ascii() == b"pong"
}

fn parse<T: DeserializeOwned>(path: &str, reply: &HttpsReply) -> Result<T, ApiError> {
    if reply.status != 200 {
        return Err(refused(path, reply));
    }
    serde_json::from_slice(&reply.body)
        .map_err(|e| ApiError::Garbled { about: path.to_owned(), why: e.to_string() })
}

/// The API explains itself where it can.
fn refused(path: &str, reply: &HttpsReply) -> ApiError {
    ApiError::Status {
        about: path.to_owned(),
        status: reply.status,
        message: nodeconf::kube::refusal(&reply.body).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> HttpsReply {
        HttpsReply { status, body: body.into() }
    }

    #[test]
    fn what_the_api_says_is_told() {
        let status = r#"{"kind":"Status","message":"nodes \"n\" is forbidden","code":403}"#;
        let error = parse::<Node>("/x", &reply(403, status)).err().unwrap();
        let text = error.to_string();
        assert_eq!(text, "the API answers 403 to a question about /x (nodes \"n\" is forbidden)");
        assert!(parse::<Node>("/x", &reply(200, "starting")).is_err());
        assert!(!is_pong(&reply(503, "starting")) && is_pong(&reply(200, "pong\n")));
    }

    #[test]
    fn members_are_known_by_name_or_address() {
        let json = r#"{"members":[{"ID":7,"name":"node-1-0a1b2c3d","peerURLs":
            ["https://192.168.24.11:2380"]},{"ID":8,"peerURLs":["https://192.168.24.12:2380"]}]}"#;
        let members = parse::<Members>("/db/info", &reply(200, json)).unwrap();
        let other = Ipv4Addr::new(192, 168, 24, 1);
        assert!(members.holds("node-1", Some(other)));
        assert!(!members.holds("node", Some(other)) && !members.holds("node-1-0a1b2c3d", None));
        assert!(members.holds("node2", Some(Ipv4Addr::new(192, 168, 24, 12))));
    }
}
