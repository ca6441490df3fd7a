use serde::{Deserialize, Serialize};

use crate::rules::Rules;
use crate::slot::{Slot, on_slot};
use crate::{Ballot, Card, Config, Observed, Refusal, Reply, Request, Seen, Verdict, View};

/// Version of the file that this build writes.
const VERSION: u32 = 1;

/// What a witness keeps durably: it must be on the card before any answer that follows from it is
/// sent. Written as JSON to `nodeconf::paths::WITNESS_STATE`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    version: u32,
    pub(crate) card: Card,
    pub(crate) promised: Option<Ballot>,
    pub(crate) accepted: Option<Ballot>,
    pub(crate) formed: Option<Ballot>,
    pub(crate) seen: Seen,
    pub(crate) slot: Option<Slot>,
}

/// Why a witness's file is not understood.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Not JSON of the right shape.
    #[error("the witness's state is damaged: {0}")]
    Syntax(#[from] serde_json::Error),
    /// Another release wrote it.
    #[error("the witness's state has version {0}, this build reads version {VERSION}")]
    Version(u32),
}

impl State {
    /// What a witness knows when it starts on a card for the first time.
    #[must_use]
    pub fn new(card: Card, now_ms: u64) -> Self {
        let mut seen = Seen::default();
        seen.note(&card);
        let slot = Slot::initial(&card, now_ms);
        Self { version: VERSION, card, promised: None, accepted: None, formed: None, seen, slot }
    }

    /// Reads what an earlier run of the witness wrote. Times start anew at `now_ms`.
    ///
    /// # Errors
    /// [`StateError`]; the state is then lost, and only a new card may take its place.
    pub fn from_json(json: &[u8], now_ms: u64) -> Result<Self, StateError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let found = serde_json::from_slice::<Versioned>(json)?.version;
        if found != VERSION {
            return Err(StateError::Version(found));
        }
        let mut state: Self = serde_json::from_slice(json)?;
        if let Some(slot) = &mut state.slot {
            slot.renewed_ms = now_ms;
        }
        Ok(state)
    }

    /// The file's text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("string keys always serialise");
        text.push('\n');
        text
    }

    /// Whether both would be written as the same file.
    #[must_use]
    pub fn same_file(&self, other: &Self) -> bool {
        let slots = match (&self.slot, &other.slot) {
            (Some(a), Some(b)) => a.holder == b.holder,
            (a, b) => a.is_none() == b.is_none(),
        };
        slots
            && (&self.card, &self.promised, &self.accepted, &self.formed, &self.seen)
                == (&other.card, &other.promised, &other.accepted, &other.formed, &other.seen)
    }

    /// The card it belongs to.
    #[must_use]
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// What others may know of it.
    #[must_use]
    pub fn view(&self, config: &Config, observed: &Observed) -> View {
        View {
            card: self.card.clone(),
            electorate: config.electorate.clone(),
            has_data: observed.has_data,
            promised: self.promised.clone(),
            accepted: self.accepted.clone(),
            formed: self.formed.clone(),
            seen: self.seen.clone(),
            slot: self.slot.as_ref().and_then(|s| s.holder.clone()),
        }
    }

    /// All a witness ever does: what it knows afterwards, which must be durable before the reply is
    /// sent, and the reply.
    #[must_use]
    pub fn on_request(
        &self,
        config: &Config,
        request: &Request,
        observed: &Observed,
    ) -> (Self, Reply) {
        self.on_request_by(Rules::ALL, config, request, observed)
    }

    pub(crate) fn on_request_by(
        &self,
        rules: Rules,
        config: &Config,
        request: &Request,
        observed: &Observed,
    ) -> (Self, Reply) {
        let mut next = self.clone();
        next.seen.note(request.from());
        if let Request::Ask { seen, .. }
        | Request::Prepare { seen, .. }
        | Request::Accept { seen, .. }
        | Request::Formed { seen, .. } = request
        {
            next.seen.merge(seen);
        }
        next.seen.keep_declared(config);
        next.seen.note(&self.card);
        let verdict = match next.refusal(rules, config, request, observed) {
            Some(why) => Verdict::Refused { why },
            None => next.act(rules, request, observed),
        };
        let view = next.view(config, observed);
        (next, Reply { view, verdict })
    }

    /// Why a request is refused, whatever else it asks for.
    fn refusal(
        &self,
        rules: Rules,
        config: &Config,
        request: &Request,
        observed: &Observed,
    ) -> Option<Refusal> {
        if let Some(by) = self.seen.replaced_by(request.from()) {
            return Some(Refusal::Replaced { by });
        }
        let (electorate, to, ballot) = match request {
            Request::Ask { .. } | Request::Slot { .. } => return None,
            Request::Formed { electorate, ballot, .. } => (electorate, None, ballot),
            Request::Prepare { electorate, to, ballot, .. }
            | Request::Accept { electorate, to, ballot, .. } => (electorate, Some(to), ballot),
        };
        if rules.electorate_compared && *electorate != config.electorate {
            return Some(Refusal::OtherElectorate);
        }
        if !config.declares(&ballot.founder.name) || ballot.round == 0 {
            return Some(Refusal::Invalid);
        }
        let to = to?;
        if rules.cards_compared && *to != self.card {
            return Some(Refusal::OtherCard);
        }
        if rules.data_asked && observed.has_data {
            return Some(Refusal::HasData);
        }
        let promised = self.promised.as_ref().filter(|promised| *promised > ballot)?;
        Some(Refusal::Promised { ballot: promised.clone() })
    }

    fn act(&mut self, rules: Rules, request: &Request, observed: &Observed) -> Verdict {
        match request {
            Request::Ask { .. } => Verdict::Noted,
            Request::Prepare { ballot, .. } => {
                self.promised = Some(ballot.clone());
                Verdict::Promised
            }
            Request::Accept { ballot, .. } => {
                self.promised = Some(ballot.clone());
                self.accepted = Some(ballot.clone());
                // Who gets as far found no cluster that anybody could be joining.
                self.slot.take_if(|slot| slot.holder.is_none());
                Verdict::Accepted
            }
            Request::Formed { ballot, .. } => {
                self.formed = self.formed.take().max(Some(ballot.clone()));
                Verdict::Noted
            }
            Request::Slot { from, action } => {
                let now = observed.now_ms;
                let (slot, verdict) = on_slot(rules, &self.slot, &self.seen, from, *action, now);
                self.slot = slot;
                verdict
            }
        }
    }
}
