//! A server that keeps the cluster's state with others: it starts from its own data, or joins the
//! cluster it finds, or founds it because enough of the others agreed.

use std::time::Duration;

use bootstrap::{Next, Proposer, Request, StartVerdict, start_with_data};

use super::join::join;
use super::peers::Peers;
use super::words::{lacking, other_cluster, silenced, superseded, unanswered};
use crate::etcd;
use crate::finding::{Condition, Finding};
use crate::machine::StepId;
use crate::steps::memory::Decision;
use crate::steps::{Context, unit};

/// A run that waits longer ends and is started again, so that all it relies on is looked at again.
const LIMIT: Duration = Duration::from_secs(300);

/// How often a finished node asks until somebody answers, and how long it waits in between.
const SEALED_ROUNDS: u32 = 15;
const SEALED_PAUSE: Duration = Duration::from_secs(2);

/// What came of an attempt.
#[derive(Debug)]
pub(super) enum Outcome {
    /// This.
    Decided(Decision),
    /// Nothing: why, and after how long to try again.
    Wait(Condition, Duration),
}

impl Outcome {
    pub(super) fn wait(condition: Condition, milliseconds: u64) -> Self {
        Self::Wait(condition, Duration::from_millis(milliseconds))
    }
}

pub(super) fn check(ctx: &Context) -> Result<Finding, Condition> {
    if has_data(ctx)? {
        return with_data(ctx);
    }
    Ok(match ctx.memory.decision() {
        Some(Decision::Found | Decision::Join(_)) => Finding::Met,
        Some(Decision::Stay(why)) => Finding::Wrong(why),
        // Someone took the data away; K3s then joins by itself, as its configuration says.
        None if ctx.sealed => Finding::Met,
        None => Finding::Unmet(Condition::new(
            "this card has no data of the cluster yet",
            "looking for the cluster",
        )),
    })
}

pub(super) fn apply(ctx: &Context) -> Result<(), Condition> {
    if has_data(ctx)? {
        return unit::stop(ctx);
    }
    let begun = ctx.sys.uptime();
    loop {
        let (condition, pause) = match attempt(ctx)? {
            Outcome::Decided(decision) => {
                ctx.memory.decide(decision);
                return Ok(());
            }
            Outcome::Wait(condition, pause) => (condition, pause),
        };
        if ctx.sys.uptime().saturating_sub(begun) >= LIMIT {
            return Err(condition);
        }
        ctx.report.waiting(StepId::Bootstrap, &condition);
        ctx.sys.sleep(pause);
    }
}

pub(in crate::steps) fn has_data(ctx: &Context) -> Result<bool, Condition> {
    Ok(data(ctx)? == etcd::Data::There)
}

pub(in crate::steps) fn data(ctx: &Context) -> Result<etcd::Data, Condition> {
    etcd::look(ctx.sys).map_err(|e| Condition::io("looking whether etcd has data on this card", &e))
}

/// A server with data starts, unless somebody knows that its time is over.
fn with_data(ctx: &Context) -> Result<Finding, Condition> {
    let peers = Peers::load(ctx)?;
    // Silence objects to nothing. On a finished node K3s starts at the same time as we do, perhaps
    // before the network, so somebody is waited for.
    let rounds =
        if ctx.sealed && ctx.config.other_servers().count() > 0 { SEALED_ROUNDS } else { 1 };
    for round in 0..rounds {
        if round > 0 {
            ctx.sys.sleep(SEALED_PAUSE);
        }
        let Ok(own) = peers.own() else { continue };
        let replies = peers.tell(&Request::Ask { from: own.card.clone(), seen: own.seen.clone() });
        let why = match start_with_data(&own.card, own.formed.as_ref(), &replies) {
            StartVerdict::Start if replies.iter().any(|r| r.view.card.name != own.card.name) => {
                break;
            }
            StartVerdict::Start => continue,
            StartVerdict::Superseded { by } => superseded(&own.card.name, by),
            StartVerdict::OtherCluster { later } => other_cluster(&later),
        };
        return Ok(if unit::is_running(ctx)? { Finding::Unmet(why) } else { Finding::Wrong(why) });
    }
    Ok(Finding::Met)
}

/// Looks for the cluster, and asks to found it where there is none.
fn attempt(ctx: &Context) -> Result<Outcome, Condition> {
    let peers = Peers::load(ctx)?;
    let me = match peers.own() {
        Ok(view) => view.card,
        Err(silence) => {
            let what = "this server's own witness does not answer yet";
            return Ok(Outcome::wait(Condition::new(what, silenced(&silence)), 1000));
        }
    };
    let (evidence, strange) = peers.evidence();
    for (place, error) in &strange {
        ctx.report.note(&unanswered(&place.whose, error).what);
    }
    let mut silent = Vec::new();
    let (mut proposer, mut next) = Proposer::begin(&peers.rules, &me);
    loop {
        next = match next {
            Next::Send(envelopes) => {
                let (replies, missing) = peers.carry(&envelopes);
                silent.extend(missing);
                let (later, next) = proposer.step(&peers.rules, &replies, &evidence);
                proposer = later;
                next
            }
            Next::Found(..) => return Ok(Outcome::Decided(Decision::Found)),
            Next::Join { at } => return join(ctx, &peers, &me, &evidence, &at),
            Next::Wait { why, retry_ms } => {
                return Ok(Outcome::wait(lacking(&why, &silent), retry_ms));
            }
            Next::Superseded { by } => {
                return Ok(Outcome::Decided(Decision::Stay(superseded(&me.name, by))));
            }
        };
    }
}
