//! What each rule is for: without it, the checker finds what the rule prevents; with it, it finds
//! nothing in the same world.

use super::explore::{Bound, Found, explore, walk};
use super::world::{Budget, Setting, Wrong};
use crate::Mode;
use crate::rules::Rules;

/// Where to look for what a missing rule lets happen.
struct Hunt {
    setting: Setting,
    budget: Budget,
    /// Length of random walks; breadth first where there is none.
    walks: Option<usize>,
    states: usize,
}

impl Hunt {
    fn majority(budget: Budget) -> Self {
        let setting = Setting { joining_in_detail: false, ..Setting::new(3, Mode::Majority) };
        Self { setting, budget, walks: None, states: 600_000 }
    }

    fn look(&self) -> Found {
        let bound = Bound { budget: self.budget, states: self.states, sample: u64::MAX };
        match self.walks {
            Some(length) => walk(&self.setting, bound, length),
            None => explore(&self.setting, bound),
        }
    }

    /// Looks with the rule and without it.
    fn judge(mut self, name: &str, wrong: Wrong, without: impl FnOnce(&mut Setting)) {
        let sound = self.look();
        assert!(sound.wrong.is_none(), "{name}: with the rule: {:#?}", sound.wrong);
        without(&mut self.setting);
        let broken = self.look();
        let (found, way) = broken.wrong.unwrap_or_else(|| {
            panic!("{name}: not caught in {} states", broken.states);
        });
        assert_eq!(found, wrong, "{name}: {}", way.join("\n"));
        let (states, steps) = (broken.states, way.len());
        super::say(&format!("without {name}: {found:?} after {steps} steps, {states} states"));
    }
}

fn rule(change: impl FnOnce(&mut Rules)) -> impl FnOnce(&mut Setting) {
    |setting| change(&mut setting.rules)
}

#[test]
fn a_card_made_anew_must_not_count_its_own_vote() {
    Hunt::majority(Budget { tries: 2, rebakes: 1, ..Budget::default() }).judge(
        "own vote needs a first card",
        Wrong::TwoClusters,
        rule(|rules| rules.own_vote_needs_first_card = false),
    );
}

#[test]
fn a_promise_must_be_durable() {
    Hunt::majority(Budget { tries: 2, crashes: 1, ..Budget::default() }).judge(
        "durable promises",
        Wrong::TwoClusters,
        |setting| setting.promises_persisted = false,
    );
}

#[test]
fn the_vip_must_not_decide() {
    Hunt::majority(Budget { tries: 2, ..Budget::default() }).judge(
        "ignoring the VIP",
        Wrong::TwoClusters,
        rule(|rules| rules.vip_ignored = false),
    );
}

#[test]
fn joins_must_be_serialised() {
    let mut hunt = Hunt::majority(Budget { tries: 1, ..Budget::default() });
    hunt.setting.joining_in_detail = true;
    hunt.judge(
        "one join at a time",
        Wrong::TwoJoiners,
        rule(|rules| rules.joins_serialised = false),
    );
}

#[test]
fn an_accepted_ballot_must_bind() {
    Hunt::majority(Budget { tries: 2, ..Budget::default() }).judge(
        "accepted ballots bind",
        Wrong::TwoClusters,
        rule(|rules| rules.accepted_binds = false),
    );
}

#[test]
fn electorates_must_be_compared() {
    let mut hunt = Hunt::majority(Budget { tries: 2, rebakes: 1, ..Budget::default() });
    hunt.setting = hunt.setting.shrinking();
    hunt.judge(
        "comparing electorates",
        Wrong::TwoClusters,
        rule(|rules| rules.electorate_compared = false),
    );
}

#[test]
fn cards_must_be_compared() {
    let mut hunt = Hunt::majority(Budget { tries: 2, reflashes: 1, ..Budget::default() });
    hunt.setting.reflashed_only = Some(1);
    hunt.judge("comparing cards", Wrong::TwoClusters, rule(|rules| rules.cards_compared = false));
}

fn after_many_new_cards() -> Hunt {
    let budget = Budget { tries: 2, rebakes: 3, ..Budget::default() };
    Hunt { walks: Some(60), ..Hunt::majority(budget) }
}

#[test]
fn whether_the_cluster_stands_must_be_asked() {
    after_many_new_cards().judge(
        "asking for data and for word of the cluster",
        Wrong::TwoClusters,
        rule(|rules| (rules.data_asked, rules.formed_asked) = (false, false)),
    );
}

#[test]
fn data_must_be_asked_for() {
    after_many_new_cards().judge(
        "asking for data",
        Wrong::TwoClusters,
        rule(|rules| rules.data_asked = false),
    );
}

/// The word that the cluster was formed is a second line: promises and data suffice (ADR 0080).
#[test]
fn promises_and_data_suffice() {
    let mut hunt = Hunt::majority(Budget { tries: 2, rebakes: 1, ..Budget::default() });
    hunt.setting.rules.formed_asked = false;
    let found = hunt.look();
    super::say(&format!("without word of the cluster alone: {found}"));
    assert!(found.wrong.is_none() && found.complete, "{:#?}", found.wrong);
}
