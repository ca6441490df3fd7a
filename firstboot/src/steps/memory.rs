//! What a run decided, for its later steps. A run that is cut short decides anew.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crate::finding::Condition;

/// How this node comes to its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The other servers agreed that it founds the cluster.
    Found,
    /// It joins the cluster whose API is at this URL.
    Join(String),
    /// It must not start: why.
    Stay(Condition),
}

/// See the module.
#[derive(Debug, Default)]
pub struct Memory {
    decision: RefCell<Option<Decision>>,
    slot_renewed: Cell<Option<Duration>>,
    settled: Cell<bool>,
    retires: Cell<Option<Duration>>,
}

impl Memory {
    /// What was decided, if anything was.
    pub(super) fn decision(&self) -> Option<Decision> {
        self.decision.borrow().clone()
    }

    pub(super) fn decide(&self, decision: Decision) {
        self.decision.replace(Some(decision));
    }

    /// When this run last took or renewed the slot, as time since the kernel started.
    pub(super) fn slot_renewed(&self) -> Option<Duration> {
        self.slot_renewed.get()
    }

    pub(super) fn renewed_slot(&self, at: Option<Duration>) {
        self.slot_renewed.set(at);
    }

    /// For how long an earlier card's Node has been waited for by `now`, the time since the kernel
    /// started; `None` where there is none any more.
    pub(super) fn retires_since(&self, now: Option<Duration>) -> Duration {
        let since = now.map(|now| self.retires.get().unwrap_or(now));
        self.retires.set(since);
        now.zip(since).map(|(now, since)| now.saturating_sub(since)).unwrap_or_default()
    }

    /// Whether the witnesses were seen to know all that this node has to tell them.
    pub(super) fn settled(&self) -> bool {
        self.settled.get()
    }

    pub(super) fn settle(&self) {
        self.settled.set(true);
    }
}
