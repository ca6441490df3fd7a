//! The rules of every step, as a table.

use crate::finding::Finding;

/// Where a step stands before it is decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// Not recorded as done.
    Open,
    /// Not recorded, and applied by this run.
    Applied,
    /// Recorded as done, by this run or an earlier one.
    Done,
    /// Recorded as done, found undone, and applied again by this run.
    Redone,
    /// The last step is recorded: the node is finished.
    Sealed,
    /// The node is finished, and this step is put right even so.
    Kept,
}

/// What the check of a step found, without its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seen {
    /// Not checked since it was last applied.
    Nothing,
    /// [`Finding::Met`].
    Met,
    /// [`Finding::Unmet`].
    Unmet,
    /// [`Finding::Blocked`].
    Blocked,
    /// [`Finding::Wrong`].
    Wrong,
    /// [`Finding::Broken`].
    Broken,
}

impl Seen {
    pub(super) fn of(finding: Option<&Finding>) -> Self {
        match finding {
            None => Self::Nothing,
            Some(Finding::Met) => Self::Met,
            Some(Finding::Unmet(_)) => Self::Unmet,
            Some(Finding::Blocked(_)) => Self::Blocked,
            Some(Finding::Wrong(_)) => Self::Wrong,
            Some(Finding::Broken(_)) => Self::Broken,
        }
    }
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Check the step.
    Observe,
    /// Apply it.
    Apply,
    /// Record it as done.
    Record,
    /// Go on to the next step.
    Pass,
    /// End with exit status 75.
    TryAgain,
    /// End with exit status 78.
    Halt,
    /// End with exit status 70.
    Abort,
}

/// Every case. A step is applied at most once a run; a sealed node is looked
/// at, and little of it put right.
pub const TABLE: [(Mark, Seen, Verdict); 36] = [
    (Mark::Open, Seen::Nothing, Verdict::Observe),
    (Mark::Open, Seen::Met, Verdict::Record),
    (Mark::Open, Seen::Unmet, Verdict::Apply),
    (Mark::Open, Seen::Blocked, Verdict::TryAgain),
    (Mark::Open, Seen::Wrong, Verdict::Halt),
    (Mark::Open, Seen::Broken, Verdict::Abort),
    (Mark::Applied, Seen::Nothing, Verdict::Observe),
    (Mark::Applied, Seen::Met, Verdict::Record),
    (Mark::Applied, Seen::Unmet, Verdict::TryAgain),
    (Mark::Applied, Seen::Blocked, Verdict::TryAgain),
    (Mark::Applied, Seen::Wrong, Verdict::Halt),
    (Mark::Applied, Seen::Broken, Verdict::Abort),
    (Mark::Done, Seen::Nothing, Verdict::Observe),
    (Mark::Done, Seen::Met, Verdict::Pass),
    (Mark::Done, Seen::Unmet, Verdict::Apply),
    (Mark::Done, Seen::Blocked, Verdict::TryAgain),
    (Mark::Done, Seen::Wrong, Verdict::Halt),
    (Mark::Done, Seen::Broken, Verdict::Abort),
    (Mark::Redone, Seen::Nothing, Verdict::Observe),
    (Mark::Redone, Seen::Met, Verdict::Pass),
    (Mark::Redone, Seen::Unmet, Verdict::TryAgain),
    (Mark::Redone, Seen::Blocked, Verdict::TryAgain),
    (Mark::Redone, Seen::Wrong, Verdict::Halt),
    (Mark::Redone, Seen::Broken, Verdict::Abort),
    (Mark::Sealed, Seen::Nothing, Verdict::Observe),
    (Mark::Sealed, Seen::Met, Verdict::Pass),
    (Mark::Sealed, Seen::Unmet, Verdict::Pass),
    (Mark::Sealed, Seen::Blocked, Verdict::Pass),
    (Mark::Sealed, Seen::Wrong, Verdict::Halt),
    (Mark::Sealed, Seen::Broken, Verdict::Abort),
    (Mark::Kept, Seen::Nothing, Verdict::Observe),
    (Mark::Kept, Seen::Met, Verdict::Pass),
    (Mark::Kept, Seen::Unmet, Verdict::Apply),
    (Mark::Kept, Seen::Blocked, Verdict::Pass),
    (Mark::Kept, Seen::Wrong, Verdict::Halt),
    (Mark::Kept, Seen::Broken, Verdict::Abort),
];

/// Looks a case up.
#[must_use]
pub fn verdict(mark: Mark, seen: Seen) -> Verdict {
    TABLE
        .iter()
        .find(|(m, s, _)| (*m, *s) == (mark, seen))
        .map(|&(_, _, verdict)| verdict)
        .expect("a test holds the table complete")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_case_is_there_once() {
        let cases: BTreeSet<_> = TABLE.iter().map(|&(mark, seen, _)| (mark, seen)).collect();
        assert_eq!(cases.len(), TABLE.len());
        assert_eq!(TABLE.len(), 6 * 6);
    }
}
