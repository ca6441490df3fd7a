//! Small clusters of fake boards whose power goes at every call of every role, and at random.

#![allow(clippy::print_stdout)] // seeds and numbers of cuts, for who reads a failure

mod fake;
mod town;

use std::time::Duration;

use fake::Loss;
use firstboot::exit::Exit;
use town::{Plan, Town};

const LOSSES: [Loss; 3] = [Loss::Nothing, Loss::Everything, Loss::Data];

/// Every board after the other.
fn converge(town: &Town, context: &str) {
    for board in 0..town.boards.len() {
        let exit = town.run_as_unit(board, 6);
        let trouble = || town.boards[board].file(nodeconf::paths::STATUS).unwrap_or_default();
        assert_eq!(exit, Exit::Converged, "{context}: board {board}: {}", trouble());
        town.assert_sound(context);
    }
}

#[test]
fn clusters_form_in_every_order() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let town = Town::new(Plan::etcd(3, 1));
        for board in order {
            assert_eq!(town.run_as_unit(board, 6), Exit::Converged, "{order:?}: {board}");
        }
        converge(&town, "in order");
        town.assert_stands(&format!("{order:?}"));
        let shared = town.shared.borrow();
        assert_eq!((shared.foundings, shared.crowded), (1, 0), "{order:?}");
    }
}

/// Cuts the power of `board` at every call of its run in the town that `before` made, and has the
/// rest follow. How many cuts there were, and how many left a log of etcd without an entry.
fn cut_everywhere(before: &Town, board: usize, most: usize) -> (u64, u64) {
    cut_with(before, board, most, &LOSSES)
}

fn cut_with(before: &Town, board: usize, most: usize, losses: &[Loss]) -> (u64, u64) {
    let (mut points, mut unborn) = (0, 0);
    for &loss in losses {
        for call in 1.. {
            let town = before.clone();
            if town.cut(board, call).is_some() {
                break;
            }
            points += 1;
            let context = format!("board {board} cut at call {call}, {loss:?} lost");
            town.reboot(board, loss);
            unborn += u64::from(town.is_unborn(board));
            town.assert_sound(&context);
            // What the others then do hardly depends on where exactly the cut was.
            let last = if call % 8 == 0 { most } else { board + 1 };
            for other in board..last {
                let exit = town.run_as_unit(other, 6);
                assert_eq!(exit, Exit::Converged, "{context}, then board {other}");
                town.assert_sound(&context);
            }
            if last == town.boards.len() {
                town.assert_stands(&context);
            }
            // Where the cut took the data with it, the same server may be started to found again.
            assert!(town.shared.borrow().foundings <= 2, "{context}");
            assert_eq!(town.shared.borrow().crowded, 0, "{context}");
        }
    }
    (points, unborn)
}

fn after(plan: Plan, done: usize) -> Town {
    let town = Town::new(plan);
    for board in 0..done {
        assert_eq!(town.run_as_unit(board, 6), Exit::Converged);
    }
    town
}

#[test]
fn a_founder_survives_a_cut_at_every_call() {
    let (points, unborn) = cut_everywhere(&after(Plan::etcd(3, 0), 0), 0, 3);
    println!("founder: {points} cuts, {unborn} before etcd's first entry");
    assert!(points > 600 && unborn > 0, "{points} {unborn}");
}

#[test]
fn a_joiner_survives_a_cut_at_every_call() {
    let (points, unborn) = cut_everywhere(&after(Plan::etcd(3, 0), 1), 1, 3);
    println!("joiner: {points} cuts, {unborn} before etcd's first entry");
    assert!(points > 600 && unborn > 0, "{points} {unborn}");
}

#[test]
fn an_agent_survives_a_cut_at_every_call() {
    let (points, _) = cut_everywhere(&after(Plan::etcd(1, 1), 1), 1, 2);
    println!("agent: {points} cuts");
    assert!(points > 300, "{points}");
}

#[test]
fn a_server_of_a_datastore_survives_a_cut_at_every_call() {
    let (points, _) = cut_everywhere(&after(Plan::shared(2, 0), 0), 0, 2);
    println!("server of a datastore: {points} cuts");
    assert!(points > 300, "{points}");
}

/// A server whose board died comes back from a card that was baked anew.
#[test]
fn a_replaced_server_survives_a_cut_at_every_call() {
    let town = after(Plan::etcd(3, 0), 3);
    town.pass(Duration::from_secs(30));
    town.rebake(1, 2);
    let (points, _) = cut_everywhere(&town, 1, 3);
    println!("replaced server: {points} cuts");
    assert!(points > 600, "{points}");
}

/// So does the one that founded, among members that go on without it.
#[test]
fn a_replaced_founder_survives_a_cut_at_every_call() {
    let town = after(Plan::etcd(3, 0), 3);
    town.pass(Duration::from_secs(30));
    town.rebake(0, 2);
    let (points, _) = cut_with(&town, 0, 3, &[Loss::Everything]);
    println!("replaced founder: {points} cuts");
    assert!(points > 200, "{points}");
}

/// The start of a row of random numbers.
#[derive(Debug, Clone)]
struct Seed(u64);

impl Seed {
    /// The next number below `limit` (xorshift64*, Vigna 2016).
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }
}

#[test]
fn random_schedules_make_one_cluster() {
    let first = std::env::var("BAKE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = first.map_or(1..=60, |seed| seed..=seed);
    for seed in seeds {
        println!("BAKE_SEED={seed}");
        random_schedule(seed);
    }
}

/// Boards run in turns, each until its process is killed or its power goes, at a random call; some
/// stay off for a while, some are cut off from the rest.
fn random_schedule(seed: u64) {
    let mut random = Seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let town = Town::new(Plan::etcd(3, 1));
    let context = format!("BAKE_SEED={seed}");
    for turn in 0..60 {
        let board = usize::try_from(random.below(4)).unwrap();
        let context = format!("{context} turn {turn} board {board}");
        if !town.shared.borrow().powered[board] {
            town.power_on(board);
        }
        let reaches = if random.below(3) == 0 { 150 } else { 3000 };
        let ended = town.cut(board, 1 + random.below(reaches));
        town.assert_sound(&context);
        if ended.is_none() {
            let loss = LOSSES[usize::try_from(random.below(3)).unwrap()];
            match random.below(4) {
                0 => {}
                1 => town.power_off(board, loss),
                _ => town.reboot(board, loss),
            }
        }
        let apart = usize::try_from(random.below(12)).unwrap();
        town.shared.borrow_mut().cut_off = (apart < 4).then_some(apart).into_iter().collect();
        town.assert_sound(&context);
    }
    town.shared.borrow_mut().cut_off.clear();
    for board in 0..4 {
        if !town.shared.borrow().powered[board] {
            town.power_on(board);
        }
    }
    for _ in 0..6 {
        for board in 0..4 {
            let _ = town.run_as_unit(board, 1);
            town.assert_sound(&context);
        }
        town.pass(Duration::from_secs(10));
    }
    converge(&town, &context);
    town.assert_stands(&context);
}
