//! Asks every node and the API at the same time, so that one that is silent delays nobody.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread::{self, ScopedJoinHandle};

use nodeconf::kube::Node;
use nodeconf::names::witness_name;
use nodeconf::paths::WITNESS_PORT;
use nodeconf::status::Served;
use nodeconf::{Role, Topology};

use super::{ApiStatus, Asker, ClusterStatus, Kubernetes, NodeStatus, Silence, VipStatus};
use crate::profile::Member;
use crate::remote::{Failure, Method, Place};

/// What the API says.
struct Told {
    api: ApiStatus,
    nodes: Option<Vec<Node>>,
}

type Answer = Result<Served, Silence>;

impl Asker {
    pub(super) fn gather(&self) -> ClusterStatus {
        let (told, answers) = thread::scope(|scope| {
            let api = scope.spawn(|| self.ask_api());
            let early: Vec<Option<ScopedJoinHandle<'_, Answer>>> = self
                .members
                .iter()
                .map(|m| m.address.map(|at| scope.spawn(move || self.ask_witness(m, at))))
                .collect();
            // Where a node is that got its address from the network, only the API can tell.
            let told = api.join().unwrap_or_else(|_| Told::nothing("asking it failed"));
            let late: Vec<_> = self
                .members
                .iter()
                .zip(early)
                .map(|(member, early)| match (early, told.address(&member.name)) {
                    (Some(early), _) => (member.address, Some(early)),
                    (None, Some(at)) => {
                        (Some(at), Some(scope.spawn(move || self.ask_witness(member, at))))
                    }
                    (None, None) => (None, None),
                })
                .collect();
            let answers: Vec<_> = late.into_iter().map(|(at, run)| (at, run.map(finish))).collect();
            (told, answers)
        });
        self.assemble(told, answers)
    }

    fn assemble(
        &self,
        told: Told,
        answers: Vec<(Option<Ipv4Addr>, Option<Answer>)>,
    ) -> ClusterStatus {
        let node = |(member, (address, answer)): (&Member, (Option<Ipv4Addr>, Option<Answer>))| {
            let (served, silence) = match answer {
                Some(Ok(served)) => (Some(served), None),
                Some(Err(why)) => (None, Some(why)),
                None => (
                    None,
                    Some(Silence {
                        why: "its address comes from the network, and the API does not tell it"
                            .into(),
                        nothing_heard: told.nodes.is_some(),
                    }),
                ),
            };
            let kubernetes = told.kubernetes(member);
            let Member { name, role, .. } = member.clone();
            NodeStatus {
                name,
                role,
                address,
                reachable: served.is_some(),
                silence,
                served,
                kubernetes,
            }
        };
        let nodes: Vec<NodeStatus> = self.members.iter().zip(answers).map(node).collect();
        let holders = || {
            let holding = |n: &&NodeStatus| n.served.as_ref().is_some_and(|s| s.vip_held);
            nodes.iter().filter(holding).map(|n| n.name.clone()).collect()
        };
        let vip = self.cluster.vip.as_ref().map(|vip| VipStatus {
            address: vip.address,
            provider: vip.provider,
            holders: holders(),
        });
        ClusterStatus {
            cluster: self.cluster.name.clone(),
            id: self.cluster.id.clone(),
            topology: self.cluster.topology,
            well: false,
            problems: Vec::new(),
            notes: Vec::new(),
            founder: nodes.iter().find_map(|n| n.served.as_ref()?.formed.clone()),
            vip,
            etcd_members: told
                .etcd_members()
                .filter(|_| self.cluster.topology == Topology::EmbeddedEtcd),
            api: told.api,
            nodes,
        }
    }

    fn ask_witness(&self, member: &Member, address: Ipv4Addr) -> Answer {
        let place = Place {
            address: SocketAddr::from((address, WITNESS_PORT)),
            name: Some(witness_name(&member.name, &self.cluster.id)),
        };
        let reply = self.witnesses.ask(&place, Method::GET, "/v1/status", None, self.timeout);
        let reply = reply.map_err(|failure| Silence {
            nothing_heard: matches!(failure, Failure::Silent | Failure::Unreachable(_)),
            why: failure.to_string(),
        })?;
        let strange = |why| Silence { why, nothing_heard: false };
        if reply.status != 200 {
            return Err(strange(format!("its witness answers {}", reply.status)));
        }
        serde_json::from_slice(&reply.body)
            .map_err(|e| strange(format!("what its witness says is not understood: {e}")))
    }

    /// At the shared address, and at every server in case that does not answer.
    fn ask_api(&self) -> Told {
        let Some(front) = self.entrances.front else {
            return Told::nothing("the profile does not say where it will be");
        };
        let ask = |at| (self.api.is_ready(at), self.api.nodes(at));
        thread::scope(|scope| {
            let at_front = scope.spawn(move || ask(front));
            let others = self.entrances.servers.iter().filter(|(_, at)| *at != front);
            let others: Vec<_> =
                others.map(|(_, at)| scope.spawn(|| self.api.nodes(*at))).collect();
            let silent = || (Err("asking it failed".to_owned()), Err(String::new()));
            let (ready, nodes) = at_front.join().unwrap_or_else(|_| silent());
            let nodes = nodes.ok().or_else(|| {
                others.into_iter().find_map(|run| run.join().ok().and_then(Result::ok))
            });
            let problem = match &ready {
                Ok(true) => None,
                Ok(false) => Some("it is not ready: its datastore does not take changes".into()),
                Err(why) => Some(why.clone()),
            };
            let api = ApiStatus {
                server: Some(format!("https://{front}")),
                ready: problem.is_none(),
                problem,
            };
            Told { api, nodes }
        })
    }
}

fn finish(run: ScopedJoinHandle<'_, Answer>) -> Answer {
    let failed = || Silence { why: "asking it failed".into(), nothing_heard: false };
    run.join().unwrap_or_else(|_| Err(failed()))
}

impl Told {
    fn nothing(problem: &str) -> Self {
        let api = ApiStatus { server: None, ready: false, problem: Some(problem.into()) };
        Self { api, nodes: None }
    }

    fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.as_ref()?.iter().find(|node| node.name == name)
    }

    fn address(&self, name: &str) -> Option<Ipv4Addr> {
        self.node(name)?.address
    }

    fn kubernetes(&self, member: &Member) -> Option<Kubernetes> {
        if member.role == Role::Database || self.nodes.is_none() {
            return None;
        }
        Some(match self.node(&member.name) {
            Some(node) if node.is_ready() => Kubernetes::Ready,
            Some(_) => Kubernetes::NotReady,
            None => Kubernetes::Unknown,
        })
    }

    fn etcd_members(&self) -> Option<Vec<String>> {
        let members = self.nodes.as_ref()?.iter().filter(|node| node.has_etcd());
        Some(members.map(|node| node.name.clone()).collect())
    }
}
