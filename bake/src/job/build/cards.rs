//! Whether the cards of a cluster fit together, as far as the secrets tell.

use std::collections::BTreeSet;

use nodeconf::{Bootstrap, Cluster, Role, Topology};

use crate::profile::{ClusterSecrets, NodePlan};

/// What the user should know about the cluster's cards, this one included.
pub(in crate::job) fn warnings(plan: &NodePlan, secrets: &ClusterSecrets) -> Vec<String> {
    let fit = others_do_not_fit(plan, secrets).into_iter();
    fit.chain(few_first_cards(plan, secrets)).chain(rotating(secrets)).collect()
}

/// A card has what counts now, not what is to come.
fn rotating(secrets: &ClusterSecrets) -> Option<String> {
    let what = secrets.next.as_ref()?.what().name();
    Some(format!(
        "the {what} are being rotated: this card has the old ones. Finish or abandon the rotation \
         (`bake secrets rotate`) and bake it again, or it cannot join later"
    ))
}

/// Cards that were baked for other servers, or another address of the API.
fn others_do_not_fit(plan: &NodePlan, secrets: &ClusterSecrets) -> Vec<String> {
    let shape = |server| ClusterSecrets::shape(&plan.cluster, server);
    let (of_servers, of_others) = (shape(true), shape(false));
    let fewer = shapes_of_fewer(&plan.cluster);
    let servers: Vec<&str> = plan.cluster.servers.iter().map(|s| s.name.as_str()).collect();
    let (mut grown, mut strange) = (Vec::new(), Vec::new());
    for (name, record) in secrets.nodes.iter().filter(|(name, _)| **name != plan.node.name) {
        let now = if record.votes { &of_servers } else { &of_others };
        // A server that is not declared any more has left the cluster, or will.
        let counts = !record.votes || servers.contains(&name.as_str());
        match &record.shape {
            Some(shape) if counts && record.votes && fewer.contains(shape) => grown.push(&**name),
            Some(shape) if counts && shape != now => strange.push(&**name),
            _ => {}
        }
    }
    let mut all = Vec::new();
    if !grown.is_empty() {
        all.push(later_server(plan, &grown.join(", ")));
    }
    if !strange.is_empty() {
        all.push(format!(
            "the newest cards of {} were baked when the cluster had other servers or another \
             address: bake them anew as well, and put them in one after the other. Servers that \
             do not agree on who they are found no cluster together",
            strange.join(", ")
        ));
    }
    all
}

/// What it means that servers of the cluster were not known when others were baked.
fn later_server(plan: &NodePlan, others: &str) -> String {
    let database = plan.cluster.datastore.as_ref().and_then(|datastore| datastore.node.as_ref());
    let database = database.map_or(String::new(), |node| {
        format!(
            ". The database on {node} lets in only the servers it was baked with: add the new one \
             to its pg_hba.conf, firewall and max_connections (docs/database.md; another card for \
             {node} would be an empty database)"
        )
    });
    format!(
        "the newest cards of {others} do not know all servers of this profile. If the cluster \
         stands, nothing is to be done: a new server introduces itself to them and joins, if it \
         can reach them. If none stands yet, bake them anew as well, since servers that do not \
         agree on who they are found no cluster together{database}"
    )
}

/// As many servers as this may be added at once and still be recognised.
const FEW: usize = 10;

/// The shapes of servers' cards that were baked with some of the servers, but not all.
fn shapes_of_fewer(cluster: &Cluster) -> BTreeSet<String> {
    let all = &cluster.servers;
    if all.len() > FEW {
        return BTreeSet::new();
    }
    (1..(1_u32 << all.len()) - 1)
        .map(|chosen| {
            let taken = all.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1);
            let servers = taken.map(|(_, peer)| peer.clone()).collect();
            ClusterSecrets::shape(&Cluster { servers, ..cluster.clone() }, true)
        })
        .collect()
}

/// A card made anew has forgotten its promises, so its vote counts only together with everyone's
/// (docs/bootstrap.md).
fn few_first_cards(plan: &NodePlan, secrets: &ClusterSecrets) -> Option<String> {
    let cluster = &plan.cluster;
    let is_server = plan.node.role == Role::Server;
    if cluster.topology != Topology::EmbeddedEtcd || !is_server || plan.node.incarnation == 1 {
        return None;
    }
    let first = |name: &str| secrets.nodes.get(name).is_none_or(|record| record.incarnation == 1);
    let (all, first_cards) =
        (cluster.servers.len(), cluster.servers.iter().filter(|s| first(&s.name)).count());
    let enough = match &cluster.bootstrap {
        Bootstrap::Majority => first_cards > all / 2,
        Bootstrap::Designated { server } => first(server),
        // Asks everyone in any case.
        Bootstrap::All => true,
    };
    (!enough).then(|| {
        format!(
            "{first_cards} of {all} servers still have their first card. A cluster that stands is \
             not touched by this; but if none stands yet, these cards form one only once all \
             {all} servers are up at the same time"
        )
    })
}

#[cfg(test)]
mod tests;
