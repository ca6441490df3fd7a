//! Whether the cards of a cluster fit together, as far as the secrets tell.

use nodeconf::{Bootstrap, Role, Topology, VipProvider};

use crate::profile::{ClusterSecrets, NodePlan, NodeRecord};

/// What the user should know about the cluster's cards, this one included.
pub(in crate::job) fn warnings(plan: &NodePlan, secrets: &ClusterSecrets) -> Vec<String> {
    others_do_not_fit(plan, secrets).into_iter().chain(few_first_cards(plan, secrets)).collect()
}

/// Cards that were baked for other servers, or another address of the API.
fn others_do_not_fit(plan: &NodePlan, secrets: &ClusterSecrets) -> Option<String> {
    let shape = |server| ClusterSecrets::shape(&plan.cluster, server);
    let (of_servers, of_others) = (shape(true), shape(false));
    let servers: Vec<&str> = plan.cluster.servers.iter().map(|s| s.name.as_str()).collect();
    let outdated = |name: &str, record: &NodeRecord| {
        let now = if record.votes { &of_servers } else { &of_others };
        // A server that is not declared any more has left the cluster, or will.
        let counts = !record.votes || servers.contains(&name);
        counts && record.shape.as_ref().is_some_and(|shape| shape != now)
    };
    let others: Vec<&str> = secrets
        .nodes
        .iter()
        .filter(|(name, record)| **name != plan.node.name && outdated(name, record))
        .map(|(name, _)| name.as_str())
        .collect();
    if others.is_empty() {
        return None;
    }
    let keepalived =
        plan.cluster.vip.as_ref().is_some_and(|vip| vip.provider == VipProvider::Keepalived);
    let split = match keepalived && plan.node.role == Role::Server {
        true => ", and would carry the shared address side by side",
        false => "",
    };
    Some(format!(
        "the newest cards of {} were baked when the cluster had other servers or another address: \
         bake them anew as well, and put them in first, one after the other. Servers that do not \
         know of each other found no cluster together{split}",
        others.join(", ")
    ))
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
