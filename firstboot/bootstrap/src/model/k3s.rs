//! What K3s and its etcd do (facts B7 and E), and joining up to that point.

use super::moves::{self, ask};
use super::world::{Activity, Etcd, Setting, World, Wrong};
use crate::{Card, JoinStep, Joiner, Reply, Request, SLOT_MS, Seen};

/// One event of K3s, etcd or a joiner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    /// K3s with `cluster-init` writes its first data: a cluster is founded.
    Wal { node: u8 },
    /// The founder tells a witness that the cluster stands.
    Tell { node: u8, to: u8 },
    /// A server without data finds an API that answers.
    Join { node: u8 },
    /// It finds that the cluster is gone.
    Return { node: u8 },
    /// It asks the API to remove the membership of its earlier card.
    Retire { node: u8, etcd: u8 },
    /// It asks the next witness for the slot.
    Slot { node: u8, luck: Luck },
    /// etcd takes it in as a learner.
    Admit { node: u8, etcd: u8 },
    /// The learner's first data.
    Sync { node: u8 },
    /// The learner becomes a voting member.
    Promote { node: u8 },
    /// etcd removes a learner that made no progress.
    Expel { etcd: u8 },
}

/// What becomes of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Luck {
    Answered,
    /// It never arrived.
    Lost,
    /// It arrived, its answer did not.
    AnswerLost,
}

/// Appends every event that can happen.
pub(super) fn moves(world: &World, all: &mut Vec<moves::Move>) {
    let mut found = Vec::new();
    for (at, node) in world.nodes.iter().enumerate() {
        let node_at = at as u8;
        match &node.activity {
            Activity::Founding { .. } => found.push(Move::Wal { node: node_at }),
            Activity::Slotting { ask, .. } => {
                found.push(Move::Slot { node: node_at, luck: Luck::Answered });
                if ask.to != node.card.name {
                    found.push(Move::Slot { node: node_at, luck: Luck::Lost });
                    found.push(Move::Slot { node: node_at, luck: Luck::AnswerLost });
                }
            }
            Activity::Idle if node.data.is_none() && !world.living().is_empty() => {
                found.push(Move::Join { node: node_at });
            }
            Activity::Joining { .. } if node.data.is_none() && world.living().is_empty() => {
                found.push(Move::Return { node: node_at });
            }
            _ => {}
        }
        let Some(etcd) = node.data else { continue };
        let etcd = &world.etcds[etcd as usize];
        if etcd.learner.as_ref() == Some(&node.card) {
            found.push(Move::Promote { node: node_at });
        }
        if etcd.ballot.founder == node.card {
            let told = |to: &usize| world.nodes[*to].witness.formed.as_ref() < Some(&etcd.ballot);
            let to = (0..world.nodes.len()).filter(told);
            found.extend(to.map(|to| Move::Tell { node: node_at, to: to as u8 }));
        }
    }
    for etcd in world.living() {
        let members = &world.etcds[etcd];
        let etcd_at = etcd as u8;
        if members.learner.as_ref().is_some_and(|card| !progresses(world, etcd_at, card)) {
            found.push(Move::Expel { etcd: etcd_at });
        }
        for (at, node) in world.nodes.iter().enumerate() {
            let node_at = at as u8;
            let old = members.voters.iter().any(|c| c.name == node.card.name && *c != node.card);
            if node.data.is_none() && node.activity == Activity::Idle && old {
                found.push(Move::Retire { node: node_at, etcd: etcd_at });
            }
            if node.joins() && node.data.is_none() {
                if members.learner.as_ref() == Some(&node.card) {
                    found.push(Move::Sync { node: node_at });
                } else if admits(world, etcd) && !old {
                    found.push(Move::Admit { node: node_at, etcd: etcd_at });
                }
            }
        }
    }
    all.extend(found.into_iter().map(moves::Move::K3s));
}

/// Whether etcd takes a learner in: there is none, and every voting member is reachable.
fn admits(world: &World, etcd: usize) -> bool {
    let Etcd { voters, learner, .. } = &*world.etcds[etcd];
    let there = |card: &Card| {
        world.nodes.iter().any(|node| node.card == *card && node.data == Some(etcd as u8))
    };
    learner.is_none() && voters.iter().all(there)
}

fn progresses(world: &World, etcd: u8, learner: &Card) -> bool {
    world
        .nodes
        .iter()
        .any(|node| node.card == *learner && (node.joins() || node.data == Some(etcd)))
}

/// Lets the event happen; nothing changes where it cannot.
pub(super) fn apply(setting: &Setting, world: &mut World, what: Move) {
    match what {
        Move::Wal { node } => found(world, node as usize),
        Move::Tell { node, to } => tell(setting, world, node as usize, to as usize),
        Move::Join { node } => join(setting, world, node as usize),
        Move::Return { node } => leave(setting, world, node as usize),
        Move::Retire { node, etcd } => retire(world, node as usize, etcd as usize),
        Move::Slot { node, luck } => slot(setting, world, node as usize, luck),
        Move::Admit { node, etcd } => {
            let card = world.nodes[node as usize].card.clone();
            if world.has_quorum(etcd as usize) {
                world.etcd(etcd as usize).learner = Some(card);
            }
        }
        Move::Sync { node } => {
            let card = world.nodes[node as usize].card.clone();
            let into = world.etcds.iter().rposition(|e| e.learner.as_ref() == Some(&card));
            world.node(node as usize).data = into.map(|at| at as u8);
        }
        Move::Promote { node } => promote(setting, world, node as usize),
        Move::Expel { etcd } => world.etcd(etcd as usize).learner = None,
    }
}

fn found(world: &mut World, at: usize) {
    if !world.living().is_empty() {
        world.wrong = Some(Wrong::TwoClusters);
    }
    let index = world.etcds.len() as u8;
    let node = world.node(at);
    if let Activity::Founding { ballot } = std::mem::replace(&mut node.activity, Activity::Idle) {
        node.data = Some(index);
        let voters = vec![node.card.clone()];
        world.etcds.push(Etcd { ballot, voters, learner: None }.into());
    }
}

fn tell(setting: &Setting, world: &mut World, at: usize, to: usize) {
    let node = &world.nodes[at];
    let Some(etcd) = node.data else { return };
    let request = Request::Formed {
        electorate: setting.config(node).electorate.clone(),
        from: node.card.clone(),
        ballot: world.etcds[etcd as usize].ballot.clone(),
        seen: Seen::default(),
    };
    ask(setting, world, to, &request, 0);
}

/// Before it takes the slot, a server has its earlier membership removed.
fn join(setting: &Setting, world: &mut World, at: usize) {
    let node = &world.nodes[at];
    let name = &node.card.name;
    let listed = |etcd: &usize| world.etcds[*etcd].voters.iter().any(|card| card.name == *name);
    if world.living().iter().any(listed) {
        return;
    }
    let (joiner, step) = Joiner::begin(setting.config(node), &node.card);
    if setting.joining_in_detail {
        return go_on(setting, world, at, joiner, step);
    }
    let Some(etcd) = world.living().into_iter().find(|etcd| admits(world, *etcd)) else { return };
    let card = node.card.clone();
    world.etcd(etcd).learner = Some(card);
    world.node(at).data = Some(etcd as u8);
}

fn retire(world: &mut World, at: usize, etcd: usize) {
    if world.has_quorum(etcd) {
        let name = world.nodes[at].card.name.clone();
        world.etcd(etcd).voters.retain(|card| card.name != name);
    }
}

fn slot(setting: &Setting, world: &mut World, at: usize, luck: Luck) {
    let before = std::mem::replace(&mut world.node(at).activity, Activity::Idle);
    let Activity::Slotting { joiner, ask: envelope } = before else { return };
    world.node(at).activity = Activity::Slotting { joiner: joiner.clone(), ask: envelope.clone() };
    let reply =
        (luck != Luck::Lost).then(|| ask_slot(setting, world, &envelope.to, &envelope.request));
    let heard = reply.as_ref().filter(|_| luck == Luck::Answered);
    let (joiner, step) = joiner.step(setting.config(&world.nodes[at]), heard);
    go_on(setting, world, at, joiner, step);
}

/// A slot that nobody relies on runs out before the question arrives; one that is relied on is
/// renewed in time.
fn ask_slot(setting: &Setting, world: &mut World, to: &str, request: &Request) -> Reply {
    let to = setting.at(to);
    let slot = world.nodes[to].witness.slot.as_ref();
    let lasts = slot.is_some_and(|s| world.relied_on(s.holder.as_ref(), request.from()));
    ask(setting, world, to, request, if lasts { 0 } else { SLOT_MS })
}

fn go_on(setting: &Setting, world: &mut World, at: usize, joiner: Joiner, step: JoinStep) {
    world.node(at).activity = match step {
        JoinStep::Ask(ask) => Activity::Slotting { joiner, ask },
        JoinStep::Go => {
            if world.nodes.iter().any(|node| node.joins()) {
                world.wrong = Some(Wrong::TwoJoiners);
            }
            Activity::Joining { joiner }
        }
        JoinStep::Wait { release, .. } => {
            for envelope in release {
                ask(setting, world, setting.at(&envelope.to), &envelope.request, 0);
            }
            Activity::Idle
        }
        JoinStep::Superseded { .. } => Activity::Idle,
    };
}

fn promote(setting: &Setting, world: &mut World, at: usize) {
    let Some(etcd) = world.nodes[at].data.map(usize::from) else { return };
    if !world.has_quorum(etcd) {
        return;
    }
    let card = world.nodes[at].card.clone();
    let members = world.etcd(etcd);
    members.learner = None;
    members.voters.push(card.clone());
    members.voters.sort();
    let ballot = members.ballot.clone();
    let electorate = setting.config(&world.nodes[at]).electorate.clone();
    let formed = Request::Formed { electorate, from: card, ballot, seen: Seen::default() };
    ask(setting, world, at, &formed, 0);
    leave(setting, world, at);
}

/// Ends joining, and gives the slot back.
fn leave(setting: &Setting, world: &mut World, at: usize) {
    let before = std::mem::replace(&mut world.node(at).activity, Activity::Idle);
    if let Activity::Joining { joiner } = before {
        for envelope in joiner.releases() {
            ask(setting, world, setting.at(&envelope.to), &envelope.request, 0);
        }
    }
}
