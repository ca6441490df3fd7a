//! What keeps a node from its cluster, in words a person understands.

use bootstrap::{Ballot, Lack, Name};

use crate::finding::Condition;
use crate::sys::HttpsError;
use crate::witness::Silence;

pub(super) const NO_PLACE: &str = "the node configuration does not say where the API is";

/// Why `place` does not answer, or not as it must.
pub(in crate::steps) fn unanswered(place: &str, error: &HttpsError) -> Condition {
    match error {
        HttpsError::Unreachable(why) => {
            Condition::new(format!("{place} does not answer: {why}"), "waiting for it")
        }
        HttpsError::Untimely(why) => Condition::new(
            format!("the certificate of {place} is not valid by this clock: {why}"),
            "check the clocks; it goes on by itself once they are right",
        ),
        HttpsError::Untrusted(why) => Condition::new(
            format!("{place} is not of this cluster: {why}"),
            "check whether something else has the address, or whether its card was baked with \
             other secrets",
        ),
        HttpsError::Rejected(why) => Condition::new(
            format!("{place} does not accept the certificate on this card: {why}"),
            "check whether the two cards were baked with the same secrets, and their clocks",
        ),
        HttpsError::Credentials(why) => Condition::new(
            format!("a certificate on this card cannot be used: {why}"),
            "bake and flash the card again",
        ),
    }
}

/// What the rules lack, and why those are silent whose answers they need.
pub(super) fn lacking(why: &Lack, silent: &[(Name, Silence)]) -> Condition {
    let strange: Vec<String> = silent
        .iter()
        .filter(|(_, silence)| !matches!(silence, Silence::Https(HttpsError::Unreachable(_))))
        .map(|(name, silence)| format!("{name}: {}", silenced(silence)))
        .collect();
    let remedy = match (why, strange.is_empty()) {
        (_, false) => strange.join("; "),
        (Lack::OwnWitness, _) => "see journalctl -u bake-witness".into(),
        (..) => "waiting for it".into(),
    };
    Condition::new(why.to_string(), remedy)
}

/// Why a witness is silent.
pub(super) fn silenced(silence: &Silence) -> String {
    match silence {
        Silence::Https(error) => {
            let Condition { what, remedy } = unanswered("its witness", error);
            format!("{what}; {remedy}")
        }
        Silence::Unable { .. } | Silence::Garbled(_) | Silence::Undeclared => silence.to_string(),
    }
}

/// A newer card has this node's place.
pub(super) fn superseded(name: &str, by: u32) -> Condition {
    Condition::new(
        format!("this card was replaced: {name} runs from its incarnation {by}"),
        "take this card out; to use the board again, bake a card for it",
    )
}

/// The data on this card is of a cluster that was given up.
pub(super) fn other_cluster(later: &Ballot) -> Condition {
    Condition::new(
        format!(
            "the cluster on this card was given up: {} founded another in its place",
            later.founder.name
        ),
        "save what you need of its data, then bake and flash the card again",
    )
}
