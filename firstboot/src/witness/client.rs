//! Asking witnesses.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use bootstrap::{Envelope, Name, Reply, View};
use nodeconf::servers::{INTRODUCE, Introduction, Noted};
use nodeconf::{NodeConfig, Peer, paths};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::finding::Condition;
use crate::sys::{HttpsError, HttpsReply, HttpsRequest, Identity, Method, Sys};

/// A server that is off does not even refuse.
const CONNECT: Duration = Duration::from_secs(2);
/// One that is there syncs its card before it answers, and a card that packages are being installed
/// on takes seconds for that; an answer missed is a promise lost.
const EXCHANGE: Duration = Duration::from_secs(10);

/// Why a witness did not say what it does with a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    /// No exchange took place.
    #[error(transparent)]
    Https(#[from] HttpsError),
    /// It answered, but not to the request: it cannot keep a promise now, or does not take ours.
    #[error("its witness answers {status}: {why}")]
    Unable {
        /// HTTP status.
        status: u16,
        /// Its reason.
        why: String,
    },
    /// The answer is not one of a witness.
    #[error("the answer of its witness is not understood: {0}")]
    Garbled(String),
    /// The cluster declares no such server, or one without an address.
    #[error("no server of that name is declared")]
    Undeclared,
}

/// The witnesses of the declared servers, this node's own included, and who we are to them.
#[derive(Debug, Clone)]
pub struct Witnesses {
    servers: Vec<Server>,
    ca: Vec<u8>,
    identity: Identity,
}

#[derive(Debug, Clone)]
struct Server {
    name: String,
    certificate: String,
    address: SocketAddr,
}

impl Witnesses {
    /// Those of this node's configuration, with the certificates on its card.
    ///
    /// # Errors
    /// A certificate or key cannot be read.
    pub fn load(sys: &dyn Sys, config: &NodeConfig) -> Result<Self, Condition> {
        Self::of(sys, config, &config.cluster.servers)
    }

    /// Those of these servers.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn of(sys: &dyn Sys, config: &NodeConfig, servers: &[Peer]) -> Result<Self, Condition> {
        let read = |path: &str| {
            sys.read(Path::new(path)).map_err(|e| Condition::io(format!("reading {path}"), &e))
        };
        let servers = servers.iter().filter_map(|peer| {
            // The way to ourselves must not depend on the network.
            let own = peer.name == config.node.name;
            let address = if own { Ipv4Addr::LOCALHOST } else { peer.address? };
            Some(Server {
                name: peer.name.clone(),
                certificate: config.witness_name(&peer.name),
                address: (address, paths::WITNESS_PORT).into(),
            })
        });
        Ok(Self {
            servers: servers.collect(),
            ca: read(paths::WITNESS_CA)?,
            identity: Identity {
                chain: read(paths::WITNESS_CERT)?,
                key: read(paths::WITNESS_KEY)?,
            },
        })
    }

    /// The same, with the witness of `server` at another address than its own.
    #[must_use]
    pub fn with_address(mut self, server: &str, address: SocketAddr) -> Self {
        for known in self.servers.iter_mut().filter(|known| known.name == server) {
            known.address = address;
        }
        self
    }

    /// What the witness of `server` knows; it learns nothing by being asked.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn view(&self, sys: &dyn Sys, server: &str) -> Result<View, Silence> {
        let server = self.servers.iter().find(|s| s.name == server).ok_or(Silence::Undeclared)?;
        understand(sys.https(&self.exchange(server, Method::Get, "/v1/state", Vec::new())))
    }

    /// As [`Self::view`] of every declared server, all at the same time.
    pub fn views(&self, sys: &dyn Sys) -> Vec<(Name, Result<View, Silence>)> {
        let look = |server: &Server| self.exchange(server, Method::Get, "/v1/state", Vec::new());
        let requests: Vec<_> = self.servers.iter().map(look).collect();
        let heard = sys.https_all(&requests).into_iter().map(understand);
        self.servers.iter().map(|server| server.name.as_str().into()).zip(heard).collect()
    }

    /// Introduces a server to all the others, at the same time.
    pub fn introduce(
        &self,
        sys: &dyn Sys,
        server: &Introduction,
    ) -> Vec<(Name, Result<Noted, Silence>)> {
        let others: Vec<&Server> =
            self.servers.iter().filter(|other| other.name != server.name).collect();
        let body = serde_json::to_vec(server).expect("an introduction is plain data");
        let ask = |other: &&Server| self.exchange(other, Method::Post, INTRODUCE, body.clone());
        let requests: Vec<_> = others.iter().map(ask).collect();
        let heard = sys.https_all(&requests).into_iter().map(understand);
        others.iter().map(|other| other.name.as_str().into()).zip(heard).collect()
    }

    /// Carries one request to its witness.
    ///
    /// # Errors
    /// Why there is no reply.
    pub fn ask(&self, sys: &dyn Sys, envelope: &Envelope) -> Result<Reply, Silence> {
        let request = self.request(envelope).ok_or(Silence::Undeclared)?;
        understand(sys.https(&request))
    }

    /// Carries requests to their witnesses, all at the same time, and brings what came back within
    /// ten seconds, in the order of the requests.
    pub fn ask_all(
        &self,
        sys: &dyn Sys,
        envelopes: &[Envelope],
    ) -> Vec<(Name, Result<Reply, Silence>)> {
        let requests: Vec<_> = envelopes.iter().map(|envelope| self.request(envelope)).collect();
        let sent: Vec<_> = requests.iter().flatten().cloned().collect();
        let mut replies = sys.https_all(&sent).into_iter();
        let mut heard = Vec::with_capacity(envelopes.len());
        for (envelope, request) in envelopes.iter().zip(requests) {
            let reply = match request.and_then(|_| replies.next()) {
                Some(reply) => understand(reply),
                None => Err(Silence::Undeclared),
            };
            heard.push((envelope.to.clone(), reply));
        }
        heard
    }

    fn request(&self, envelope: &Envelope) -> Option<HttpsRequest> {
        let server = self.servers.iter().find(|server| *server.name == *envelope.to)?;
        let body = serde_json::to_vec(&envelope.request).expect("requests are plain data");
        Some(self.exchange(server, Method::Post, envelope.request.path(), body))
    }

    fn exchange(&self, server: &Server, method: Method, path: &str, body: Vec<u8>) -> HttpsRequest {
        HttpsRequest {
            method,
            address: server.address,
            name: server.certificate.clone(),
            path: path.to_owned(),
            body,
            ca: self.ca.clone(),
            client: Some(self.identity.clone()),
            connect: CONNECT,
            timeout: EXCHANGE,
        }
    }
}

fn understand<T: DeserializeOwned>(reply: Result<HttpsReply, HttpsError>) -> Result<T, Silence> {
    #[derive(Deserialize)]
    struct Complaint {
        error: String,
    }
    let reply = reply?;
    if reply.status != 200 {
        let why = serde_json::from_slice::<Complaint>(&reply.body).map(|c| c.error);
        let why = why.unwrap_or_else(|_| "without a reason".into()).chars().take(300).collect();
        return Err(Silence::Unable { status: reply.status, why });
    }
    serde_json::from_slice(&reply.body).map_err(|e| Silence::Garbled(e.to_string()))
}
