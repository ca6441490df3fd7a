use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Card, Config, Name, Nonce};

/// The newest card of one server that somebody heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sighting {
    /// Its incarnation.
    pub incarnation: u32,
    /// A flash of that incarnation (the smallest nonce, where there are several).
    pub nonce: Nonce,
    /// Whether there is more than one flash of that incarnation. Nobody can say which was first.
    pub reflashed: bool,
}

/// What a server has heard of cards, its own included. Merging is commutative, associative and
/// idempotent, so it does not matter who heard what from whom in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seen(BTreeMap<Name, Sighting>);

impl Seen {
    /// Takes note of a card.
    pub fn note(&mut self, card: &Card) {
        let sighting =
            Sighting { incarnation: card.incarnation, nonce: card.nonce, reflashed: false };
        self.merge_one(&card.name, sighting);
    }

    /// Takes over what another has heard of.
    pub fn merge(&mut self, other: &Self) {
        for (name, sighting) in &other.0 {
            self.merge_one(name, *sighting);
        }
    }

    /// Forgets servers that the cluster does not declare, so that nobody can make it grow.
    pub fn keep_declared(&mut self, config: &Config) {
        self.0.retain(|name, _| config.declares(name));
    }

    fn merge_one(&mut self, name: &Name, new: Sighting) {
        match self.0.get_mut(name) {
            Some(old) if old.incarnation > new.incarnation => {}
            Some(old) if old.incarnation == new.incarnation => {
                old.reflashed |= new.reflashed || old.nonce != new.nonce;
                old.nonce = old.nonce.min(new.nonce);
            }
            _ => {
                self.0.insert(name.clone(), new);
            }
        }
    }

    /// The newest card of a server that was heard of.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<Sighting> {
        self.0.get(name).copied()
    }

    /// The incarnation that replaced this card, if one was heard of.
    #[must_use]
    pub fn replaced_by(&self, card: &Card) -> Option<u32> {
        self.of(&card.name).map(|s| s.incarnation).filter(|newest| *newest > card.incarnation)
    }

    /// Whether this is the first card its server ever had, as far as anybody asked knows: only such
    /// a card cannot have forgotten a promise.
    #[must_use]
    pub fn is_first(&self, card: &Card) -> bool {
        let unique = |s: Sighting| {
            s.incarnation == card.incarnation && !s.reflashed && s.nonce == card.nonce
        };
        card.incarnation == 1 && self.of(&card.name).is_none_or(unique)
    }
}
