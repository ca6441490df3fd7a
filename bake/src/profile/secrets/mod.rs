//! The secrets of one cluster: made once, kept in one file of the operator's, never in a profile.
//!
//! Everything random about a cluster is here, so that images are a function of profile, base
//! image and this file.

mod file;
mod random;

use std::collections::BTreeMap;

use nodeconf::Secret;
use serde::{Deserialize, Serialize};

pub use file::SecretsFile;

/// Version of the file that this build writes.
pub const VERSION: u32 = 1;

/// Content of a cluster's secrets file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterSecrets {
    /// [`VERSION`] of the file.
    pub version: u32,
    /// Name of the cluster the secrets belong to.
    pub cluster: String,
    /// UUID of the cluster.
    pub id: String,
    /// Lets servers join.
    pub server_token: Secret,
    /// Lets agents join.
    pub agent_token: Secret,
    /// Shared by the servers that move the VIP; 8 characters, keepalived uses no more.
    pub vrrp_password: Secret,
    /// Of the role that owns K3s's database.
    pub database_password: Secret,
    /// What belongs to single nodes, by name.
    pub nodes: BTreeMap<String, NodeRecord>,
}

/// What belongs to one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeRecord {
    /// Ties the node's name to the node (K3s docs, agent registration).
    pub password: Secret,
    /// How often the node was made anew, from 1. A node whose card was made anew has forgotten
    /// what it promised to others, so they must be able to tell.
    pub incarnation: u32,
    /// Digest of the inputs of its newest image; `None` before the first.
    pub inputs: Option<String>,
}

impl ClusterSecrets {
    /// New secrets for a cluster, from the operating system's randomness.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`] where the system has none.
    pub fn generate(cluster: &str, nodes: &[&str]) -> crate::error::Result<Self> {
        let mut secrets = Self {
            version: VERSION,
            cluster: cluster.to_owned(),
            id: random::uuid()?,
            server_token: Secret::new(random::hex::<24>()?),
            agent_token: Secret::new(random::hex::<24>()?),
            vrrp_password: Secret::new(random::letters::<8>()?),
            database_password: Secret::new(random::hex::<24>()?),
            nodes: BTreeMap::new(),
        };
        secrets.add_nodes(nodes)?;
        Ok(secrets)
    }

    /// Placeholders for looking at a plan before there are secrets. Fit for nothing else.
    #[must_use]
    pub fn placeholder(cluster: &str, nodes: &[&str]) -> Self {
        let none = || Secret::new("not-yet-made");
        let record = || NodeRecord { password: none(), incarnation: 1, inputs: None };
        Self {
            version: VERSION,
            cluster: cluster.to_owned(),
            id: "00000000-0000-4000-8000-000000000000".into(),
            server_token: none(),
            agent_token: none(),
            vrrp_password: none(),
            database_password: none(),
            nodes: nodes.iter().map(|name| ((*name).to_owned(), record())).collect(),
        }
    }

    /// Makes records for nodes that have none. Returns whether there were any.
    fn add_nodes(&mut self, nodes: &[&str]) -> crate::error::Result<bool> {
        let mut added = false;
        for name in nodes {
            if !self.nodes.contains_key(*name) {
                let password = Secret::new(random::hex::<16>()?);
                let record = NodeRecord { password, incarnation: 1, inputs: None };
                self.nodes.insert((*name).to_owned(), record);
                added = true;
            }
        }
        Ok(added)
    }

    /// The incarnation of an image of `node` made from inputs with digest `inputs`: unchanged
    /// inputs keep the incarnation (they make the same image), changed ones and `replace` raise
    /// it. Returns it and whether the record changed.
    fn claim(&mut self, node: &str, inputs: &str, replace: bool) -> Option<(u32, bool)> {
        let record = self.nodes.get_mut(node)?;
        let first = record.inputs.is_none();
        let same = record.inputs.as_deref() == Some(inputs);
        if same && !replace {
            return Some((record.incarnation, false));
        }
        if !first || replace {
            record.incarnation = record.incarnation.saturating_add(1);
        }
        record.inputs = Some(inputs.to_owned());
        Some((record.incarnation, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incarnations_rise_when_the_image_changes() {
        let mut secrets = ClusterSecrets::generate("edge", &["node1"]).unwrap();
        assert_eq!(secrets.claim("node1", "a", false), Some((1, true)));
        assert_eq!(secrets.claim("node1", "a", false), Some((1, false)));
        assert_eq!(secrets.claim("node1", "b", false), Some((2, true)));
        assert_eq!(secrets.claim("node1", "b", true), Some((3, true)));
        assert_eq!(secrets.claim("node1", "b", false), Some((3, false)));
        assert_eq!(secrets.claim("nobody", "b", false), None);
    }

    #[test]
    fn replacing_before_the_first_bake_raises_too() {
        let mut secrets = ClusterSecrets::generate("edge", &["node1"]).unwrap();
        assert_eq!(secrets.claim("node1", "a", true), Some((2, true)));
    }

    #[test]
    fn secrets_differ_and_have_their_shapes() {
        let one = ClusterSecrets::generate("edge", &["node1", "node2"]).unwrap();
        let two = ClusterSecrets::generate("edge", &["node1"]).unwrap();
        assert_ne!(one.id, two.id);
        assert_ne!(one.server_token, two.server_token);
        assert_ne!(one.server_token, one.agent_token);
        assert_ne!(one.nodes["node1"].password, one.nodes["node2"].password);
        assert_eq!(one.vrrp_password.expose().len(), 8);
        assert_eq!(one.server_token.expose().len(), 48);
        assert_eq!((one.id.len(), &one.id[14..15]), (36, "4"));
        assert!(matches!(&one.id[19..20], "8" | "9" | "a" | "b"));
    }
}
