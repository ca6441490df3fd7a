//! Which iptables the node ends up with.
//!
//! update-alternatives(1) keeps its state in `/var/lib/dpkg/alternatives/NAME`: `auto` or `manual`
//! in the first line, and the choice as a link in `/etc/alternatives` for the name and each of
//! its slaves (seen with dpkg 1.21.22 and iptables 1.8.9).

use nodeconf::Iptables as Outcome;

use super::amend::Amendment;
use super::edit::Topic;
use super::steps::Steps;
use super::traits::{Iptables, Traits};
use crate::profile::{IptablesWish, NodePlan};

/// What K3s will meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arranged {
    /// What firstboot expects to find.
    pub(super) outcome: Outcome,
    /// Whether K3s must be told to use its own (`prefer-bundled-bin`).
    pub(super) prefer_bundled: bool,
}

pub(super) fn edits(traits: &Traits, plan: &NodePlan, steps: &mut Steps) -> Arranged {
    steps.about(Topic::Iptables).shared();
    let buggy = traits.iptables.is_buggy();
    if buggy {
        steps.note("iptables 1.8.0 to 1.8.4 has a bug that K3s runs into: K3s uses its own");
    }
    let outcome = match (plan.system.iptables, &traits.iptables) {
        (IptablesWish::Bundled, _) => {
            return Arranged { outcome: Outcome::Bundled, prefer_bundled: true };
        }
        (_, Iptables::Missing) => {
            steps.note("the image has no iptables package: K3s uses the one it brings");
            Outcome::Bundled
        }
        (IptablesWish::Legacy, Iptables::Alternatives { switchable, .. })
            if switchable.contains(&"iptables") =>
        {
            switchable.iter().for_each(|group| switch(group, steps));
            Outcome::Legacy
        }
        (IptablesWish::Legacy, _) => {
            steps.warn("the image's iptables has no legacy mode to switch to: it stays as it is");
            Outcome::Image
        }
        (IptablesWish::Auto, _) => Outcome::Image,
    };
    Arranged { outcome, prefer_bundled: buggy }
}

fn switch(group: &str, steps: &mut Steps) {
    let state = format!("/var/lib/dpkg/alternatives/{group}");
    steps.amend(state, Amendment::FirstLine("manual".into()));
    for suffix in ["", "-restore", "-save"] {
        let target = format!("/usr/sbin/{group}-legacy{suffix}");
        steps.link(format!("/etc/alternatives/{group}{suffix}"), target);
    }
}
