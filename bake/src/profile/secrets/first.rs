//! Version 1 of the file: tokens, passwords and incarnations, without certificates.

use std::collections::BTreeMap;

use nodeconf::Secret;
use serde::Deserialize;

use super::{NodeRecord, Pki, pki};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterSecrets {
    version: u32,
    cluster: String,
    id: String,
    server_token: Secret,
    agent_token: Secret,
    vrrp_password: Secret,
    database_password: Secret,
    nodes: BTreeMap<String, Node>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Node {
    password: Secret,
    incarnation: u32,
    inputs: Option<String>,
}

/// Everything it had, and placeholders for the rest; the version stays, so that it is completed
/// before it is used.
impl From<ClusterSecrets> for super::ClusterSecrets {
    fn from(first: ClusterSecrets) -> Self {
        let record = |node: Node| NodeRecord {
            password: node.password,
            incarnation: node.incarnation,
            inputs: node.inputs,
            shape: None,
            votes: false,
            witness: pki::placeholder(),
        };
        Self {
            version: first.version,
            cluster: first.cluster,
            id: first.id,
            created: 0,
            server_token: first.server_token,
            agent_token: first.agent_token,
            vrrp_password: first.vrrp_password,
            database_password: first.database_password,
            first_shape: None,
            recipients: Vec::new(),
            next: None,
            pki: Pki::placeholder(),
            nodes: first.nodes.into_iter().map(|(name, node)| (name, record(node))).collect(),
        }
    }
}
