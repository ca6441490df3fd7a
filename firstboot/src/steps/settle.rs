//! What a server of embedded etcd and the witnesses still owe each other: that the cluster was
//! formed, and the slot by which one server joins at a time.

use bootstrap::{Ballot, Card, Envelope, Request, View};

use super::Context;
use super::bootstrap::Peers;
use crate::finding::Condition;

/// What the witnesses know, as far as they answer.
struct Known {
    own: View,
    all: Vec<View>,
}

impl Known {
    fn look(peers: &Peers) -> Option<Self> {
        let own = peers.own().ok()?;
        Some(Self { own, all: peers.views().0 })
    }

    fn me(&self) -> &Card {
        &self.own.card
    }

    /// The ballot by which the cluster was founded: as somebody was told, else our own, since we
    /// have data and nobody else founded.
    fn formed(&self) -> Option<Ballot> {
        let told = self.all.iter().filter_map(|view| view.formed.clone()).max();
        let chosen = || self.own.accepted.clone().filter(|b| b.founder == *self.me());
        self.own.formed.clone().or(told).or_else(chosen)
    }

    fn founded(&self) -> Option<Ballot> {
        self.formed().filter(|ballot| ballot.founder == *self.me())
    }
}

/// What is still to be told; nothing once all was seen to be told.
pub(super) fn unsettled(ctx: &Context) -> Result<Option<Condition>, Condition> {
    if ctx.memory.settled() {
        return Ok(None);
    }
    let peers = Peers::load(ctx)?;
    let Some(known) = Known::look(&peers) else {
        return Ok(Some(Condition::new(
            "this server's own witness does not answer",
            "see journalctl -u bake-witness",
        )));
    };
    if known.all.iter().any(|view| view.slot.as_ref() == Some(known.me())) {
        let what = "this server has joined and holds the slot for joining";
        return Ok(Some(Condition::new(what, "it is given back")));
    }
    let told = known.all.iter().filter(|view| view.formed.is_some()).count();
    let needed = peers.majority();
    if known.founded().is_some() && told < needed {
        let what = format!(
            "{told} of {} servers know that the cluster was founded, {needed} must",
            known.all.len()
        );
        return Ok(Some(Condition::new(what, "they are told")));
    }
    if known.own.formed.is_none() && known.formed().is_some() {
        let what = "this server's witness does not know that the cluster was founded";
        return Ok(Some(Condition::new(what, "it is told")));
    }
    ctx.memory.settle();
    Ok(None)
}

/// Tells it.
pub(super) fn settle(ctx: &Context) -> Result<(), Condition> {
    let peers = Peers::load(ctx)?;
    let Some(known) = Known::look(&peers) else { return Ok(()) };
    peers.release(known.me());
    if let Some(ballot) = known.formed() {
        let request = Request::Formed {
            electorate: peers.electorate(),
            from: known.me().clone(),
            ballot,
            seen: known.own.seen.clone(),
        };
        match known.founded() {
            Some(_) => drop(peers.tell(&request)),
            None => drop(peers.carry(&[Envelope { to: known.me().name.clone(), request }])),
        }
    }
    Ok(())
}

/// Keeps the slot while K3s joins. The founder joins nobody, and who gave the slot back as a voting
/// member, with its node still to be Ready, must not take it again: nobody would give it back.
pub(super) fn keep_slot(ctx: &Context) -> Result<(), Condition> {
    if ctx.memory.settled() {
        return Ok(());
    }
    let peers = Peers::load(ctx)?;
    if !peers.is_slot_due() {
        return Ok(());
    }
    match peers.own() {
        Ok(own) if own.accepted.as_ref().is_none_or(|b| b.founder != own.card) => {
            peers.renew(&own.card);
        }
        _ => {}
    }
    Ok(())
}

/// Lets others join first.
pub(super) fn step_aside(ctx: &Context) {
    if let Ok(peers) = Peers::load(ctx)
        && let Ok(own) = peers.own()
    {
        peers.release(&own.card);
    }
}
