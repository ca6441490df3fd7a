//! The vote of this node, kept in a file.

use std::cell::RefCell;
use std::io;
use std::path::Path;

use bootstrap::{Card, Config, Nonce, Observed, Reply, Request, SlotAction, State, Verdict, View};
use nodeconf::{NodeConfig, Role, Topology, paths};

use super::sealed::{seal, unseal};
use crate::etcd;
use crate::finding::Condition;
use crate::sys::{Priority, Sys, write_durable};

/// The only one who writes the file.
pub(super) struct Voter {
    config: Config,
    node: String,
    incarnation: u32,
    /// As it is in the file; `None` until it could be read.
    kept: RefCell<Option<State>>,
}

impl Voter {
    /// The vote of a node, if it has one.
    pub(super) fn of(config: &NodeConfig) -> Option<Self> {
        let votes =
            config.node.role == Role::Server && config.cluster.topology == Topology::EmbeddedEtcd;
        votes.then(|| Self {
            config: Config::of(config),
            node: config.node.name.clone(),
            incarnation: config.node.incarnation,
            kept: RefCell::new(None),
        })
    }

    /// Answers a request, having made durable what the answer promises, and told the journal.
    ///
    /// # Errors
    /// Why nothing can be promised now; nothing was.
    pub(super) fn answer(&self, sys: &dyn Sys, request: &Request) -> Result<Reply, Condition> {
        let old = self.state(sys)?;
        let (new, reply) = old.on_request(&self.config, request, &observe(sys)?);
        if !new.same_file(&old) {
            write(sys, &new)?;
            if let Some(deed) = deed(request, &reply) {
                sys.say(Priority::Notice, &format!("witness: {deed}"));
            }
        }
        self.kept.replace(Some(new));
        Ok(reply)
    }

    /// What others may know.
    ///
    /// # Errors
    /// Why nothing is known.
    pub(super) fn view(&self, sys: &dyn Sys) -> Result<View, Condition> {
        Ok(self.state(sys)?.view(&self.config, &observe(sys)?))
    }

    /// Whether a state is the one of this card; not so where the card was baked anew as a later
    /// incarnation of its node, which voids what the earlier one promised.
    fn is_ours(&self, card: &Card) -> Result<bool, Condition> {
        if *card.name == *self.node && card.incarnation <= self.incarnation {
            return Ok(card.incarnation == self.incarnation);
        }
        Err(Condition::new(
            format!(
                "{} is of {}, incarnation {}, and this card is {}, incarnation {}",
                paths::WITNESS_STATE,
                card.name,
                card.incarnation,
                self.node,
                self.incarnation
            ),
            "a card becomes another node by baking and flashing it again",
        ))
    }

    /// The state: as kept in memory, else from the file, else a new card's, which is written first.
    fn state(&self, sys: &dyn Sys) -> Result<State, Condition> {
        if let Some(state) = &*self.kept.borrow() {
            return Ok(state.clone());
        }
        let state = match load(sys)? {
            Some(state) if self.is_ours(state.card())? => state,
            // The first start on this card: its nonce must be durable before anybody hears it.
            _ => {
                let card = Card::new(&self.node, self.incarnation, nonce()?);
                let state = State::new(card, now_ms(sys));
                write(sys, &state)?;
                state
            }
        };
        self.kept.replace(Some(state.clone()));
        Ok(state)
    }
}

/// What was done with a request that changed what is kept, for people.
fn deed(request: &Request, reply: &Reply) -> Option<String> {
    let from = &request.from().name;
    Some(match (request, &reply.verdict) {
        (Request::Prepare { ballot, .. }, Verdict::Promised) => {
            format!("promised to hear out {from}, round {}", ballot.round)
        }
        (Request::Accept { ballot, .. }, Verdict::Accepted) => {
            format!("agreed that {from} founds the cluster, round {}", ballot.round)
        }
        (Request::Formed { ballot, .. }, Verdict::Noted) => {
            format!("heard that {} founded the cluster", ballot.founder.name)
        }
        (Request::Slot { action: SlotAction::Release, .. }, Verdict::Granted) => {
            format!("{from} no longer joins")
        }
        (Request::Slot { .. }, Verdict::Granted) => format!("lets {from} join, and nobody else"),
        _ => return None,
    })
}

/// What the witness of this node keeps, read by somebody else; `None` where it keeps nothing.
///
/// # Errors
/// The file cannot be read or is damaged.
pub fn told(sys: &dyn Sys, config: &NodeConfig) -> Result<Option<View>, Condition> {
    let Some(voter) = Voter::of(config) else { return Ok(None) };
    let Some(state) = load(sys)? else { return Ok(None) };
    Ok(Some(state.view(&voter.config, &observe(sys)?)))
}

fn load(sys: &dyn Sys) -> Result<Option<State>, Condition> {
    let path = paths::WITNESS_STATE;
    let bytes = match sys.read(Path::new(path)) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Condition::io(format!("reading {path}"), &e)),
    };
    unsealed(&bytes, now_ms(sys)).map(Some).map_err(|why| {
        Condition::new(
            format!("{path} is damaged, so this node does not vote: {why}"),
            "check the card; remove the file to have the card taken for one that was flashed again",
        )
    })
}

fn unsealed(bytes: &[u8], now_ms: u64) -> Result<State, String> {
    State::from_json(unseal(bytes)?.as_bytes(), now_ms).map_err(|e| e.to_string())
}

fn write(sys: &dyn Sys, state: &State) -> Result<(), Condition> {
    let path = paths::WITNESS_STATE;
    let failed = |e: io::Error| Condition::io(format!("writing {path}"), &e);
    let bytes = seal(&state.to_json()).map_err(|e| failed(e.into()))?;
    sys.make_dirs(Path::new(paths::STATE_DIR), 0o755).map_err(failed)?;
    write_durable(sys, Path::new(path), &bytes, 0o600).map_err(failed)
}

/// From the kernel, which answers only once it has enough randomness (getrandom(2)).
fn nonce() -> Result<Nonce, Condition> {
    let mut bytes = [0; 8];
    let mut filled = 0;
    while filled < bytes.len() {
        let flags = rustix::rand::GetRandomFlags::empty();
        match rustix::rand::getrandom(&mut bytes[filled..], flags) {
            Ok(more) => filled += more,
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(Condition::io("asking the kernel for randomness", &e.into())),
        }
    }
    Ok(Nonce(u64::from_ne_bytes(bytes)))
}

fn observe(sys: &dyn Sys) -> Result<Observed, Condition> {
    let has_data = etcd::has_data(sys)
        .map_err(|e| Condition::io("looking whether etcd has data on this card", &e))?;
    Ok(Observed { now_ms: now_ms(sys), has_data })
}

fn now_ms(sys: &dyn Sys) -> u64 {
    u64::try_from(sys.uptime().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_damage_goes_unnoticed() {
        let state = State::new(Card::new("node1", 1, Nonce(0x1234_5678_9abc_def0)), 7);
        let sealed = seal(&state.to_json()).unwrap();
        assert_eq!(unsealed(&sealed, 7).unwrap(), state);
        for byte in 0..sealed.len() - 1 {
            for bit in 0..8 {
                let mut damaged = sealed.clone();
                damaged[byte] ^= 1 << bit;
                let read = unsealed(&damaged, 7);
                assert!(read.is_err(), "bit {bit} of byte {byte}: {read:?}");
            }
            assert!(unsealed(&sealed[..byte], 7).is_err());
        }
    }

    #[test]
    fn nonces_differ() {
        assert_ne!(nonce().unwrap(), nonce().unwrap());
    }
}
