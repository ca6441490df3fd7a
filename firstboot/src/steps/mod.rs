//! The steps: each is a check, and a way to make the check come true.
//!
//! Applying a step may be interrupted anywhere and done again: nothing is assumed, everything is
//! looked at.

mod bootstrap;
mod clock;
mod confirm;
mod database;
mod decision;
mod identity;
mod k3s;
mod memory;
mod network;
mod packages;
mod seal;
mod settle;
mod storage;
mod unit;
mod vip;

use std::time::Duration;

use nodeconf::NodeConfig;

use crate::finding::{Condition, Finding};
use crate::machine::StepId;
use crate::report::Report;
use crate::sys::Sys;

pub use memory::Memory;

/// What a step works with.
#[derive(Debug)]
pub struct Context<'a> {
    /// The board.
    pub sys: &'a dyn Sys,
    /// What the node shall be.
    pub config: &'a NodeConfig,
    /// Where to tell what is going on.
    pub report: &'a Report<'a>,
    /// Whether this run applied the step already.
    pub applied: bool,
    /// Whether the node is finished, and only looked at.
    pub sealed: bool,
    /// What this run decided.
    pub memory: &'a Memory,
}

impl Context<'_> {
    /// Checks every `pause` until the finding is no longer [`Finding::Unmet`], or `limit` is over.
    fn wait(&self, step: StepId, limit: Duration, pause: Duration, check: impl Fn() -> Finding) {
        let begun = self.sys.uptime();
        while let Finding::Unmet(condition) = check() {
            if self.sys.uptime().saturating_sub(begun) >= limit {
                return;
            }
            self.report.waiting(step, &condition);
            self.sys.sleep(pause);
        }
    }
}

/// Looks whether `step` is met.
#[must_use]
pub fn check(step: StepId, ctx: &Context) -> Finding {
    let found = match step {
        StepId::Identity => identity::check(ctx),
        StepId::Storage => storage::check(ctx),
        StepId::Clock => clock::check(ctx),
        StepId::Network => network::check(ctx),
        StepId::Packages => packages::check(ctx),
        StepId::Vip => vip::check(ctx),
        StepId::Database => database::check(ctx),
        StepId::Bootstrap => bootstrap::check(ctx),
        StepId::K3s => k3s::check(ctx),
        StepId::Confirm => confirm::check(ctx),
        StepId::Seal => seal::check(ctx),
    };
    // A check that cannot look says why, and is made again.
    found.unwrap_or_else(Finding::Blocked)
}

/// Makes `step` met, or does what may lead to it.
///
/// # Errors
/// What stood in the way.
pub fn apply(step: StepId, ctx: &Context) -> Result<(), Condition> {
    match step {
        StepId::Identity => identity::apply(ctx),
        StepId::Storage => storage::apply(ctx),
        StepId::Clock => clock::apply(ctx),
        StepId::Network => network::apply(ctx),
        StepId::Packages => packages::apply(ctx),
        StepId::Vip => vip::apply(ctx),
        StepId::Database => database::apply(ctx),
        StepId::Bootstrap => bootstrap::apply(ctx),
        StepId::K3s => k3s::apply(ctx),
        StepId::Confirm => confirm::apply(ctx),
        StepId::Seal => seal::apply(ctx),
    }
}
