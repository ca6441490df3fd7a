//! There is a cluster to join, or it is this node that founds it.
//!
//! Servers of embedded etcd ask each other's witnesses, by the rules of the crate `bootstrap`;
//! servers of an external datastore need it to be there, agents need the API.

mod api;
mod datastore;
mod etcd;
mod join;
mod peers;
mod retire;
mod words;

use nodeconf::{NodeConfig, Role, Topology};

use super::Context;
use crate::finding::{Condition, Finding};

pub(super) use etcd::{data, has_data};
pub(super) use peers::{Peers, home};
pub(super) use words::unanswered;

/// Whether the node is a server that keeps the cluster's state with others.
pub(super) fn has_etcd(config: &NodeConfig) -> bool {
    config.node.role == Role::Server && config.cluster.topology == Topology::EmbeddedEtcd
}

pub(super) fn check(ctx: &Context) -> Result<Finding, Condition> {
    match ctx.config.node.role {
        Role::Server if has_etcd(ctx.config) => etcd::check(ctx),
        _ if ctx.sealed => Ok(Finding::Met),
        Role::Server => datastore::check(ctx),
        Role::Agent | Role::Database => api::check(ctx),
    }
}

pub(super) fn apply(ctx: &Context) -> Result<(), Condition> {
    match ctx.config.node.role {
        Role::Server if has_etcd(ctx.config) => etcd::apply(ctx),
        Role::Server => datastore::apply(ctx),
        Role::Agent | Role::Database => api::apply(ctx),
    }
}
