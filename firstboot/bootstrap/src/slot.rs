use serde::{Deserialize, Serialize};

use crate::rules::Rules;
use crate::{Card, Refusal, Seen, SlotAction, Verdict};

/// How long a slot lasts without being renewed, in milliseconds of the witness's clock.
pub const SLOT_MS: u64 = 120_000;

/// A promise to let nobody else join for a while.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// Who may join. `None` on a card that was made anew: an earlier one may have granted the slot
    /// to somebody who still relies on it.
    pub holder: Option<Card>,
    /// When it was taken or renewed, on the clock of this run of the witness.
    #[serde(skip)]
    pub renewed_ms: u64,
}

impl Slot {
    /// What a witness starts with on a new card.
    pub(crate) fn initial(card: &Card, now_ms: u64) -> Option<Self> {
        (card.incarnation > 1).then_some(Self { holder: None, renewed_ms: now_ms })
    }

    fn in_the_way_of(&self, from: &Card, seen: &Seen, now_ms: u64) -> bool {
        let lasts = now_ms.saturating_sub(self.renewed_ms) < SLOT_MS;
        let another = |h: &Card| h.name != from.name && seen.replaced_by(h).is_none();
        lasts && self.holder.as_ref().is_none_or(another)
    }
}

/// What becomes of a witness's slot, and what it answers.
pub(crate) fn on_slot(
    rules: Rules,
    slot: &Option<Slot>,
    seen: &Seen,
    from: &Card,
    action: SlotAction,
    now_ms: u64,
) -> (Option<Slot>, Verdict) {
    let holder = slot.as_ref().and_then(|s| s.holder.as_ref());
    let free = slot.as_ref().is_none_or(|s| !s.in_the_way_of(from, seen, now_ms));
    let taken = Some(Slot { holder: Some(from.clone()), renewed_ms: now_ms });
    match action {
        SlotAction::Release if holder == Some(from) => (None, Verdict::Granted),
        SlotAction::Release => (slot.clone(), Verdict::Granted),
        // A card made anew learns from a renewal whom its predecessor let join.
        SlotAction::Renew if holder.is_none() => (taken, Verdict::Granted),
        SlotAction::Acquire | SlotAction::Renew if free || !rules.joins_serialised => {
            (taken, Verdict::Granted)
        }
        SlotAction::Acquire | SlotAction::Renew => {
            let why = Refusal::SlotHeld { holder: holder.cloned() };
            (slot.clone(), Verdict::Refused { why })
        }
    }
}
