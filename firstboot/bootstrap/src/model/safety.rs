//! Never two clusters of one id, never two joiners; and from every sampled state, a cluster.
//!
//! `BAKE_MODEL_STATES` raises the bound of every search (ci/soak); the default suits ci/test.

use super::explore::{Bound, Found, explore, walk};
use super::fair::{End, end};
use super::say;
use super::world::{Budget, Setting};
use crate::Mode;

/// How to go through the states.
enum Way {
    /// Every order of events, shortest first.
    Breadth,
    /// Random orders of so many events.
    Walks(usize),
}

/// Searches, checks what samples of the states become once faults stop, and says how many there
/// were.
fn check(setting: &Setting, budget: Budget, way: &Way, states: usize) -> Found {
    let more = std::env::var("BAKE_MODEL_STATES").ok().and_then(|text| text.parse().ok());
    let states = more.unwrap_or(0).max(states);
    let bound = Bound { budget, states, sample: 32 };
    let found = match way {
        Way::Breadth => explore(setting, bound),
        Way::Walks(length) => walk(setting, bound, *length),
    };
    say(&format!("{} servers, {budget:?}: {found}", setting.names.len()));
    if let Some((wrong, way)) = &found.wrong {
        panic!("{wrong:?}\n{}", way.join("\n"));
    }
    live(setting, &found);
    found
}

fn live(setting: &Setting, found: &Found) {
    let (mut whole, mut remedied, mut forked) = (0, 0, 0);
    for world in &found.samples {
        match end(setting, world) {
            (End::Whole, _) => whole += 1,
            (End::WholeAfterRemedy, _) => remedied += 1,
            (End::WholeAfterFork, _) => forked += 1,
            (End::Stuck, last) => panic!("from\n{world}\na fair run ends in\n{last}"),
        }
    }
    let all = found.samples.len();
    say(&format!(
        "  fair runs from {all} of them end whole: {whole} by themselves, {remedied} after the remedy \
         for a lost majority, {forked} after the one for the residual risk"
    ));
    assert!(whole > 0, "no state was tried");
}

fn founding(servers: usize, mode: Mode) -> Setting {
    Setting { joining_in_detail: false, ..Setting::new(servers, mode) }
}

const CALM: Budget = Budget { tries: 2, crashes: 0, rebakes: 0, reflashes: 0, duplicates: 0 };

#[test]
fn one_server() {
    let budget = Budget { tries: 4, crashes: 3, rebakes: 3, reflashes: 0, duplicates: 1 };
    let found = check(&Setting::new(1, Mode::Majority), budget, &Way::Breadth, 100_000);
    assert!(found.complete && found.whole > 0);
}

#[test]
fn three_servers_two_attempts() {
    let found = check(&founding(3, Mode::Majority), CALM, &Way::Breadth, 200_000);
    assert!(found.complete && found.whole > 0);
}

/// A server's own witness may be the last to answer.
#[test]
fn three_servers_own_witness_last() {
    let setting = Setting { own_at_once: false, ..founding(3, Mode::Majority) };
    let budget = Budget { crashes: 1, rebakes: 1, ..CALM };
    let found = check(&setting, budget, &Way::Breadth, 250_000);
    assert!(found.states >= 250_000);
}

/// The main search: a power cut and three cards baked again, anywhere and at any moment.
#[test]
fn three_servers_with_faults() {
    let budget = Budget { crashes: 1, rebakes: 3, ..CALM };
    let found = check(&founding(3, Mode::Majority), budget, &Way::Breadth, 1_050_000);
    assert!(found.states >= 1_000_000);
}

#[test]
fn three_servers_every_card_baked_again() {
    let budget = Budget { rebakes: 3, crashes: 1, tries: 3, duplicates: 1, ..CALM };
    let found = check(&founding(3, Mode::Majority), budget, &Way::Walks(60), 150_000);
    assert!(found.whole > 0);
}

#[test]
fn three_servers_joining_slot_by_slot() {
    let budget = Budget { tries: 1, crashes: 1, rebakes: 1, ..CALM };
    let found = check(&Setting::new(3, Mode::Majority), budget, &Way::Breadth, 150_000);
    assert!(found.states >= 150_000 || found.complete);
}

#[test]
fn three_servers_everything_at_random() {
    let budget = Budget { tries: 6, crashes: 3, rebakes: 3, duplicates: 2, ..CALM };
    let found = check(&Setting::new(3, Mode::Majority), budget, &Way::Walks(150), 200_000);
    assert!(found.whole > 0);
}

#[test]
fn five_servers_everything_at_random() {
    let budget = Budget { tries: 5, crashes: 3, rebakes: 3, duplicates: 1, ..CALM };
    let found = check(&Setting::new(5, Mode::Majority), budget, &Way::Walks(250), 100_000);
    assert!(found.whole > 0);
}

#[test]
fn five_servers_founding() {
    let budget = Budget { rebakes: 2, crashes: 2, tries: 3, ..CALM };
    let found = check(&founding(5, Mode::Majority), budget, &Way::Walks(80), 100_000);
    assert!(found.whole > 0);
}

#[test]
fn unanimity_alone() {
    let budget = Budget { crashes: 1, rebakes: 2, ..CALM };
    let found = check(&founding(3, Mode::All), budget, &Way::Walks(60), 60_000);
    assert!(found.whole > 0);
}

#[test]
fn a_designated_founder() {
    let mode = Mode::Designated { server: "node2".to_owned() };
    let budget = Budget { crashes: 1, rebakes: 2, ..CALM };
    let found = check(&founding(3, mode), budget, &Way::Walks(60), 30_000);
    assert!(found.whole > 0);
}

/// The one risk that remains: an image written twice, while nobody who heard of the first card is
/// among those who agree. The search finds it, and finds no other.
#[test]
fn the_residual_risk_and_no_other() {
    let budget = Budget { reflashes: 1, ..CALM };
    let setting = Setting { reflashed_only: Some(1), ..founding(3, Mode::Majority) };
    let found = check(&setting, budget, &Way::Breadth, 700_000);
    assert!(found.residual_forks > 0, "the model is too narrow to show the risk");
}
