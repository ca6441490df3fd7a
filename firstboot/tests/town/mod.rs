//! A small cluster of fake boards: firstboot's own code on each, the real rules behind each
//! witness, and a K3s that behaves as the real one was seen to (facts, section E).

#![allow(dead_code)] // each test crate uses its part of it

mod bake;
mod etcd;
mod k3s;
mod net;
mod seat;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use bootstrap::State;
use firstboot::exit::Exit;
use firstboot::ledger::Ledger;
use nodeconf::paths;

use crate::fake::{Fake, Loss, until_the_power_goes};
pub use bake::Plan;
use k3s::{Etcd, Process};

/// What the boards share, and what stands beside each.
#[derive(Debug, Clone, Default)]
pub struct Shared {
    /// Every cluster that was ever founded, by a number that the datastore has as 0.
    etcds: BTreeMap<u32, Etcd>,
    /// Numbers of clusters, members, Nodes and nonces.
    numbers: u32,
    processes: Vec<Process>,
    witnesses: Vec<Option<State>>,
    pub powered: Vec<bool>,
    /// Boards that nobody reaches and that reach nobody.
    pub cut_off: BTreeSet<usize>,
    pub datastore_up: bool,
    /// Nobody holds the shared address.
    pub vip_down: bool,
    pub wrong_token: BTreeSet<usize>,
    /// Boards whose cards were baked with other secrets: other CAs.
    pub other_secrets: BTreeSet<usize>,
    /// Boards whose card is full from the moment K3s starts.
    pub fills: BTreeSet<usize>,
    /// Boards whose K3s is killed as soon as etcd has made its log, once; systemd starts it again.
    pub killed_unborn: BTreeSet<usize>,
    /// What holds Nodes that are being deleted.
    pub finalizers: Vec<String>,
    /// K3s does not get to take a deleted Node's member out of etcd.
    pub members_held: bool,
    /// Whether K3s tells etcd's members to who asks.
    pub db_info: bool,
    /// How often K3s was started to found, without data on its board.
    pub foundings: u32,
    /// How often etcd refused a second learner.
    pub crowded: u32,
    /// What must never happen.
    pub violations: Vec<String>,
}

impl Shared {
    fn number(&mut self) -> u32 {
        self.numbers += 1;
        self.numbers
    }
}

/// The boards, in the order of the plan: servers first.
#[derive(Debug)]
pub struct Town {
    pub plan: Plan,
    pub boards: Vec<Fake>,
    pub shared: RefCell<Shared>,
}

impl Clone for Town {
    fn clone(&self) -> Self {
        let boards = self.boards.iter().map(|board| {
            let copy = Fake::new();
            *copy.world.borrow_mut() = board.world.borrow().clone();
            copy
        });
        Self {
            plan: self.plan.clone(),
            boards: boards.collect(),
            shared: RefCell::new(self.shared.borrow().clone()),
        }
    }
}

impl Town {
    /// Freshly baked boards, all powered on.
    pub fn new(plan: Plan) -> Self {
        let boards: Vec<Fake> = (0..plan.len()).map(|board| bake::board(&plan, board, 1)).collect();
        let n = boards.len();
        let shared = Shared {
            processes: vec![Process::default(); n],
            witnesses: vec![None; n],
            powered: vec![true; n],
            datastore_up: true,
            ..Shared::default()
        };
        Self { plan, boards, shared: RefCell::new(shared) }
    }

    /// One run of firstboot on a board.
    pub fn run(&self, board: usize) -> Exit {
        firstboot::run::run(&seat::Seat { town: self, me: board })
    }

    /// Runs as the unit does, at most `times` times.
    pub fn run_as_unit(&self, board: usize, times: usize) -> Exit {
        let mut exit = self.run(board);
        for _ in 1..times {
            if exit != Exit::TryAgain {
                break;
            }
            self.pass(Duration::from_secs(10));
            exit = self.run(board);
        }
        exit
    }

    /// Runs until the power goes, or the process is killed, at `call`; how it ended otherwise.
    pub fn cut(&self, board: usize, call: u64) -> Option<Exit> {
        self.boards[board].cut_at(call);
        let ended = until_the_power_goes(|| self.run(board));
        self.boards[board].cut_never();
        ended
    }

    /// Power off, and on again after a while.
    pub fn reboot(&self, board: usize, loss: Loss) {
        self.power_off(board, loss);
        self.pass(Duration::from_secs(3));
        self.power_on(board);
    }

    pub fn power_off(&self, board: usize, loss: Loss) {
        self.boards[board].world.borrow_mut().disk.cut(loss);
        let shared = &mut *self.shared.borrow_mut();
        shared.powered[board] = false;
        shared.processes[board] = Process::default();
        shared.witnesses[board] = None;
        self.boards[board].world.borrow_mut().k3s_at = None;
    }

    pub fn power_on(&self, board: usize) {
        self.boards[board].reboot(Loss::Nothing);
        self.shared.borrow_mut().powered[board] = true;
    }

    /// A new card for the board, of the given incarnation, in a board that is off.
    pub fn rebake(&self, board: usize, incarnation: u32) {
        self.power_off(board, Loss::Nothing);
        let fresh = bake::board(&self.plan, board, incarnation);
        self.boards[board].world.swap(&fresh.world);
        self.shared.borrow_mut().powered[board] = true;
    }

    /// Time passes for every board that is on.
    pub fn pass(&self, time: Duration) {
        // In steps, so that what K3s does in between happens in order.
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(Duration::from_millis(500));
            for board in 0..self.boards.len() {
                if self.shared.borrow().powered[board] {
                    self.boards[board].pass(step);
                }
            }
            self.live();
            left -= step;
        }
    }

    pub fn ledger(&self, board: usize) -> Option<Ledger> {
        let text = self.boards[board].file(paths::LEDGER)?;
        Some(serde_json::from_str(&text).expect("a ledger is never torn"))
    }

    pub fn sealed(&self, board: usize) -> bool {
        self.ledger(board).is_some_and(|ledger| ledger.sealed())
    }

    /// What must hold at every moment.
    pub fn assert_sound(&self, context: &str) {
        let shared = self.shared.borrow();
        assert_eq!(shared.violations, [""; 0], "{context}");
        drop(shared);
        let clusters: BTreeSet<u32> = (0..self.boards.len()).filter_map(|b| self.data(b)).collect();
        assert!(clusters.len() <= 1, "{context}: clusters {clusters:?}");
        for board in 0..self.boards.len() {
            let decision = self.boards[board].file(paths::K3S_DECISION).unwrap_or_default();
            let enabled =
                self.boards[board].world.borrow().disk.read_link(Path::new(
                    "/etc/systemd/system/multi-user.target.wants/k3s.service",
                ));
            let founds = decision.contains("cluster-init");
            assert!(!(founds && enabled.is_ok()), "{context}: board {board} founds at every boot");
        }
    }

    /// Every board is done, in one cluster, with nothing left of what was only for the way.
    pub fn assert_stands(&self, context: &str) {
        self.assert_sound(context);
        self.pass(Duration::from_secs(30));
        self.assert_sound(context);
        for board in 0..self.boards.len() {
            assert!(self.sealed(board), "{context}: board {board}");
            let fake = &self.boards[board];
            for secret in [paths::NODE_SECRETS, paths::API_ADMIN_KEY, paths::API_ADMIN_CERT] {
                assert_eq!(fake.file(secret), None, "{context}: board {board} keeps {secret}");
            }
            let decision = fake.file(paths::K3S_DECISION).unwrap_or_default();
            assert!(!decision.contains("cluster-init"), "{context}: board {board}");
        }
        self.assert_members(context);
    }
}
