use std::fmt;

use crate::Name;

/// What keeps a server from founding or joining, in words that the status page shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Lack {
    /// Its own witness does not answer.
    #[default]
    OwnWitness,
    /// Too few servers answer with votes that count.
    Answers {
        /// Declared servers that do not answer.
        silent: Vec<Name>,
        /// Servers that answer, but whose cards were made anew.
        remade: Vec<Name>,
        /// How many servers are declared.
        declared: usize,
        /// How many first cards suffice.
        needed: usize,
    },
    /// Servers answer from cards that were replaced.
    OldCards {
        /// Which.
        servers: Vec<Name>,
    },
    /// Servers were baked from other profiles.
    OtherProfile {
        /// Which.
        servers: Vec<Name>,
    },
    /// Another server is to found.
    Chosen {
        /// Which.
        founder: Name,
        /// Whether the card that was chosen answers.
        answers: bool,
    },
    /// The cluster was founded, but its API is not reached.
    Formed {
        /// By whom.
        founder: Name,
    },
    /// Servers have the cluster's data, but its API is not reached.
    HasData {
        /// Which.
        servers: Vec<Name>,
    },
    /// The profile has another server found the cluster.
    NotDesignated {
        /// Which.
        server: Name,
    },
    /// Another server's attempt to found came in between.
    Outbid,
    /// Another server is joining.
    SlotHeld {
        /// Which, where known.
        holder: Option<Name>,
    },
    /// Too few witnesses answer to make sure that nobody else is joining.
    SlotWitnesses {
        /// How many granted the slot.
        granted: usize,
        /// How many must.
        needed: usize,
    },
}

impl Lack {
    /// How long to wait before trying again, in milliseconds. Servers later in the declared order
    /// wait longer, so that two which got in each other's way do not do so again.
    #[must_use]
    pub fn retry_ms(&self, position: usize) -> u64 {
        let base = match self {
            Self::Outbid => 200,
            _ => 1_000,
        };
        base + 300 * position.min(16) as u64
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnWitness => write!(f, "this server's own witness does not answer yet"),
            Self::Answers { silent, remade, declared, needed } => {
                write_answers(f, silent, remade, *declared, *needed)
            }
            Self::OldCards { servers } => write!(
                f,
                "{} from {} that {} replaced; put in the newest",
                with_verb(servers, "answers", "answer"),
                if servers.len() == 1 { "a card" } else { "cards" },
                if servers.len() == 1 { "was" } else { "were" },
            ),
            Self::OtherProfile { servers } => write!(
                f,
                "{} baked from a profile with other servers, addresses or bootstrap mode; \
                 bake all servers from one profile",
                with_verb(servers, "was", "were")
            ),
            Self::Chosen { founder, answers: true } => {
                write!(f, "{founder} is to found the cluster and is about to")
            }
            Self::Chosen { founder, answers: false } => write!(
                f,
                "{founder} may have founded the cluster and does not answer; power it on, or \
                 replace its card (bake --replace {founder}) and power on every server"
            ),
            Self::Formed { founder } => write!(
                f,
                "{founder} founded the cluster, whose API does not answer yet; \
                 power on the servers that belong to it"
            ),
            Self::HasData { servers } => write!(
                f,
                "{} the cluster's data, but its API does not answer yet",
                with_verb(servers, "has", "have")
            ),
            Self::NotDesignated { server } => {
                write!(f, "the profile has {server} found the cluster, and it has not yet")
            }
            Self::Outbid => write!(f, "another server tries to found at this moment"),
            Self::SlotHeld { holder: Some(holder) } => {
                write!(f, "{holder} is joining the cluster; one server joins at a time")
            }
            Self::SlotHeld { holder: None } => {
                write!(f, "a witness whose card is new waits to learn whether anybody is joining")
            }
            Self::SlotWitnesses { granted, needed } => write!(
                f,
                "{granted} of the {needed} witnesses that are needed let this server join; \
                 power on more servers"
            ),
        }
    }
}

fn write_answers(
    f: &mut fmt::Formatter<'_>,
    silent: &[Name],
    remade: &[Name],
    declared: usize,
    needed: usize,
) -> fmt::Result {
    let here = declared.saturating_sub(silent.len());
    let is = |n: usize| if n == 1 { "is" } else { "are" };
    if !silent.is_empty() {
        write!(f, "{} yet; ", with_verb(silent, "does not answer", "do not answer"))?;
    }
    write!(f, "{here} of {declared} servers {} here, ", is(here))?;
    if remade.is_empty() || needed == declared {
        return write!(f, "{needed} {} needed", is(needed));
    }
    let its = if remade.len() == 1 { "its earlier card" } else { "their earlier cards" };
    write!(
        f,
        "but {} for what {its} promised; needed are {needed} servers with their first cards, \
         or all {declared}",
        with_verb(remade, "cannot vouch", "cannot vouch"),
    )
}

/// "node1 was", "node1 and node2 were", "node1, node2 and node3 were".
fn with_verb(names: &[Name], one: &str, many: &str) -> String {
    match names {
        [] => format!("nobody {one}"),
        [name] => format!("{name} {one}"),
        [first @ .., last] => format!("{} and {last} {many}", first.join(", ")),
    }
}
