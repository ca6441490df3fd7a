//! etcd's JSON gateway (etcd docs, gRPC gateway): every call is a POST below `/v3/`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::Fatal;
use crate::http::client::{Client, Trust};
use crate::pki::Tls;

/// A member of an etcd cluster, as the cluster knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Member id.
    pub id: u64,
    /// Name; empty until it has started.
    pub name: String,
    /// `https://ADDRESS:2380`.
    pub peer_urls: Vec<String>,
    /// `https://ADDRESS:2379`.
    pub client_urls: Vec<String>,
    /// Not yet voting.
    pub learner: bool,
}

/// What one member says about itself.
#[derive(Debug, Clone, Copy)]
pub struct Status {
    /// Cluster id.
    pub cluster: u64,
    /// Its own id.
    pub member: u64,
    /// Its leader's id; 0 where there is none.
    pub leader: u64,
    /// Whether it is a learner.
    pub learner: bool,
    /// Raft's applied index.
    pub applied: u64,
}

/// A client of one or more members.
#[derive(Debug)]
pub struct Gateway {
    client: Client,
    endpoints: Vec<String>,
}

impl Gateway {
    /// With the client certificate below `tls`.
    pub fn new(tls: &Tls, endpoints: Vec<String>, patience: Duration) -> Result<Self, Fatal> {
        let trust = Trust::Bundle(tls.read("etcd/server-ca.crt")?);
        let (crt, key) = (tls.read("etcd/client.crt")?, tls.read("etcd/client.key")?);
        let client = Client::new(&trust, Some((&crt, &key)), patience)?;
        Ok(Self { client, endpoints })
    }

    /// One call, at the first endpoint that answers. Errors are etcd's words.
    pub fn call(&self, path: &str, request: &Value) -> Result<Value, Fatal> {
        let mut last = "etcd has no endpoint".to_owned();
        for endpoint in &self.endpoints {
            let url = format!("{endpoint}/v3/{path}");
            let reply = match self.client.send("POST", &url, None, Some(request)) {
                Ok(reply) => reply,
                Err(e) => {
                    last = e;
                    continue;
                }
            };
            let value: Value = serde_json::from_str(&reply.text)
                .map_err(|e| format!("{url}: {}: {e}", reply.status))?;
            return match value.get("error").and_then(Value::as_str) {
                Some(error) => Err(error.to_owned()),
                None => Ok(value),
            };
        }
        Err(last)
    }

    /// The members of the cluster.
    pub fn members(&self) -> Result<Vec<Peer>, Fatal> {
        let reply = self.call("cluster/member/list", &json!({}))?;
        let peers = reply["members"].as_array().into_iter().flatten().map(|member| Peer {
            id: number(&member["ID"]),
            name: member["name"].as_str().unwrap_or_default().to_owned(),
            peer_urls: strings(&member["peerURLs"]),
            client_urls: strings(&member["clientURLs"]),
            learner: member["isLearner"] == true,
        });
        Ok(peers.collect())
    }

    /// The state of the member that answers.
    pub fn status(&self) -> Result<Status, Fatal> {
        let reply = self.call("maintenance/status", &json!({}))?;
        Ok(Status {
            cluster: number(&reply["header"]["cluster_id"]),
            member: number(&reply["header"]["member_id"]),
            leader: number(&reply["leader"]),
            learner: reply["isLearner"] == true,
            applied: number(&reply["raftAppliedIndex"]),
        })
    }

    /// Adds a member that does not vote yet.
    pub fn add_learner(&self, peer_url: &str) -> Result<(), Fatal> {
        self.call("cluster/member/add", &json!({"peerURLs": [peer_url], "isLearner": true}))?;
        Ok(())
    }

    /// Lets a learner vote.
    pub fn promote(&self, id: u64) -> Result<(), Fatal> {
        self.call("cluster/member/promote", &json!({"ID": id.to_string()})).map(drop)
    }

    /// Removes a member.
    pub fn remove(&self, id: u64) -> Result<(), Fatal> {
        self.call("cluster/member/remove", &json!({"ID": id.to_string()})).map(drop)
    }
}

fn strings(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The gateway writes 64-bit numbers as strings and leaves zeros out.
fn number(value: &Value) -> u64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}
