//! How a cluster is: what every node's witness tells, and what the API does.

mod gather;
mod judge;

use std::net::Ipv4Addr;
use std::time::Duration;

use nodeconf::status::{Served, ServedCard};
use nodeconf::{Cluster, Role, Topology, VipProvider};
use serde::Serialize;

use super::Entrances;
use super::api::Api;
use crate::error::Result;
use crate::profile::{ClusterSecrets, Member, Profile};
use crate::remote::Access;

/// Whom to ask, and by what right.
#[derive(Debug)]
pub struct Asker {
    cluster: Cluster,
    members: Vec<Member>,
    /// Incarnation of each member's newest card, in their order.
    incarnations: Vec<Option<u32>>,
    entrances: Entrances,
    witnesses: Access,
    api: Api,
    timeout: Duration,
}

/// A cluster at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClusterStatus {
    /// Its name.
    pub cluster: String,
    /// Its id.
    pub id: String,
    /// How it keeps its state.
    pub topology: Topology,
    /// Whether all is as it should be.
    pub well: bool,
    /// What is not, in words, with what to do.
    pub problems: Vec<String>,
    /// What is worth knowing and no trouble.
    pub notes: Vec<String>,
    /// The API where clients reach it.
    pub api: ApiStatus,
    /// Who founded the cluster, as far as its nodes know.
    pub founder: Option<ServedCard>,
    /// The shared address.
    pub vip: Option<VipStatus>,
    /// Members of embedded etcd by name; `None` where there is none, or nobody can tell.
    pub etcd_members: Option<Vec<String>>,
    /// The nodes, in the profile's order.
    pub nodes: Vec<NodeStatus>,
}

/// The API where clients reach it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApiStatus {
    /// Its URL.
    pub server: Option<String>,
    /// Whether it has its datastore and takes changes.
    pub ready: bool,
    /// Why not.
    pub problem: Option<String>,
}

/// The shared address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VipStatus {
    /// The address.
    pub address: Ipv4Addr,
    /// Who moves it.
    pub provider: VipProvider,
    /// The nodes that say they carry it.
    pub holders: Vec<String>,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Where it was asked.
    pub address: Option<Ipv4Addr>,
    /// Whether its witness answered.
    pub reachable: bool,
    /// Why it did not answer; `None` where it did.
    pub silence: Option<Silence>,
    /// What it said.
    pub served: Option<Served>,
    /// Whether the API has it, and has it Ready; `None` where the API does not tell.
    pub kubernetes: Option<Kubernetes>,
}

/// Why a node did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Silence {
    /// In words.
    pub why: String,
    /// Whether nothing at all was heard, as from a node that is off.
    pub nothing_heard: bool,
}

/// A node in the eyes of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kubernetes {
    /// It is Ready.
    Ready,
    /// It is not.
    NotReady,
    /// There is no Node of this name.
    Unknown,
}

impl NodeStatus {
    /// Where it is on its way, in one word.
    #[must_use]
    pub fn state(&self) -> &'static str {
        use nodeconf::status::State;
        match (&self.served, &self.silence) {
            (Some(Served { status: Some(status), .. }), _) => match status.state {
                State::Working => "working",
                State::Waiting => "waiting",
                State::TryingAgain => "trying again",
                State::Halted => "halted",
                State::Broken => "broken",
                State::Done => "running",
            },
            (Some(_), _) => "starting",
            (None, _) => "unreachable",
        }
    }
}

impl Asker {
    /// Asks by the operator's certificate, and the API by an administrator's. `timeout` bounds
    /// each question.
    ///
    /// # Errors
    /// [`crate::error::Error::Corrupt`] where the secrets are damaged.
    pub fn new(profile: &Profile, secrets: &ClusterSecrets, timeout: Duration) -> Result<Self> {
        let (cluster, members) = (profile.cluster_config(secrets), profile.members());
        let pki = &secrets.pki;
        let record = |m: &Member| secrets.nodes.get(&m.name);
        let baked = |m: &Member| record(m).filter(|r| r.inputs.is_some()).map(|r| r.incarnation);
        Ok(Self {
            entrances: Entrances::of(&cluster),
            incarnations: members.iter().map(baked).collect(),
            witnesses: Access::new(
                &pki.witness_ca.certificate,
                &pki.operator.certificate,
                &pki.operator.key,
            )?,
            api: Api::new(secrets, super::now(), timeout)?,
            cluster,
            members,
            timeout,
        })
    }

    /// Asks everybody at once, and holds the answers against each other.
    #[must_use]
    pub fn ask(&self) -> ClusterStatus {
        let mut status = self.gather();
        status.problems = self.judge(&status);
        status.notes = self.notes(&status);
        status.well = status.problems.is_empty();
        status
    }
}
