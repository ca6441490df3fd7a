use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Ballot, Card, Name, Seen};

/// What a server asks of a witness. All of it may arrive late, twice, or never.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// What do you know? Take note of what I have seen.
    Ask {
        /// Who asks.
        from: Card,
        /// What it has seen.
        seen: Seen,
    },
    /// Promise not to take part in an earlier ballot.
    Prepare {
        /// Electorate of the proposer.
        electorate: Arc<str>,
        /// The card that is asked; another must refuse.
        to: Card,
        /// The ballot; its founder is who asks.
        ballot: Ballot,
        /// What the proposer has seen.
        seen: Seen,
    },
    /// Accept that this ballot's founder founds.
    Accept {
        /// Electorate of the proposer.
        electorate: Arc<str>,
        /// The card that promised; another must refuse.
        to: Card,
        /// The ballot; its founder is who asks.
        ballot: Ballot,
        /// What the proposer has seen.
        seen: Seen,
    },
    /// The cluster stands.
    Formed {
        /// Electorate of who says so.
        electorate: Arc<str>,
        /// Who says so: the founder, or a server that joined and tells its own witness.
        from: Card,
        /// The ballot by which it was founded.
        ballot: Ballot,
        /// What the teller has seen.
        seen: Seen,
    },
    /// The slot that lets one server join at a time.
    Slot {
        /// Who wants to join.
        from: Card,
        /// What it wants.
        action: SlotAction,
    },
}

impl Request {
    /// The card that asks.
    #[must_use]
    pub fn from(&self) -> &Card {
        match self {
            Self::Ask { from, .. } | Self::Formed { from, .. } | Self::Slot { from, .. } => from,
            Self::Prepare { ballot, .. } | Self::Accept { ballot, .. } => &ballot.founder,
        }
    }

    /// Path under which a witness takes it (`POST`, JSON of the request; the answer is a [`Reply`]).
    #[must_use]
    pub fn path(&self) -> &'static str {
        match self {
            Self::Ask { .. } => "/v1/ask",
            Self::Prepare { .. } => "/v1/prepare",
            Self::Accept { .. } => "/v1/accept",
            Self::Formed { .. } => "/v1/formed",
            Self::Slot { .. } => "/v1/slot",
        }
    }
}

/// What a joiner does with the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlotAction {
    /// Take it if it is free.
    Acquire,
    /// Keep it.
    Renew,
    /// Give it back.
    Release,
}

/// A request and whose witness it is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Envelope {
    /// The server whose witness is asked.
    pub to: Name,
    /// What it is asked.
    pub request: Request,
}

/// What the witness sees of its own node and clock at the moment it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Observed {
    /// Any clock that only goes forward while the witness runs, in milliseconds.
    pub now_ms: u64,
    /// Whether embedded etcd has data on this card (its WAL directory is there).
    pub has_data: bool,
}

/// What a witness knows, told with every answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct View {
    /// The card that answers.
    pub card: Card,
    /// Its electorate.
    pub electorate: Arc<str>,
    /// Whether it has the cluster's data.
    pub has_data: bool,
    /// The highest ballot it promised.
    pub promised: Option<Ballot>,
    /// The highest ballot it accepted.
    pub accepted: Option<Ballot>,
    /// The ballot by which, as it was told, the cluster was founded.
    pub formed: Option<Ballot>,
    /// What it has seen, what it was just told included.
    pub seen: Seen,
    /// Who holds its slot.
    pub slot: Option<Card>,
}

/// What a witness did with a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// It took note.
    Noted,
    /// It will take part in no earlier ballot.
    Promised,
    /// It agrees that the ballot's founder founds.
    Accepted,
    /// The slot is the asker's, or was given back.
    Granted,
    /// It did nothing.
    Refused {
        /// Why.
        why: Refusal,
    },
}

/// Why a witness refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Refusal {
    /// The two were baked from different profiles.
    OtherElectorate,
    /// The request was meant for an earlier card of this server.
    OtherCard,
    /// The asker's card was replaced by a newer one.
    Replaced {
        /// Its incarnation.
        by: u32,
    },
    /// It promised itself to a later ballot.
    Promised {
        /// That one.
        ballot: Ballot,
    },
    /// It has the cluster's data: there is nothing to found.
    HasData,
    /// Another holds the slot; nobody known does for a while after a card was made anew.
    SlotHeld {
        /// Who.
        holder: Option<Card>,
    },
    /// The request makes no sense.
    Invalid,
}

/// A witness's answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reply {
    /// What it knows now.
    pub view: View,
    /// What it did.
    pub verdict: Verdict,
}
