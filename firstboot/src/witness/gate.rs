//! How many may be connected, so that nobody can take all the room.
//!
//! A stranger (who has not shown a certificate yet) gives way to the next one: first the oldest
//! from the same address, then the oldest of all. Those who have shown a certificate stay.

use std::cell::Cell;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::rc::Rc;

use tokio::task::AbortHandle;

/// Strangers from one address.
const NEAR: usize = 16;
/// Strangers in all.
const STRANGERS: usize = 32;
/// Connections in all.
const ALL: usize = 48;

/// Whether a connection's certificate was verified.
pub(super) type Known = Rc<Cell<bool>>;

struct Guest {
    from: IpAddr,
    known: Known,
    task: AbortHandle,
}

/// The connections there are, oldest first.
#[derive(Default)]
pub(super) struct Gate(VecDeque<Guest>);

impl Gate {
    /// Lets a connection in, and out whoever must give way to it.
    pub(super) fn enter(&mut self, from: IpAddr, known: Known, task: AbortHandle) {
        self.0.retain(|guest| !guest.task.is_finished());
        self.make_room(NEAR, |guest| !guest.known.get() && guest.from == from);
        self.make_room(STRANGERS, |guest| !guest.known.get());
        self.make_room(ALL, |_| true);
        self.0.push_back(Guest { from, known, task });
    }

    fn make_room(&mut self, limit: usize, counts: impl Fn(&Guest) -> bool) {
        if self.0.iter().filter(|guest| counts(guest)).count() < limit {
            return;
        }
        if let Some(oldest) = self.0.iter().position(counts)
            && let Some(guest) = self.0.remove(oldest)
        {
            guest.task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(gate: &mut Gate, from: [u8; 4], known: bool, count: usize) {
        for _ in 0..count {
            let task = tokio::task::spawn_local(std::future::pending::<()>());
            gate.enter(from.into(), Rc::new(Cell::new(known)), task.abort_handle());
        }
    }

    fn of(gate: &Gate, from: [u8; 4]) -> usize {
        gate.0.iter().filter(|guest| guest.from == IpAddr::from(from)).count()
    }

    fn on_one_thread(test: impl FnOnce()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async { test() });
    }

    #[test]
    fn strangers_of_one_address_only_push_out_each_other() {
        on_one_thread(|| {
            let mut gate = Gate::default();
            connections(&mut gate, [10, 0, 0, 1], false, 1);
            connections(&mut gate, [10, 0, 0, 2], false, 1000);
            assert_eq!((of(&gate, [10, 0, 0, 1]), of(&gate, [10, 0, 0, 2])), (1, NEAR));
        });
    }

    #[test]
    fn strangers_never_push_out_those_who_are_known() {
        on_one_thread(|| {
            let mut gate = Gate::default();
            connections(&mut gate, [10, 0, 0, 1], true, 5);
            for last in 2..=255 {
                connections(&mut gate, [10, 0, 0, last], false, 10);
            }
            assert_eq!(of(&gate, [10, 0, 0, 1]), 5);
            assert_eq!(gate.0.len(), 5 + STRANGERS);
        });
    }

    #[test]
    fn there_is_an_end_to_all_of_them() {
        on_one_thread(|| {
            let mut gate = Gate::default();
            connections(&mut gate, [10, 0, 0, 1], true, 1000);
            assert_eq!(gate.0.len(), ALL);
        });
    }
}
