//! The decision: what comes next, from the ledger, the facts and the configuration alone.
//!
//! No file, no clock, no network in here. [`crate::run`] does what is decided and asks again.

mod dot;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use nodeconf::{NodeConfig, Role, Topology};
use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::finding::{Condition, Finding};
use crate::ledger::Ledger;

pub use dot::diagram;
pub use table::{Mark, Seen, TABLE, Verdict, verdict};

/// The steps, in the order in which they are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepId {
    /// The board is the node its configuration names.
    Identity,
    /// Root has room, swap and memory cgroup are as K3s needs them.
    Storage,
    /// The clock is not before the certificates.
    Clock,
    /// The declared address and a default route are there.
    Network,
    /// K3s is enabled and started.
    K3s,
    /// The API answers and the node is Ready.
    Confirm,
    /// Secrets nobody needs any more are erased.
    Seal,
}

impl StepId {
    /// All steps, in order.
    pub const ALL: [Self; 7] = [
        Self::Identity,
        Self::Storage,
        Self::Clock,
        Self::Network,
        Self::K3s,
        Self::Confirm,
        Self::Seal,
    ];

    /// Name in reports and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Storage => "storage",
            Self::Clock => "clock",
            Self::Network => "network",
            Self::K3s => "k3s",
            Self::Confirm => "confirm",
            Self::Seal => "seal",
        }
    }

    /// Whether a node that is done is still checked for it at every boot: only what is read in
    /// microseconds and does not depend on what else is still starting.
    #[must_use]
    pub fn checked_when_sealed(self) -> bool {
        matches!(self, Self::Identity | Self::Storage)
    }

    /// Whether it belongs to the installation; the steps before are configuration (the two
    /// columns of the paper's Table 4).
    #[must_use]
    pub fn is_installation(self) -> bool {
        matches!(self, Self::K3s | Self::Confirm | Self::Seal)
    }
}

impl std::fmt::Display for StepId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// What this run knows: what each step's check found last, and which steps it applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    seen: BTreeMap<StepId, Finding>,
    applied: BTreeSet<StepId>,
}

impl Facts {
    /// Notes what the check of `step` found.
    pub fn saw(&mut self, step: StepId, finding: Finding) {
        self.seen.insert(step, finding);
    }

    /// Notes that `step` was applied, so that it must be looked at again.
    pub fn applied(&mut self, step: StepId) {
        self.applied.insert(step);
        self.seen.remove(&step);
    }

    /// Whether this run applied `step`.
    #[must_use]
    pub fn was_applied(&self, step: StepId) -> bool {
        self.applied.contains(&step)
    }

    /// What the check of `step` found last.
    #[must_use]
    pub fn finding(&self, step: StepId) -> Option<&Finding> {
        self.seen.get(&step)
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Check this step.
    Observe(StepId),
    /// Apply this step.
    Apply(StepId),
    /// Write into the ledger that this step is done.
    Record(StepId),
    /// End the run.
    Finish(Exit, Option<(StepId, Condition)>),
}

/// Decides what comes next.
#[must_use]
pub fn decide(ledger: &Ledger, facts: &Facts, config: &NodeConfig) -> Action {
    if let Err(condition) = ledger.belongs_to(config).and_then(|()| supported(config)) {
        return Action::Finish(Exit::ConfigWrong, Some((StepId::Identity, condition)));
    }
    for step in StepId::ALL {
        let mark = mark(ledger, facts, step);
        if mark == Mark::Sealed && !step.checked_when_sealed() {
            continue;
        }
        let finding = facts.finding(step);
        let end = |exit| {
            Action::Finish(exit, finding.and_then(Finding::condition).map(|c| (step, c.clone())))
        };
        return match verdict(mark, Seen::of(finding)) {
            Verdict::Observe => Action::Observe(step),
            Verdict::Apply => Action::Apply(step),
            Verdict::Record => Action::Record(step),
            Verdict::Pass => continue,
            Verdict::TryAgain => end(Exit::TryAgain),
            Verdict::Halt => end(Exit::ConfigWrong),
            Verdict::Abort => end(Exit::Broken),
        };
    }
    Action::Finish(Exit::Converged, None)
}

fn mark(ledger: &Ledger, facts: &Facts, step: StepId) -> Mark {
    match (ledger.sealed(), facts.was_applied(step), ledger.done.contains_key(&step)) {
        (true, _, _) => Mark::Sealed,
        (_, true, true) => Mark::Redone,
        (_, true, false) => Mark::Applied,
        (_, _, true) => Mark::Done,
        (_, _, false) => Mark::Open,
    }
}

/// A server of its own is all this version brings up: several servers must first agree on who
/// founds the cluster, and an agent must find it.
fn supported(config: &NodeConfig) -> Result<(), Condition> {
    if config.cluster.topology == Topology::Single && config.node.role == Role::Server {
        return Ok(());
    }
    Err(Condition::new(
        format!(
            "firstboot {} brings up the server of topology single, and this node is {} in \
             another shape of cluster",
            env!("CARGO_PKG_VERSION"),
            match config.node.role {
                Role::Server => "a server",
                Role::Agent => "an agent",
                Role::Database => "a database",
            }
        ),
        "bake the card with a newer release",
    ))
}
