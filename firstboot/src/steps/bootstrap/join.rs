//! Joining: one server at a time, and not before an earlier card's place is free.

use bootstrap::{Card, Evidence, JoinStep, Joiner};

use super::etcd::Outcome;
use super::peers::{Peers, Place, places};
use super::retire::retire;
use super::words::{lacking, superseded};
use crate::finding::Condition;
use crate::steps::Context;
use crate::steps::memory::Decision;

/// Joins the cluster whose API answers `at` this URL.
pub(super) fn join(
    ctx: &Context,
    peers: &Peers,
    me: &Card,
    evidence: &Evidence,
    at: &str,
) -> Result<Outcome, Condition> {
    let all = places(ctx.config);
    let answers = |place: &&Place| evidence.answering.contains(&place.url());
    let Some(place) = all.iter().find(answers) else {
        return Ok(Outcome::wait(Condition::new(format!("{at} is nowhere"), "waiting"), 1000));
    };
    // K3s joins through the shared address and nowhere else.
    if let Some(vip) = &ctx.config.cluster.vip
        && place.socket() != (vip.address, vip.port).into()
    {
        let what = format!(
            "{} serves the cluster, but the shared address {}:{} does not answer",
            place.whose, vip.address, vip.port
        );
        let remedy = "see journalctl -u keepalived -u haproxy on the servers; waiting for it";
        return Ok(Outcome::wait(Condition::new(what, remedy), 1000));
    }
    // Before the slot: two replaced servers of five must not wait for each other.
    if let Some(condition) = retire(ctx, place)? {
        return Ok(Outcome::wait(condition, 1000));
    }
    if let Some(outcome) = take_slot(ctx, peers, me) {
        return Ok(outcome);
    }
    Ok(Outcome::Decided(Decision::Join(place.url())))
}

/// Takes the slot; what came of it if that is not to join now.
fn take_slot(ctx: &Context, peers: &Peers, me: &Card) -> Option<Outcome> {
    let mut silent = Vec::new();
    let (mut joiner, mut step) = Joiner::begin(&peers.rules, me);
    loop {
        step = match step {
            JoinStep::Ask(envelope) => {
                let reply = match peers.witnesses.ask(ctx.sys, &envelope) {
                    Ok(reply) => Some(reply),
                    Err(silence) => {
                        silent.push((envelope.to, silence));
                        None
                    }
                };
                let (later, step) = joiner.step(&peers.rules, reply.as_ref());
                joiner = later;
                step
            }
            JoinStep::Go => {
                ctx.memory.renewed_slot(Some(ctx.sys.uptime()));
                return None;
            }
            JoinStep::Wait { why, retry_ms, release } => {
                peers.carry(&release);
                return Some(Outcome::wait(lacking(&why, &silent), retry_ms));
            }
            JoinStep::Superseded { by } => {
                return Some(Outcome::Decided(Decision::Stay(superseded(&me.name, by))));
            }
        };
    }
}
