//! The power goes at every single call of a run, and the next run still ends where it must.

mod fake;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fake::{CONFIG, Fake, Loss, SECRETS};
use firstboot::exit::Exit;
use firstboot::ledger::Ledger;
use nodeconf::paths;

const LOSSES: [Loss; 3] = [Loss::Nothing, Loss::Everything, Loss::Data];

/// Runs until the power goes at `call`; false if the run ended before.
fn cut(fake: &Fake, call: u64) -> bool {
    let ended = fake.cut(call);
    assert!(ended.is_none_or(|exit| exit == Exit::Converged), "{ended:?}");
    ended.is_none()
}

/// What must hold at every moment the power may go.
fn assert_sound(fake: &Fake, context: &str) {
    if fake.file(paths::LEDGER).is_some() {
        Ledger::load(fake).unwrap_or_else(|e| panic!("{context}: {e}"));
    }
    assert_eq!(fake.file(paths::NODE_CONFIG).as_deref(), Some(CONFIG), "{context}");
    assert!(fake.file("/etc/hosts").unwrap().contains("localhost"), "{context}");
    assert!(!fake.file("/etc/hostname").unwrap().trim().is_empty(), "{context}");
    if let Some(secrets) = fake.file(paths::NODE_SECRETS) {
        assert!(secrets == SECRETS || secrets.bytes().all(|b| b == 0), "{context}");
    }
}

/// The disk without what tells of times.
fn outcome(fake: &Fake) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut content = fake.world.borrow().disk.content();
    let ledger = content.remove(Path::new(paths::LEDGER)).expect("there is a ledger");
    let ledger: Ledger = serde_json::from_slice(&ledger).unwrap();
    assert!(ledger.sealed());
    for told in [paths::STATUS, "/boot/firmware/bake-firstboot.log"] {
        assert!(content.remove(Path::new(told)).is_some(), "there is a {told}");
    }
    content
}

fn done(fake: &Fake) -> String {
    Ledger::load(fake).ok().flatten().map(|l| format!("{:?}", l.done)).unwrap_or_default()
}

/// The board is done, and stays so without anything written.
fn assert_at_rest(fake: &Fake, expected: &BTreeMap<PathBuf, Vec<u8>>, context: &str) {
    assert_eq!(&outcome(fake), expected, "{context}");
    let effects = fake.world.borrow().effects.clone();
    let ledger = done(fake);
    fake.reboot(Loss::Nothing);
    fake.writes.set(0);
    assert_eq!(fake.run(), Exit::Converged, "{context}");
    assert_eq!(fake.writes.get(), 0, "{context}: a finished board writes nothing");
    assert_eq!(fake.world.borrow().effects, effects, "{context}: nothing is redone");
    assert_eq!(done(fake), ledger, "{context}");
}

fn reference() -> BTreeMap<PathBuf, Vec<u8>> {
    let fake = Fake::new();
    assert_eq!(fake.run(), Exit::Converged);
    outcome(&fake)
}

#[test]
fn a_first_boot_converges_and_rests() {
    let fake = Fake::new();
    assert_eq!(fake.run(), Exit::Converged);
    let effects = fake.world.borrow().effects.clone();
    assert_eq!(effects, ["swapoff", "start k3s.service", "enable k3s.service"]);
    assert_eq!(fake.file("/etc/hostname").as_deref(), Some("node1\n"));
    assert!(fake.file("/etc/hosts").unwrap().contains("127.0.1.1\tnode1\n"));
    assert_eq!(fake.file(paths::NODE_SECRETS), None);
    assert_at_rest(&fake, &outcome(&fake), "without a cut");
}

#[test]
fn the_power_may_go_at_every_call() {
    let expected = reference();
    for loss in LOSSES {
        let mut calls = 0;
        for call in 1.. {
            let fake = Fake::new();
            if !cut(&fake, call) {
                break;
            }
            calls = call;
            let context = format!("cut at call {call}, {loss:?} lost");
            fake.reboot(loss);
            assert_sound(&fake, &context);
            let recorded = done(&fake);
            assert_eq!(fake.run_as_unit(3), Exit::Converged, "{context}");
            let recorded = recorded.trim_end_matches('}');
            assert!(done(&fake).starts_with(recorded), "{context}: a record was rewritten");
            if loss == Loss::Nothing {
                let effects = fake.world.borrow().effects.clone();
                // A board that is not yet enabled has to be started again.
                let mut once = effects.clone();
                once.retain(|effect| !effect.starts_with("start"));
                let effects = once.clone();
                once.sort();
                once.dedup();
                assert_eq!(once.len(), effects.len(), "{context}: redone: {effects:?}");
            }
            assert_at_rest(&fake, &expected, &context);
        }
        assert!(calls > 150, "only {calls} calls: is the fake still asked?");
    }
}

#[test]
fn and_again_during_the_recovery() {
    let expected = reference();
    for loss in LOSSES {
        for first in (1..).step_by(5) {
            let fake = Fake::new();
            if !cut(&fake, first) {
                break;
            }
            fake.reboot(loss);
            // Where the second cut falls moves along with the first.
            if cut(&fake, 1 + first * 7 % 190) {
                fake.reboot(loss);
            }
            let context = format!("cut at call {first} and once more, {loss:?} lost");
            assert_sound(&fake, &context);
            assert_eq!(fake.run_as_unit(3), Exit::Converged, "{context}");
            assert_at_rest(&fake, &expected, &context);
        }
    }
}

#[test]
fn a_finished_board_survives_cuts_too() {
    let fake = Fake::new();
    assert_eq!(fake.run(), Exit::Converged);
    let expected = outcome(&fake);
    for call in 1.. {
        fake.reboot(Loss::Everything);
        if !cut(&fake, call) {
            break;
        }
        assert_sound(&fake, "finished");
    }
    fake.reboot(Loss::Everything);
    assert_eq!(fake.run(), Exit::Converged);
    assert_at_rest(&fake, &expected, "after cuts of a finished board");
}
