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

    /// Whether the witnesses were seen to know all that this node has to tell them.
    pub(super) fn settled(&self) -> bool {
        self.settled.get()
    }

    pub(super) fn settle(&self) {
        self.settled.set(true);
    }
}
