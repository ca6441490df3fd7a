//! Takes a node out of a cluster for good, through the API.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use nodeconf::kube::Node;
use serde::Serialize;

use super::Entrances;
use super::api::Api;
use crate::error::{Error, Result};
use crate::profile::{ClusterSecrets, Profile};
use crate::sys::interrupt::Cancel;

/// Between two looks at whether a Node is gone.
const PAUSE: Duration = Duration::from_millis(500);

/// A node to remove, and what it means.
#[derive(Debug)]
pub struct Removal {
    api: Api,
    at: SocketAddr,
    node: Node,
    /// What will be done and what follows, in sentences.
    pub steps: Vec<String>,
    /// Why it should not be done.
    pub objection: Option<String>,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// The node.
    pub node: String,
    /// Whether the Node is gone from the API.
    pub gone: bool,
    /// Whether it was a member of etcd and is none any more.
    pub left_etcd: bool,
    /// What the API still waits for before the Node is gone.
    pub waiting_for: Vec<String>,
}

impl Removal {
    /// Asks the API about the node; `None` where it knows no such node.
    ///
    /// # Errors
    /// [`Error::Cluster`] where no API answers.
    pub fn look(
        profile: &Profile,
        secrets: &ClusterSecrets,
        name: &str,
        timeout: Duration,
    ) -> Result<Option<Self>> {
        let entrances = Entrances::of(&profile.cluster_config(secrets));
        let api = Api::new(secrets, super::now(), timeout)?;
        let (at, nodes) = reach(&api, &entrances, name)?;
        let Some(node) = nodes.iter().find(|node| node.name == name).cloned() else {
            return Ok(None);
        };
        let declared = profile.nodes().contains(&name);
        Ok(Some(Self {
            steps: steps(&node, &nodes, declared),
            objection: objection(&node, &nodes),
            api,
            at,
            node,
        }))
    }

    /// Where the node is.
    #[must_use]
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.node.address
    }

    /// Deletes the Node and waits, no longer than `patience`, until it is gone.
    ///
    /// # Errors
    /// [`Error::Cluster`] where the API refuses, or an etcd member does not leave in time.
    pub fn carry_out(&self, patience: Duration, cancel: &Cancel) -> Result<Removed> {
        self.api.delete(self.at, &self.node)?;
        let (start, name) = (Instant::now(), &self.node.name);
        let mut last = Ok(Some(self.node.clone()));
        while start.elapsed() < patience {
            cancel.check()?;
            last = self.api.node(self.at, name);
            match &last {
                Ok(Some(now)) if now.uid == self.node.uid => {}
                Ok(_) => return Ok(self.removed(None)),
                // The server that answered may be the one that goes.
                Err(_) => {}
            }
            std::thread::sleep(PAUSE);
        }
        match last {
            Ok(Some(now)) if !self.node.has_etcd() || now.has_left_etcd() => {
                Ok(self.removed(Some(now)))
            }
            Ok(_) => Err(self.stuck("etcd has not let it go")),
            Err(why) => Err(self.stuck(&why)),
        }
    }

    fn removed(&self, left: Option<Node>) -> Removed {
        Removed {
            node: self.node.name.clone(),
            gone: left.is_none(),
            left_etcd: self.node.has_etcd(),
            waiting_for: left.map(|node| node.finalizers).unwrap_or_default(),
        }
    }

    fn stuck(&self, why: &str) -> Error {
        let reason = format!("the API took the order, and the node is still there: {why}");
        Error::Cluster { what: format!("removing {}", self.node.name), reason }.hint(
            "K3s goes on by itself; `bake status` shows when it is done, and this may be repeated",
        )
    }
}

/// An API that answers: at the shared address, else at a server, the one to be removed last.
fn reach(api: &Api, entrances: &Entrances, name: &str) -> Result<(SocketAddr, Vec<Node>)> {
    let (own, others): (Vec<_>, Vec<_>) =
        entrances.servers.iter().partition(|(server, _)| server == name);
    let all = others.into_iter().chain(own).map(|(_, at)| *at);
    let mut reasons = Vec::new();
    for at in entrances.front.into_iter().chain(all) {
        match api.nodes(at) {
            Ok(nodes) => return Ok((at, nodes)),
            Err(why) => reasons.push(format!("{at}: {why}")),
        }
    }
    let reason = match reasons.is_empty() {
        true => "the profile does not say where it is".to_owned(),
        false => reasons.join("; "),
    };
    Err(Error::Cluster { what: "no API of the cluster answers".into(), reason }
        .hint("without a quorum of its servers a cluster changes nothing; see docs/day2.md"))
}

fn steps(node: &Node, nodes: &[Node], declared: bool) -> Vec<String> {
    let name = &node.name;
    let mut steps = vec![format!("delete the Node {name}: its pods are started on other nodes")];
    if node.has_etcd() {
        let left = nodes.iter().filter(|n| n.has_etcd()).count().saturating_sub(1);
        let lost = left.saturating_sub(1) / 2;
        steps.push(format!(
            "K3s then takes it out of etcd; {left} member{} remain{}, of which {lost} may fail",
            if left == 1 { "" } else { "s" },
            if left == 1 { "s" } else { "" },
        ));
    }
    if node.is_server() {
        steps.push(format!(
            "the other servers' keepalived, HAProxy and firewall forget it; {name}, if it still \
             runs, gives the shared address up"
        ));
    }
    steps.push(format!("a later card of that name is another one: bake {name} anew for that"));
    if declared {
        steps.push(format!(
            "take {name} out of the profile and switch it off: as long as it runs, K3s on it \
             may join again"
        ));
    }
    steps
}

/// Why removing `node` would harm the cluster.
fn objection(node: &Node, nodes: &[Node]) -> Option<String> {
    let others = |wanted: fn(&Node) -> bool| {
        let other = nodes.iter().filter(move |n| n.name != node.name && wanted(n));
        (other.clone().count(), other.filter(|n| n.is_ready() && !n.deleting).count())
    };
    if node.has_etcd() {
        let (left, ready) = others(|n| n.has_etcd());
        return match (left, ready) {
            (0, _) => {
                Some("it is the last member of etcd: the cluster's state goes with it".into())
            }
            (left, ready) if ready < left / 2 + 1 => Some(format!(
                "of the {left} members of etcd that remain only {ready} would be Ready, too few \
                 to decide anything"
            )),
            _ => None,
        };
    }
    let (_, ready) = others(|n| n.is_server());
    (node.is_server() && ready == 0).then(|| "no other server is Ready".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, etcd: bool, ready: bool) -> Node {
        let label = |name: &str| (format!("node-role.kubernetes.io/{name}"), "true".to_owned());
        let server = (etcd || name.starts_with('s')).then(|| label("control-plane"));
        Node {
            name: name.into(),
            uid: name.into(),
            labels: etcd.then(|| label("etcd")).into_iter().chain(server).collect(),
            ready: if ready { Ok(()) } else { Err("no kubelet".into()) },
            address: None,
            deleting: false,
            finalizers: Vec::new(),
        }
    }

    #[test]
    fn quorum_is_kept() {
        // Readiness of the members that remain, and whether removing another is fine.
        for (others, fine) in [
            (&[true, true][..], true),
            (&[true, false], false),
            (&[true], true),
            (&[false], false),
            (&[], false),
            (&[true, true, false], true),
            (&[true, true, false, false], false),
            (&[true, true, true, false], true),
        ] {
            for own in [true, false] {
                let mut nodes = vec![node("gone", true, own)];
                let names = ["a", "b", "c", "d"];
                nodes.extend(others.iter().zip(names).map(|(r, name)| node(name, true, *r)));
                nodes.push(node("worker", false, true));
                assert_eq!(objection(&nodes[0], &nodes).is_none(), fine, "{others:?} {own}");
                assert_eq!(objection(nodes.last().unwrap(), &nodes), None);
            }
        }
    }

    #[test]
    fn with_a_database_one_server_must_remain() {
        let nodes = [node("s1", false, true), node("s2", false, true), node("w", false, true)];
        assert_eq!(objection(&nodes[0], &nodes), None);
        let nodes = [node("s1", false, true), node("s2", false, false)];
        assert!(objection(&nodes[0], &nodes).is_some());
        assert_eq!(objection(&nodes[1], &nodes), None);
    }
}
