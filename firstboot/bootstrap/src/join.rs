use crate::{Card, Config, Envelope, Lack, Name, Refusal, Reply, Request, SlotAction, Verdict};

/// What a server that wants to join does next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum JoinStep {
    /// Send this, wait for its answer for a moment, and step with it or with `None`.
    Ask(Envelope),
    /// Join now. Send [`Joiner::renewals`] every [`crate::SLOT_MS`] / 4 while K3s joins, and
    /// [`Joiner::releases`] when the server is a voting member.
    Go,
    /// Send these without waiting for answers, and begin again after a while.
    Wait {
        /// Why.
        why: Lack,
        /// After how many milliseconds.
        retry_ms: u64,
        /// What to give back first.
        release: Vec<Envelope>,
    },
    /// This card was replaced by one of a newer incarnation: do nothing until the next boot.
    Superseded {
        /// That incarnation.
        by: u32,
    },
}

/// One attempt to take the slot at a majority of the witnesses, in declared order: two joiners that
/// reach the same witnesses meet at the first of them. One that names another holder is passed over
/// as long as a majority is left: its holder may have gone without being able to tell it. Volatile;
/// what a lost attempt holds runs out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Joiner {
    me: Card,
    asked: usize,
    held: Vec<Name>,
    /// Who holds the slot of a witness that was passed over.
    holder: Option<Name>,
    /// Whether a witness on a new card could not say whether anybody is joining.
    unsure: bool,
}

impl Joiner {
    /// Begins an attempt.
    #[must_use]
    pub fn begin(config: &Config, me: &Card) -> (Self, JoinStep) {
        let joiner =
            Self { me: me.clone(), asked: 0, held: Vec::new(), holder: None, unsure: false };
        let step = joiner.next(config);
        (joiner, step)
    }

    /// Goes on with the answer to what was asked last, `None` if none came.
    #[must_use]
    pub fn step(mut self, config: &Config, reply: Option<&Reply>) -> (Self, JoinStep) {
        let asked = config.servers.get(self.asked).cloned();
        self.asked += 1;
        match (asked, reply) {
            (Some(name), Some(reply)) if reply.view.card.name == name => match &reply.verdict {
                Verdict::Refused { why: Refusal::Replaced { by } } => {
                    return (self, JoinStep::Superseded { by: *by });
                }
                Verdict::Refused { why: Refusal::SlotHeld { holder: Some(holder) } } => {
                    self.holder.get_or_insert_with(|| holder.name.clone());
                }
                Verdict::Refused { why: Refusal::SlotHeld { holder: None } } => self.unsure = true,
                Verdict::Granted => self.held.push(name),
                _ => {}
            },
            _ => {}
        }
        let step = self.next(config);
        (self, step)
    }

    /// What keeps the slot.
    #[must_use]
    pub fn renewals(&self) -> Vec<Envelope> {
        self.held.iter().map(|to| self.envelope(to, SlotAction::Renew)).collect()
    }

    /// What gives the slot back.
    #[must_use]
    pub fn releases(&self) -> Vec<Envelope> {
        self.held.iter().map(|to| self.envelope(to, SlotAction::Release)).collect()
    }

    fn next(&self, config: &Config) -> JoinStep {
        if self.held.len() >= config.majority() {
            return JoinStep::Go;
        }
        let left = config.servers.get(self.asked..).unwrap_or_default();
        let holder =
            self.holder.clone().filter(|_| self.held.len() + left.len() < config.majority());
        if holder.is_some() {
            return self.give_up(config, Lack::SlotHeld { holder });
        }
        match left.first() {
            Some(to) => JoinStep::Ask(self.envelope(to, SlotAction::Acquire)),
            None if self.unsure => self.give_up(config, Lack::SlotHeld { holder: None }),
            None => {
                let (granted, needed) = (self.held.len(), config.majority());
                self.give_up(config, Lack::SlotWitnesses { granted, needed })
            }
        }
    }

    fn give_up(&self, config: &Config, why: Lack) -> JoinStep {
        let retry_ms = why.retry_ms(config.position(&self.me.name).unwrap_or_default());
        JoinStep::Wait { why, retry_ms, release: self.releases() }
    }

    fn envelope(&self, to: &Name, action: SlotAction) -> Envelope {
        Envelope { to: to.clone(), request: Request::Slot { from: self.me.clone(), action } }
    }
}
