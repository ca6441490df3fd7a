//! What is not as it should be, in words, with what to do.

use nodeconf::status::{Served, ServedCard, State};
use nodeconf::{Role, Topology, VipProvider};

use super::{Asker, ClusterStatus, Kubernetes, NodeStatus, Silence};

impl Asker {
    pub(super) fn judge(&self, status: &ClusterStatus) -> Vec<String> {
        let mut found = Vec::new();
        status.nodes.iter().for_each(|node| found.extend(of_node(node)));
        if let Some(problem) = &status.api.problem {
            let server = status.api.server.as_deref().unwrap_or("(unknown)");
            found.push(format!("the API at {server}: {problem}"));
        }
        if self.cluster.topology == Topology::EmbeddedEtcd {
            found.extend(founding(status));
            found.extend(self.membership(status));
        }
        found.extend(shared_address(status));
        found
    }

    /// Cards that were baked and not put in, and what the nodes note themselves.
    pub(super) fn notes(&self, status: &ClusterStatus) -> Vec<String> {
        let mut all = Vec::new();
        for (node, newest) in status.nodes.iter().zip(&self.incarnations) {
            let Some(served) = &node.served else { continue };
            let (name, runs) = (&node.name, served.card.incarnation);
            if let Some(newest) = newest.filter(|newest| *newest != runs) {
                all.push(format!(
                    "{name} runs from its card {runs}, the newest that was baked is {newest}"
                ));
            }
            let own = served.status.iter().flat_map(|status| &status.notes);
            all.extend(own.map(|note| format!("{name}: {note}")));
        }
        all
    }

    fn membership(&self, status: &ClusterStatus) -> Option<String> {
        let members = status.etcd_members.as_ref()?;
        let servers = self.members.iter().filter(|m| m.role == Role::Server);
        let missing: Vec<&str> = servers
            .map(|m| m.name.as_str())
            .filter(|name| !members.iter().any(|m| m == name))
            .collect();
        let strange: Vec<&str> = members
            .iter()
            .map(String::as_str)
            .filter(|name| !self.members.iter().any(|m| m.name == *name))
            .collect();
        if !strange.is_empty() {
            return Some(format!(
                "etcd: not in the profile but a member: {}; `bake remove` retires it",
                strange.join(", ")
            ));
        }
        match missing.as_slice() {
            [] => None,
            [one] => Some(format!("etcd: {one} is no member yet")),
            several => Some(format!("etcd: {} are no members yet", several.join(", "))),
        }
    }
}

fn of_node(node: &NodeStatus) -> Vec<String> {
    let name = &node.name;
    let Some(served) = &node.served else {
        return vec![silent(node)];
    };
    let mut found = Vec::new();
    match &served.status {
        None => found.push(format!("{name}: firstboot has not begun yet")),
        Some(status) if status.state != State::Done => {
            found.push(format!("{name}: {}", status.sentence()));
        }
        Some(_) if node.kubernetes == Some(Kubernetes::NotReady) => {
            found.push(format!("{name}: the API has it as not Ready"));
        }
        Some(_) if node.kubernetes == Some(Kubernetes::Unknown) => {
            found.push(format!("{name}: the API knows no such node; it may have been removed"));
        }
        Some(_) => {}
    }
    if let Some(trouble) = &served.witness_trouble {
        found.push(format!("{name}: its witness cannot vote: {trouble}"));
    }
    if served.k3s_ready == Some(false) && found.is_empty() {
        found.push(format!("{name}: K3s does not answer as ready; see `journalctl` there"));
    }
    found
}

fn silent(node: &NodeStatus) -> String {
    let name = &node.name;
    match &node.silence {
        Some(Silence { why, nothing_heard: true }) => format!(
            "{name}: {why}; see that it has power and its cable, then its console or the log {} \
             on its card",
            nodeconf::paths::BOOT_LOG
        ),
        Some(Silence { why, .. }) => format!("{name}: {why}"),
        None => format!("{name}: not asked"),
    }
}

fn served(status: &ClusterStatus) -> impl Iterator<Item = (&NodeStatus, &Served)> {
    status.nodes.iter().filter_map(|node| Some((node, node.served.as_ref()?)))
}

fn founding(status: &ClusterStatus) -> Option<String> {
    let mut founders: Vec<&ServedCard> =
        served(status).filter_map(|(_, served)| served.formed.as_ref()).collect();
    founders.sort();
    founders.dedup();
    match founders.as_slice() {
        [] => Some("no server says yet that the cluster has been founded".into()),
        [_] => None,
        several => {
            let names: Vec<String> =
                several.iter().map(|c| format!("{} ({})", c.name, c.nonce)).collect();
            Some(format!(
                "the nodes name different founders: {}; see docs/bootstrap.md before anything else",
                names.join(", ")
            ))
        }
    }
}

/// Others than keepalived move it in ways that a node does not see.
fn shared_address(status: &ClusterStatus) -> Option<String> {
    let vip = status.vip.as_ref().filter(|vip| vip.provider == VipProvider::Keepalived)?;
    match vip.holders.as_slice() {
        [_] => None,
        [] => Some(format!("nobody says that it carries the shared address {}", vip.address)),
        several => Some(format!(
            "{} carry the shared address {} at once: they do not hear each other",
            several.join(" and "),
            vip.address
        )),
    }
}
