use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Name of a server.
pub type Name = Arc<str>;

/// What tells two flashes of one image apart: drawn at random by the witness when it first starts
/// on a card, durable from then on. Sixteen hexadecimal digits in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce(pub u64);

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Nonce {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let value = u64::from_str_radix(text, 16).ok().filter(|_| digits);
        value.map(Self).ok_or_else(|| "a nonce is 16 hexadecimal digits".to_owned())
    }
}

impl Serialize for Nonce {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Nonce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One flash of one server's card: the server, how often it was made anew, and which flash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The server.
    pub name: Name,
    /// How often the server was made anew, from 1.
    pub incarnation: u32,
    /// Which flash of the image it is.
    pub nonce: Nonce,
}

impl Card {
    /// A card of the server `name`.
    #[must_use]
    pub fn new(name: &str, incarnation: u32, nonce: Nonce) -> Self {
        Self { name: name.into(), incarnation, nonce }
    }
}

/// A numbered attempt to found the cluster. Who attempts it is who would found it, so a ballot
/// also names the founder. Ordered by round, then by card.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ballot {
    /// From 1.
    pub round: u64,
    /// Who attempts it, and founds if it succeeds.
    pub founder: Card,
}
