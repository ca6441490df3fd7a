//! What keeps a node from its cluster is stated, and heals when its cause goes away.

mod fake;
mod town;

use std::time::Duration;

use fake::Loss;
use firstboot::exit::Exit;
use nodeconf::paths;
use nodeconf::status::{State, Status};
use serde_json::json;
use town::{Plan, Town};

fn status(town: &Town, board: usize) -> Status {
    let text = town.boards[board].file(paths::STATUS).expect("a run leaves a status");
    serde_json::from_str(&text).unwrap()
}

fn stopped_at(town: &Town, board: usize, step: &str, what: &str) {
    let trouble = status(town, board).trouble.expect("the status tells the trouble");
    assert_eq!(trouble.step, step, "{trouble:?}");
    assert!(trouble.what.contains(what), "{trouble:?}");
    assert!(!trouble.remedy.is_empty(), "{trouble:?}");
}

fn heals(town: &Town, boards: impl IntoIterator<Item = usize>) {
    for board in boards {
        assert_eq!(town.run_as_unit(board, 6), Exit::Converged, "{:?}", status(town, board));
        let status = status(town, board);
        assert_eq!((status.state, status.trouble), (State::Done, None));
    }
    town.assert_stands("healed");
}

fn standing(plan: Plan) -> Town {
    let town = Town::new(plan);
    for board in 0..town.boards.len() {
        assert_eq!(town.run_as_unit(board, 6), Exit::Converged);
    }
    town.pass(Duration::from_secs(30));
    town
}

#[test]
fn a_missing_majority_is_named() {
    let town = Town::new(Plan::etcd(3, 0));
    town.power_off(1, Loss::Nothing);
    town.power_off(2, Loss::Nothing);
    assert_eq!(town.run(0), Exit::TryAgain);
    stopped_at(&town, 0, "bootstrap", "node2 and node3 do not answer yet; 1 of 3 servers is here");
    town.power_on(1);
    town.power_on(2);
    heals(&town, 0..3);
}

#[test]
fn all_and_designated_wait_for_whom_they_name() {
    let all = Town::new(Plan { bootstrap: json!("all"), ..Plan::etcd(3, 0) });
    all.power_off(2, Loss::Nothing);
    assert_eq!(all.run(0), Exit::TryAgain);
    stopped_at(&all, 0, "bootstrap", "node3 does not answer yet");
    all.power_on(2);
    heals(&all, 0..3);

    let second = json!({"designated": {"server": "node2"}});
    let town = Town::new(Plan { bootstrap: second, ..Plan::etcd(3, 0) });
    assert_eq!(town.run(0), Exit::TryAgain);
    stopped_at(&town, 0, "bootstrap", "the profile has node2 found the cluster");
    heals(&town, [1, 0, 2]);
}

#[test]
fn a_wrong_token_is_quoted_and_keeps_nobody_else_from_joining() {
    let town = Town::new(Plan::etcd(3, 0));
    town.shared.borrow_mut().wrong_token.insert(1);
    assert_eq!(town.run_as_unit(0, 6), Exit::Converged);
    assert_eq!(town.run(1), Exit::TryAgain);
    stopped_at(&town, 1, "confirm", "401 Unauthorized");
    assert_eq!(town.run_as_unit(2, 6), Exit::Converged, "{:?}", status(&town, 2));
    town.shared.borrow_mut().wrong_token.clear();
    heals(&town, [1]);
}

/// systemd starts K3s again on what is left, where a founder's etcd waits for ever.
#[test]
fn an_etcd_killed_before_its_first_entry_starts_anew() {
    for board in 0..2 {
        let town = Town::new(Plan::etcd(3, 0));
        if board > 0 {
            assert_eq!(town.run_as_unit(0, 6), Exit::Converged);
        }
        town.shared.borrow_mut().killed_unborn.insert(board);
        assert_eq!(town.run_as_unit(board, 6), Exit::Converged, "{:?}", status(&town, board));
        assert!(town.shared.borrow().killed_unborn.is_empty(), "it was killed");
        assert_eq!(town.boards[board].said("it starts anew"), board == 0);
        heals(&town, 0..3);
    }
}

#[test]
fn a_card_of_other_secrets_is_told_from_a_silent_one_and_keeps_nobody_out() {
    let town = Town::new(Plan::etcd(3, 1));
    town.shared.borrow_mut().other_secrets.insert(1);
    assert_eq!(town.run_as_unit(0, 6), Exit::Converged, "{:?}", status(&town, 0));
    assert_eq!(town.run(1), Exit::TryAgain);
    stopped_at(&town, 1, "bootstrap", "node1 and node3 do not answer yet");
    let remedy = status(&town, 1).trouble.unwrap().remedy;
    assert!(remedy.contains("its witness is not of this cluster"), "{remedy}");
    assert_eq!(town.data(1), None);
    town.shared.borrow_mut().other_secrets = [3].into();
    assert_eq!(town.run(3), Exit::TryAgain);
    stopped_at(&town, 3, "bootstrap", "is not of this cluster");
    town.shared.borrow_mut().other_secrets.clear();
    heals(&town, 0..4);
}

#[test]
fn a_clock_after_the_certificates_is_told() {
    let town = Town::new(Plan::etcd(3, 0));
    let right = town.boards[1].world.borrow().clock;
    town.boards[1].world.borrow_mut().clock += Duration::from_secs(20 * 365 * 86400);
    assert_eq!(town.run_as_unit(0, 6), Exit::Converged, "{:?}", status(&town, 0));
    assert_eq!(town.run(1), Exit::TryAgain);
    stopped_at(&town, 1, "bootstrap", "own witness does not answer");
    let remedy = status(&town, 1).trouble.unwrap().remedy;
    assert!(remedy.contains("not valid by this clock"), "{remedy}");
    town.boards[1].world.borrow_mut().clock = right;
    heals(&town, 0..3);
}

#[test]
fn a_card_that_fills_up_under_k3s_is_told_and_joins_later() {
    for board in 0..2 {
        let town = Town::new(Plan::etcd(3, 0));
        if board > 0 {
            assert_eq!(town.run_as_unit(0, 6), Exit::Converged);
        }
        town.shared.borrow_mut().fills.insert(board);
        assert_eq!(town.run(board), Exit::TryAgain);
        let said = ["no space left on device", "free some space"][board];
        assert!(town.boards[board].said(said), "{board}");
        assert_eq!(town.data(board), None);
        town.boards[board].world.borrow_mut().disk.full = false;
        assert_eq!(town.run_as_unit(board, 6), Exit::Converged, "{:?}", status(&town, board));
        heals(&town, 0..3);
    }
}

#[test]
fn a_database_that_is_down_is_waited_for() {
    let town = Town::new(Plan::shared(2, 0));
    town.shared.borrow_mut().datastore_up = false;
    assert_eq!(town.run(0), Exit::TryAgain);
    stopped_at(&town, 0, "bootstrap", "database does not answer at 192.168.24.99:5432");
    town.shared.borrow_mut().datastore_up = true;
    heals(&town, 0..2);
}

#[test]
fn a_k3s_that_left_its_database_out_is_not_done() {
    let town = Town::new(Plan::shared(2, 0));
    let own = nodeconf::paths::K3S_SQLITE;
    town.boards[0].world.borrow_mut().disk.place(own, b"SQLite", 0o600);
    assert_eq!(town.run(0), Exit::TryAgain);
    stopped_at(&town, 0, "confirm", "a cluster of its own");
}

#[test]
fn an_agent_waits_for_the_shared_address() {
    let town = Town::new(Plan::etcd(1, 1));
    assert_eq!(town.run(1), Exit::TryAgain);
    stopped_at(&town, 1, "bootstrap", "API at 192.168.24.10:16443 does not answer");
    assert_eq!(town.boards[1].world.borrow().k3s_at, None);
    heals(&town, 0..2);
}

#[test]
fn a_shared_address_that_nobody_holds_is_told() {
    let town = Town::new(Plan::etcd(3, 0));
    assert_eq!(town.run_as_unit(0, 6), Exit::Converged);
    town.shared.borrow_mut().vip_down = true;
    assert_eq!(town.run(1), Exit::TryAgain);
    stopped_at(&town, 1, "bootstrap", "node1 serves the cluster, but the shared address");
    town.shared.borrow_mut().vip_down = false;
    heals(&town, 1..3);
}

#[test]
fn a_replaced_card_stays_out() {
    let town = standing(Plan::etcd(3, 0));
    let old = town.boards[1].world.borrow().clone();
    town.rebake(1, 2);
    heals(&town, [1]);
    town.power_off(1, Loss::Nothing);
    *town.boards[1].world.borrow_mut() = old;
    town.power_on(1);
    // systemd starts no later than where the clock last was.
    town.boards[1].world.borrow_mut().clock = Duration::from_secs(fake::FLOOR + 1000);
    assert_eq!(town.run(1), Exit::ConfigWrong);
    stopped_at(&town, 1, "bootstrap", "node2 runs from its incarnation 2");
    assert_eq!(town.boards[1].world.borrow().k3s_at, None, "K3s is stopped");
}

/// A town in which the card of board 1 was baked anew, and what holds its old Node.
fn replaced(finalizers: &[&str], db_info: bool) -> Town {
    let town = standing(Plan::etcd(3, 0));
    let held = finalizers.iter().map(|f| (*f).to_owned()).collect();
    town.shared.borrow_mut().finalizers = held;
    town.shared.borrow_mut().db_info = db_info;
    town.rebake(1, 2);
    town
}

const ETCDS: &str = "wrangler.cattle.io/managed-etcd-controller";
const NODES: &str = "wrangler.cattle.io/node";

#[test]
fn a_node_that_k3s_forgot_to_let_go_keeps_nobody_out() {
    // K3s 1.21.2 lets neither go, and tells who is a member; later ones let etcd's go.
    for (finalizers, db_info) in [(&[ETCDS, NODES][..], true), (&[NODES], false)] {
        let town = replaced(finalizers, db_info);
        heals(&town, 0..3);
        assert!(town.boards[1].said("K3s's finalizers are taken off it"), "{finalizers:?}");
    }
}

#[test]
fn a_node_whose_member_k3s_did_not_remove_is_waited_for() {
    for db_info in [true, false] {
        let town = replaced(&[ETCDS, NODES], db_info);
        town.shared.borrow_mut().members_held = true;
        assert_eq!(town.run(1), Exit::TryAgain);
        stopped_at(&town, 1, "bootstrap", "its Node waits for wrangler.cattle.io/managed-etcd");
        assert_eq!(town.boards[1].world.borrow().k3s_at, None);
        town.assert_sound("held");
        town.let_go(1);
        heals(&town, 0..3);
    }
}

/// The new card joins; when the old Node goes at last, K3s is started again to register.
#[test]
fn a_node_that_something_else_holds_is_waited_for_as_a_member() {
    let town = replaced(&["example.org/x"], false);
    assert_eq!(town.run(1), Exit::TryAgain);
    stopped_at(&town, 1, "confirm", "is being deleted and waits for example.org/x");
    town.assert_members_vote("joined");
    town.let_go(1);
    heals(&town, 0..3);
}

#[test]
fn permission_to_found_is_taken_from_a_finished_node() {
    let town = standing(Plan::etcd(3, 0));
    let before = town.boards[2].file(paths::K3S_DECISION).unwrap();
    let founds = b"cluster-init: true\n";
    town.boards[2].world.borrow_mut().disk.place(paths::K3S_DECISION, founds, 0o600);
    assert_eq!(town.run(2), Exit::Converged);
    assert_eq!(town.boards[2].file(paths::K3S_DECISION), Some(before));
    heals(&town, [2]);
}

#[test]
fn what_stops_a_single_server_stops_every_role() {
    let plans = [(Plan::etcd(3, 1), 0), (Plan::etcd(3, 1), 3), (Plan::shared(2, 0), 1)];
    for (plan, board) in plans {
        let town = Town::new(plan);
        let world = || town.boards[board].world.borrow_mut();
        world().disk.full = true;
        assert_eq!(town.run(board), Exit::TryAgain);
        assert!(town.boards[board].said("free some space"));
        world().disk.full = false;
        world().memory_cgroup = false;
        assert_eq!(town.run(board), Exit::ConfigWrong);
        stopped_at(&town, board, "storage", "memory cgroup");
        world().memory_cgroup = true;
        world().clock = Duration::from_secs(1_000_000);
        world().clock_can_be_set = false;
        assert_eq!(town.run(board), Exit::TryAgain);
        stopped_at(&town, board, "clock", "setting the clock");
        world().clock_can_be_set = true;
        world().network_at = None;
        world().arping_answers = true;
        assert_eq!(town.run(board), Exit::TryAgain);
        stopped_at(&town, board, "network", "another machine uses 192.168.24.");
        world().network_at = Some(Duration::ZERO);
        heals(&town, 0..town.boards.len());
    }
}
