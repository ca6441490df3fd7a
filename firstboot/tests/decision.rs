//! The decision alone, case by case: no system, not even a fake one.

use std::collections::BTreeMap;

use firstboot::exit::Exit;
use firstboot::finding::{Condition, Finding};
use firstboot::ledger::{Ledger, Moment, VERSION};
use firstboot::machine::{Action, Facts, StepId, decide};
use nodeconf::NodeConfig;

fn config() -> NodeConfig {
    NodeConfig::parse(include_str!("fake/node.json").as_bytes()).unwrap()
}

fn ledger(done: &[StepId]) -> Ledger {
    let moment = Moment { boot: "boot".into(), uptime_ms: 1, unix: 1 };
    Ledger {
        version: VERSION,
        cluster: config().cluster.id,
        node: config().node.name,
        incarnation: 1,
        begun: moment.clone(),
        done: done.iter().map(|&step| (step, moment.clone())).collect::<BTreeMap<_, _>>(),
    }
}

fn decided(done: &[StepId], change: impl FnOnce(&mut Facts)) -> Action {
    let mut facts = Facts::default();
    change(&mut facts);
    decide(&ledger(done), &facts, &config())
}

fn condition() -> Condition {
    Condition::new("what", "remedy")
}

const BEFORE_K3S: [StepId; 4] = [StepId::Identity, StepId::Storage, StepId::Clock, StepId::Network];

#[test]
fn a_fresh_card_looks_before_it_acts() {
    assert_eq!(decided(&[], |_| {}), Action::Observe(StepId::Identity));
}

#[test]
fn a_step_is_recorded_before_the_next_is_looked_at() {
    let seen = |facts: &mut Facts| facts.saw(StepId::Identity, Finding::Met);
    assert_eq!(decided(&[], seen), Action::Record(StepId::Identity));
    assert_eq!(decided(&[StepId::Identity], seen), Action::Observe(StepId::Storage));
}

#[test]
fn what_is_unmet_is_applied_once_and_looked_at_again() {
    let unmet = || Finding::Unmet(condition());
    let first = |facts: &mut Facts| facts.saw(StepId::Identity, unmet());
    assert_eq!(decided(&[], first), Action::Apply(StepId::Identity));
    let applied = |facts: &mut Facts| {
        first(facts);
        facts.applied(StepId::Identity);
    };
    assert_eq!(decided(&[], applied), Action::Observe(StepId::Identity));
    let still = |facts: &mut Facts| {
        applied(facts);
        facts.saw(StepId::Identity, unmet());
    };
    let end = Action::Finish(Exit::TryAgain, Some((StepId::Identity, condition())));
    assert_eq!(decided(&[], still), end);
}

#[test]
fn k3s_is_never_touched_before_what_it_needs() {
    for n in 0..BEFORE_K3S.len() {
        let seen = |facts: &mut Facts| {
            BEFORE_K3S[..n].iter().for_each(|&step| facts.saw(step, Finding::Met));
        };
        assert_eq!(decided(&BEFORE_K3S[..n], seen), Action::Observe(BEFORE_K3S[n]));
        // Even where the ledger claims more than the board shows.
        let seen = |facts: &mut Facts| {
            seen(facts);
            facts.saw(BEFORE_K3S[n], Finding::Blocked(condition()));
        };
        let end = Action::Finish(Exit::TryAgain, Some((BEFORE_K3S[n], condition())));
        assert_eq!(decided(&BEFORE_K3S, seen), end);
    }
}

#[test]
fn wrong_halts_and_broken_aborts_wherever_they_are_found() {
    for (finding, exit) in [
        (Finding::Wrong(condition()), Exit::ConfigWrong),
        (Finding::Broken(condition()), Exit::Broken),
    ] {
        for done in [&[][..], &[StepId::Identity], &StepId::ALL] {
            let seen = |facts: &mut Facts| facts.saw(StepId::Identity, finding.clone());
            let end = Action::Finish(exit, Some((StepId::Identity, condition())));
            assert_eq!(decided(done, seen), end);
        }
    }
}

#[test]
fn a_sealed_node_is_only_looked_at() {
    let looked_at: Vec<StepId> =
        StepId::ALL.into_iter().filter(|step| step.checked_when_sealed()).collect();
    let mut facts = Facts::default();
    for step in looked_at {
        assert_eq!(decide(&ledger(&StepId::ALL), &facts, &config()), Action::Observe(step));
        facts.saw(step, Finding::Unmet(condition()));
    }
    let end = Action::Finish(Exit::Converged, None);
    assert_eq!(decide(&ledger(&StepId::ALL), &facts, &config()), end);
}

#[test]
fn a_ledger_of_another_node_decides_before_all_else() {
    let mut other = config();
    other.node.incarnation = 2;
    let action = decide(&ledger(&StepId::ALL), &Facts::default(), &other);
    assert!(matches!(action, Action::Finish(Exit::ConfigWrong, Some((StepId::Identity, _)))));
}
