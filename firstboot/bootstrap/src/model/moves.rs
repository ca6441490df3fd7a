//! Everything that can happen next.

use std::sync::Arc;

use super::k3s;
use super::world::{Activity, Letter, Node, Setting, World};
use crate::{
    Basis, Card, Envelope, Evidence, Mode, Next, Nonce, Observed, Proposer, Reply, Request, Verdict,
};

/// One event. Servers by number from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    /// A server without data looks around; those in the mask of bits answer.
    Begin { node: u8, answering: u8 },
    /// The letter arrives, and so does its answer if anybody still waits for it.
    Deliver { letter: u8, again: bool },
    /// A server stops waiting for more answers and goes on with what it has.
    Step { node: u8 },
    /// Power cut.
    Crash { node: u8 },
    /// A new card, baked again.
    Rebake { node: u8 },
    /// A new card, written from the same image.
    Reflash { node: u8 },
    /// Something that K3s or a joiner does.
    K3s(k3s::Move),
}

/// Every event that can happen in `world`.
pub(super) fn moves(setting: &Setting, world: &World) -> Vec<Move> {
    let mut all = Vec::new();
    let count = world.nodes.len();
    for (letter, _) in world.letters.iter().enumerate() {
        let letter = letter as u8;
        all.push(Move::Deliver { letter, again: false });
        if world.left.duplicates > 0 {
            all.push(Move::Deliver { letter, again: true });
        }
    }
    for (at, node) in world.nodes.iter().enumerate() {
        let at = at as u8;
        match &node.activity {
            Activity::Idle if node.data.is_none() && world.left.tries > 0 => {
                let others = (0..1u8 << count).filter(|mask| mask & (1 << at) == 0);
                all.extend(others.map(|answering| Move::Begin { node: at, answering }));
            }
            // Giving up matters only where there is something else to do.
            Activity::Proposing { sent, inbox, .. } => {
                let enough = inbox.len() > count / 2 || inbox.len() == sent.len();
                if enough || world.left.tries > 0 || !world.etcds.is_empty() {
                    all.push(Move::Step { node: at });
                }
            }
            _ => {}
        }
        let forgets = node.activity != Activity::Idle || !setting.promises_persisted;
        if world.left.crashes > 0 && forgets {
            all.push(Move::Crash { node: at });
        }
        if world.left.rebakes > 0 {
            all.push(Move::Rebake { node: at });
        }
        let writable = setting.reflashed_only.is_none_or(|only| only == at as usize);
        if world.left.reflashes > 0 && writable {
            all.push(Move::Reflash { node: at });
        }
    }
    k3s::moves(world, &mut all);
    all
}

/// The world after an event, `None` where nothing changes.
pub(super) fn after(setting: &Setting, world: &World, what: Move) -> Option<World> {
    let mut next = world.clone();
    match what {
        Move::Begin { node, answering } => begin(setting, &mut next, node as usize, answering),
        Move::Deliver { letter, again } => deliver(setting, &mut next, letter as usize, again),
        Move::Step { node } => step(setting, &mut next, node as usize),
        Move::Crash { node } => crash(setting, &mut next, node as usize),
        Move::Rebake { node } => rebake(setting, &mut next, node as usize),
        Move::Reflash { node } => reflash(&mut next, node as usize),
        Move::K3s(what) => k3s::apply(setting, &mut next, what),
    }
    forget_letters(setting, &mut next);
    (next != *world).then_some(next)
}

/// Lets a witness answer.
pub(super) fn ask(
    setting: &Setting,
    world: &mut World,
    at: usize,
    request: &Request,
    now_ms: u64,
) -> Reply {
    let node = &world.nodes[at];
    let observed = Observed { now_ms, has_data: node.data.is_some() };
    let config = setting.config(node);
    let (mut state, reply) = node.witness.on_request_by(setting.rules, config, request, &observed);
    if let Some(slot) = &mut state.slot {
        slot.renewed_ms = 0;
    }
    if state != node.witness {
        world.node(at).witness = state;
    }
    reply
}

fn begin(setting: &Setting, world: &mut World, at: usize, answering: u8) {
    let node = &world.nodes[at];
    let (proposer, first) = Proposer::begin(setting.config(node), &node.card);
    let Next::Send(envelopes) = first else { unreachable!("an attempt begins with questions") };
    let mut replies = Vec::new();
    for envelope in envelopes {
        let to = setting.at(&envelope.to);
        if to == at || answering & (1 << to) != 0 {
            replies.push(ask(setting, world, to, &envelope.request, 0));
        }
    }
    proceed(setting, world, at, proposer, &replies);
    if matches!(world.nodes[at].activity, Activity::Proposing { .. }) {
        world.left.tries -= 1;
    }
}

fn step(setting: &Setting, world: &mut World, at: usize) {
    let before = std::mem::replace(&mut world.node(at).activity, Activity::Idle);
    if let Activity::Proposing { proposer, inbox, .. } = before {
        proceed(setting, world, at, proposer, &inbox);
    }
}

/// Takes an attempt on with the answers that came. That no API answers is always possible; every
/// server believes that it holds the VIP.
fn proceed(setting: &Setting, world: &mut World, at: usize, proposer: Proposer, replies: &[Reply]) {
    let evidence = Evidence { answering: Vec::new(), vip_held: true };
    let config = setting.config(&world.nodes[at]);
    let (proposer, next) = proposer.step_by(setting.rules, config, replies, &evidence);
    world.residual |= forgotten_vote_counts(setting, world, at, &proposer, &next, replies);
    world.node(at).activity = match next {
        Next::Send(sent) => {
            let mut inbox = Vec::new();
            for envelope in &sent {
                if setting.own_at_once && setting.at(&envelope.to) == at {
                    inbox.push(ask(setting, world, at, &envelope.request, 0));
                } else {
                    send(setting, world, envelope);
                }
            }
            Activity::Proposing { proposer, sent, inbox }
        }
        Next::Found(ballot, _) => Activity::Founding { ballot },
        Next::Wait { .. } | Next::Superseded { .. } | Next::Join { .. } => Activity::Idle,
    };
}

fn send(setting: &Setting, world: &mut World, envelope: &Envelope) {
    let letter = Letter::new(setting.at(&envelope.to), envelope.request.clone());
    if let Err(place) = world.letters.binary_search_by_key(&letter.key, |l| l.key) {
        world.letters.insert(place, letter);
    }
}

fn deliver(setting: &Setting, world: &mut World, at: usize, again: bool) {
    let letter = world.letters[at].clone();
    if again {
        world.left.duplicates -= 1;
    } else {
        world.letters.remove(at);
    }
    let to = letter.to as usize;
    let reply = ask(setting, world, to, &letter.request, 0);
    let from = setting.at(&letter.request.from().name);
    let waits = |node: &Node| match &node.activity {
        Activity::Proposing { sent, .. } => sent.iter().any(|e| e.request == *letter.request),
        _ => false,
    };
    // A refusal only makes its reader more careful; it may as well be lost.
    let refused = matches!(reply.verdict, Verdict::Refused { .. });
    if waits(&world.nodes[from])
        && !refused
        && let Activity::Proposing { inbox, .. } = &mut world.node(from).activity
    {
        inbox.retain(|old| old.view.card.name != reply.view.card.name);
        inbox.push(reply);
        inbox.sort_by(|a, b| a.view.card.cmp(&b.view.card));
    }
}

fn crash(setting: &Setting, world: &mut World, at: usize) {
    world.left.crashes -= 1;
    let node = world.node(at);
    node.activity = Activity::Idle;
    if !setting.promises_persisted {
        node.witness.promised = None;
        node.witness.accepted = None;
    }
}

fn rebake(setting: &Setting, world: &mut World, at: usize) {
    world.left.rebakes -= 1;
    let old = &world.nodes[at].card;
    let card = Card::new(&old.name, old.incarnation + 1, Nonce(1));
    let mut node = Node::fresh(card, 1);
    if world.left.reflashes == 0 && !world.nodes.iter().any(|node| node.card.nonce > Nonce(1)) {
        node.knows_first_cards(setting);
    }
    world.nodes[at] = Arc::new(node);
}

fn reflash(world: &mut World, at: usize) {
    world.left.reflashes -= 1;
    let old = world.nodes[at].clone();
    let card = Card::new(&old.card.name, old.card.incarnation, Nonce(old.card.nonce.0 + 1));
    world.nodes[at] = Arc::new(Node::fresh(card, old.profile));
    if old.witness.accepted.is_some() {
        world.lost_votes.push(old.card.clone());
    }
}

/// Whether a majority (or the designated server) counts a card as first whose first flash had
/// voted and was overwritten. The rules cannot know it; the model does.
fn forgotten_vote_counts(
    setting: &Setting,
    world: &World,
    at: usize,
    proposer: &Proposer,
    next: &Next,
    replies: &[Reply],
) -> bool {
    let goes_on =
        matches!(next, Next::Send(_) | Next::Found(_, Basis::Majority | Basis::Designated));
    let counts = |card: &Card| {
        let voted = |lost: &Card| {
            lost.name == card.name && lost.incarnation == card.incarnation && lost != card
        };
        proposer.seen.is_first(card) && world.lost_votes.iter().any(voted)
    };
    let agree = |reply: &&Reply| matches!(reply.verdict, Verdict::Promised | Verdict::Accepted);
    let own = matches!(setting.config(&world.nodes[at]).mode, Mode::Designated { .. });
    goes_on
        && (replies.iter().filter(agree).any(|reply| counts(&reply.view.card))
            || own && counts(&world.nodes[at].card))
}

/// Drops letters that nobody will ever act on: a promise only rises, a card never comes back, data
/// stays. What such a letter could still tell only makes its reader more careful.
fn forget_letters(setting: &Setting, world: &mut World) {
    let World { letters, nodes, .. } = world;
    letters.retain(|letter| {
        let node = &nodes[letter.to as usize];
        let (card, ballot) = letter.about();
        let another = *card != node.card && setting.rules.cards_compared;
        let has_data = node.data.is_some() && setting.rules.data_asked;
        let late = node.witness.promised.as_ref().is_some_and(|promised| promised > ballot);
        !(another
            || has_data
            || (late && setting.promises_persisted && setting.rules.cards_compared))
    });
}
