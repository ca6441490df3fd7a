//! The decision: what comes next, from the ledger, the facts and the configuration alone.
//!
//! No file, no clock, no network in here. [`crate::run`] does what is decided and asks again.

mod dot;
mod plan;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use nodeconf::NodeConfig;
use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::finding::{Condition, Finding};
use crate::ledger::Ledger;

pub use dot::diagram;
pub use plan::steps;
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
    /// The staged packages are installed.
    Packages,
    /// What moves the shared address runs.
    Vip,
    /// The shared database runs.
    Database,
    /// There is a cluster to join, or it is this node that founds it.
    Bootstrap,
    /// K3s is enabled and started.
    K3s,
    /// The API answers and the node is Ready.
    Confirm,
    /// Secrets nobody needs any more are erased.
    Seal,
}

impl StepId {
    /// All steps, in order. Which of them a node has: [`steps`].
    pub const ALL: [Self; 11] = [
        Self::Identity,
        Self::Storage,
        Self::Clock,
        Self::Network,
        Self::Packages,
        Self::Vip,
        Self::Database,
        Self::Bootstrap,
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
            Self::Packages => "packages",
            Self::Vip => "vip",
            Self::Database => "database",
            Self::Bootstrap => "bootstrap",
            Self::K3s => "k3s",
            Self::Confirm => "confirm",
            Self::Seal => "seal",
        }
    }

    /// Whether a node that is done is still checked for it at every boot: only what does not
    /// depend on what else is still starting.
    #[must_use]
    pub fn checked_when_sealed(self) -> bool {
        matches!(self, Self::Identity | Self::Storage) || self.kept_when_sealed()
    }

    /// Whether even a node that is done is put right again: what could found a second cluster, or
    /// make an old card a member again.
    #[must_use]
    pub fn kept_when_sealed(self) -> bool {
        matches!(self, Self::Bootstrap | Self::K3s)
    }

    /// Whether it belongs to the installation; the steps before are configuration (the two
    /// columns of the paper's Table 4).
    #[must_use]
    pub fn is_installation(self) -> bool {
        matches!(self, Self::Bootstrap | Self::K3s | Self::Confirm | Self::Seal)
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
    if let Err(condition) = ledger.belongs_to(config) {
        return Action::Finish(Exit::ConfigWrong, Some((StepId::Identity, condition)));
    }
    for step in steps(config) {
        let mark = mark(ledger, facts, step);
        if ledger.sealed() && !step.checked_when_sealed() {
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
        (true, false, _) if step.kept_when_sealed() => Mark::Kept,
        (true, _, _) => Mark::Sealed,
        (_, true, true) => Mark::Redone,
        (_, true, false) => Mark::Applied,
        (_, _, true) => Mark::Done,
        (_, _, false) => Mark::Open,
    }
}
