//! The few questions about a cluster that its Kubernetes API answers.

use std::net::SocketAddr;
use std::time::Duration;

use nodeconf::kube::{self, Node, NodeList};

use crate::error::{Error, Result};
use crate::profile::{ClusterSecrets, Pki};
use crate::remote::{Access, Method, Place, Reply};

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
        let reply = self.send(at, Method::GET, kube::NODES, None)?;
        if reply.status != 200 {
            return Err(refused(&reply));
        }
        let list: NodeList = serde_json::from_slice(&reply.body)
            .map_err(|e| format!("its list of nodes is not understood: {e}"))?;
        Ok(list.items)
    }

    /// A Node by name; `None` where there is none.
    ///
    /// # Errors
    /// In words, why there is no answer.
    pub fn node(&self, at: SocketAddr, name: &str) -> std::result::Result<Option<Node>, String> {
        let reply = self.send(at, Method::GET, &Node::path(name), None)?;
        match reply.status {
            404 => Ok(None),
            200 => serde_json::from_slice(&reply.body)
                .map(Some)
                .map_err(|e| format!("what it says of {name} is not understood: {e}")),
            _ => Err(refused(&reply)),
        }
    }

    /// Asks for a Node to be deleted, this one and no newer of its name.
    ///
    /// # Errors
    /// [`Error::Cluster`] where the API does not do it.
    pub fn delete(&self, at: SocketAddr, node: &Node) -> Result<()> {
        let body = node.delete_options();
        let failed = |reason| Error::Cluster { what: format!("deleting {}", node.name), reason };
        let reply = self.send(at, Method::DELETE, &Node::path(&node.name), Some(&body));
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

/// The API explains itself where it can.
fn refused(reply: &Reply) -> String {
    match kube::refusal(&reply.body) {
        Some(message) => format!("it answers {}: {message}", reply.status),
        None => format!("it answers {}", reply.status),
    }
}
