//! The secrets of one cluster: made once, kept in one file of the operator's, never in a profile.
//!
//! Everything random about a cluster is here, so that images are a function of profile, base
//! image and this file.

mod file;
mod first;
mod pki;
mod random;
mod redact;
mod rotate;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use nodeconf::{Role, Secret};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::Result;
use crate::pki::Identity;

pub use file::{Origin, SecretsFile};
pub use pki::{Authorities, DatabaseIdentity, K3sAuthority, Pki};
pub use rotate::{Next, Rotated};

/// Version of the file that this build writes. Version 1, which had no certificates, is read and
/// completed.
pub const VERSION: u32 = 2;

/// A node, as far as its secrets depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Its fixed address.
    pub address: Option<Ipv4Addr>,
}

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
    /// When they were made, seconds since 1970-01-01 UTC. The time of the files made from them,
    /// which K3s compares between servers.
    pub created: u64,
    /// Lets servers join.
    pub server_token: Secret,
    /// Lets agents join.
    pub agent_token: Secret,
    /// For VRRP version 2, which no image uses any more (ADR 0089).
    pub vrrp_password: Secret,
    /// Of the role that owns K3s's database.
    pub database_password: Secret,
    /// [`ClusterSecrets::shape`] of the first server image; `None` before it, and in files of older
    /// releases.
    #[serde(default)]
    pub first_shape: Option<String>,
    /// Whom the file is encrypted for (`age1…`): what is encrypted for public keys does not tell
    /// whose they are, and nobody may add himself from outside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    /// What takes the place of others once every board has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
    /// Keys and certificates.
    pub pki: Pki,
    /// What belongs to single nodes, by name. A node that left the profile keeps its record: a
    /// later card of its name must be known as another one.
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
    /// [`ClusterSecrets::shape`] that its newest image was made for.
    #[serde(default)]
    pub shape: Option<String>,
    /// Whether its witness may ask others for their vote.
    pub votes: bool,
    /// Of its witness; serves only, unless it votes.
    pub witness: Identity,
}

impl ClusterSecrets {
    /// New secrets for a cluster, from the operating system's randomness.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`] where the system has none.
    pub fn generate(cluster: &str, members: &[Member], created: u64) -> Result<Self> {
        let mut secrets = Self {
            version: VERSION,
            cluster: cluster.to_owned(),
            id: random::uuid()?,
            created,
            server_token: Secret::new(random::hex::<24>()?),
            agent_token: Secret::new(random::hex::<24>()?),
            vrrp_password: Secret::new(random::letters::<8>()?),
            database_password: Secret::new(random::hex::<24>()?),
            first_shape: None,
            recipients: Vec::new(),
            next: None,
            pki: Pki::generate(cluster, created)?,
            nodes: BTreeMap::new(),
        };
        secrets.complete(members, created)?;
        Ok(secrets)
    }

    /// As the file has it, in memory that is cleared when it goes.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        // Growing would leave copies behind; a hundred nodes take 130 KB. Writing to memory
        // cannot fail.
        let mut text = Zeroizing::new(Vec::with_capacity(1 << 18));
        let written = serde_json::to_writer_pretty(&mut *text, self).is_ok();
        debug_assert!(written, "plain data");
        text.push(b'\n');
        Zeroizing::new(String::from_utf8(std::mem::take(&mut *text)).unwrap_or_default())
    }

    /// Placeholders for looking at a plan before there are secrets. Fit for nothing else.
    #[must_use]
    pub fn placeholder(cluster: &str, members: &[Member]) -> Self {
        let none = || Secret::new(pki::PLACEHOLDER);
        let record = |member: &Member| NodeRecord {
            password: none(),
            incarnation: 1,
            inputs: None,
            shape: None,
            votes: member.role == Role::Server,
            witness: pki::placeholder(),
        };
        Self {
            version: VERSION,
            cluster: cluster.to_owned(),
            id: "00000000-0000-4000-8000-000000000000".into(),
            created: 0,
            server_token: none(),
            agent_token: none(),
            vrrp_password: none(),
            database_password: none(),
            first_shape: None,
            recipients: Vec::new(),
            next: None,
            pki: Pki::placeholder(),
            nodes: members.iter().map(|m| (m.name.clone(), record(m))).collect(),
        }
    }

    /// Makes what is missing: all certificates in secrets of version 1, the record of a node that
    /// is new, another certificate for one whose role or address changed. Returns whether
    /// anything was.
    fn complete(&mut self, members: &[Member], now: u64) -> Result<bool> {
        let mut changed = false;
        if self.version < VERSION {
            self.created = now;
            self.pki = Pki::generate(&self.cluster, now)?;
            for (name, record) in &mut self.nodes {
                record.witness = self.pki.witness(name, &self.id, record.votes)?;
            }
            self.version = VERSION;
            changed = true;
        }
        for member in members {
            changed |= self.complete_node(member)?;
        }
        let database = members.iter().find(|m| m.role == Role::Database);
        if let Some(address) = database.and_then(|m| m.address) {
            changed |= self.pki.certify_database(address)?;
        }
        Ok(changed)
    }

    fn complete_node(&mut self, member: &Member) -> Result<bool> {
        let votes = member.role == Role::Server;
        if self.nodes.get(&member.name).is_some_and(|record| record.votes == votes) {
            return Ok(false);
        }
        let witness = self.pki.witness(&member.name, &self.id, votes)?;
        match self.nodes.get_mut(&member.name) {
            Some(record) => (record.votes, record.witness) = (votes, witness),
            None => {
                let password = Secret::new(random::hex::<16>()?);
                let record = NodeRecord {
                    password,
                    incarnation: 1,
                    inputs: None,
                    shape: None,
                    votes,
                    witness,
                };
                self.nodes.insert(member.name.clone(), record);
            }
        }
        Ok(true)
    }

    /// Lets the next image of `node` be a new incarnation. Returns whether anything changed; there
    /// is nothing to change before its first image.
    fn retire(&mut self, node: &str) -> bool {
        let record = self.nodes.get_mut(node).filter(|record| record.inputs.is_some());
        let Some(record) = record else { return false };
        record.shape = None;
        record.inputs.replace(RETIRED.to_owned()).as_deref() != Some(RETIRED)
    }

    /// Claims an incarnation for an image. Returns it and whether the record changed.
    ///
    /// A server that is first baked for another shape than the first server begins above 1: when
    /// one server grows to three, the two new ones would otherwise be a majority of first cards,
    /// and could found a second cluster (ADR 0080).
    fn claim(&mut self, claim: &Claim<'_>) -> Option<(u32, bool)> {
        let baked = |(name, other): (&String, &NodeRecord)| {
            name != claim.node && other.votes && other.inputs.is_some()
        };
        let others = self.nodes.iter().any(baked);
        let record = self.nodes.get_mut(claim.node)?;
        let grown = record.votes && self.first_shape.as_ref().map_or(others, |s| s != claim.shape);
        if record.votes && self.first_shape.is_none() && !others {
            self.first_shape = Some(claim.shape.to_owned());
        }
        let first = record.inputs.is_none();
        let same = record.inputs.as_deref() == Some(claim.inputs);
        if same && !claim.replace && record.shape.as_deref() == Some(claim.shape) {
            return Some((record.incarnation, false));
        }
        if claim.replace || !(first || same) || (first && grown && record.incarnation == 1) {
            record.incarnation = record.incarnation.saturating_add(1);
        }
        record.inputs = Some(claim.inputs.to_owned());
        record.shape = Some(claim.shape.to_owned());
        Some((record.incarnation, true))
    }

    /// What a card takes for granted about the others: for servers who the servers are, for all
    /// where the API is. Cards of different shapes do not fit together.
    #[must_use]
    pub fn shape(cluster: &nodeconf::Cluster, server: bool) -> String {
        let servers = if server { cluster.servers.as_slice() } else { &[] };
        let known = (cluster.api_endpoint(), servers);
        let text = serde_json::to_vec(&known).unwrap_or_default();
        hex::encode(Sha256::digest(text))
    }
}

/// An image that is about to be made.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The node it is for.
    pub node: &'a str,
    /// Digest of what it is made from. Unchanged inputs make the same image, of the same
    /// incarnation; changed ones raise it.
    pub inputs: &'a str,
    /// [`ClusterSecrets::shape`] it is made for.
    pub shape: &'a str,
    /// Whether the node's board is replaced, which raises the incarnation too.
    pub replace: bool,
}

/// Stands where the digest of inputs does, for a node that left: equal to none.
const RETIRED: &str = "retired";

#[cfg(test)]
mod tests;
