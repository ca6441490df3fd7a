//! The world the rules live in.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::rules::Rules;
use crate::{Ballot, Card, Config, Envelope, Joiner, Mode, Name, Nonce, Proposer, Reply};
use crate::{Request, State};

/// What can go wrong, and how often within one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Budget {
    /// Attempts to found that get as far as asking for promises.
    pub tries: u8,
    /// Power cuts: volatile state is lost, durable state kept.
    pub crashes: u8,
    /// Cards baked again under a higher incarnation.
    pub rebakes: u8,
    /// Cards written again from the same image.
    pub reflashes: u8,
    /// Letters that arrive twice.
    pub duplicates: u8,
}

/// What stays the same during a run.
#[derive(Debug)]
pub(super) struct Setting {
    pub rules: Rules,
    /// Whether a promise is durable before it is answered.
    pub promises_persisted: bool,
    /// Whether a server's own witness always answers before others do.
    pub own_at_once: bool,
    /// Whether joining is followed slot by slot, or in two steps.
    pub joining_in_detail: bool,
    /// The servers whose images may be written again: all, or one.
    pub reflashed_only: Option<usize>,
    /// What the servers were baked from; the second is for servers that are baked again.
    pub profiles: [Config; 2],
    pub names: Vec<Name>,
}

impl Setting {
    pub fn new(servers: usize, mode: Mode) -> Self {
        let names: Vec<Name> = (1..=servers).map(|i| format!("node{i}").as_str().into()).collect();
        let profile = Config { servers: names.clone(), mode, electorate: "one".into() };
        Self {
            rules: Rules::ALL,
            promises_persisted: true,
            own_at_once: true,
            joining_in_detail: true,
            reflashed_only: None,
            profiles: [profile.clone(), profile],
            names,
        }
    }

    /// Cards that are baked again come from a profile without the first server.
    pub fn shrinking(mut self) -> Self {
        self.profiles[1].servers.remove(0);
        self.profiles[1].electorate = "two".into();
        self
    }

    pub fn at(&self, name: &str) -> usize {
        self.names.iter().position(|n| **n == *name).expect("a declared server")
    }

    pub fn config(&self, node: &Node) -> &Config {
        &self.profiles[node.profile as usize]
    }
}

/// What a server's firstboot is doing; lost with the power.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Activity {
    Idle,
    /// Waits for answers to `sent`.
    Proposing {
        proposer: Proposer,
        sent: Vec<Envelope>,
        inbox: Vec<Reply>,
    },
    /// May start K3s with `cluster-init`, which has no data yet.
    Founding {
        ballot: Ballot,
    },
    /// Takes the slot.
    Slotting {
        joiner: Joiner,
        ask: Envelope,
    },
    /// K3s joins.
    Joining {
        joiner: Joiner,
    },
}

/// One server, with the card that is in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub card: Card,
    pub profile: u8,
    pub witness: State,
    /// The cluster whose data is on the card.
    pub data: Option<u8>,
    pub activity: Activity,
}

/// A request on its way. It may stay there for ever, or arrive long after anybody cares.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub to: u8,
    pub request: Arc<Request>,
    /// Stands for the other two in comparisons.
    pub key: u64,
}

impl Letter {
    pub fn new(to: usize, request: Request) -> Self {
        let mut hasher = DefaultHasher::new();
        (to, &request).hash(&mut hasher);
        Self { to: to as u8, request: Arc::new(request), key: hasher.finish() }
    }

    /// The card it is meant for, and the ballot it is about.
    pub fn about(&self) -> (&Card, &Ballot) {
        match &*self.request {
            Request::Prepare { to, ballot, .. } | Request::Accept { to, ballot, .. } => {
                (to, ballot)
            }
            other => unreachable!("only ballots travel as letters: {other:?}"),
        }
    }
}

impl PartialEq for Letter {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Letter {}

impl Hash for Letter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

/// A founded etcd cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Etcd {
    pub ballot: Ballot,
    pub voters: Vec<Card>,
    pub learner: Option<Card>,
}

/// What must never be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Wrong {
    /// A cluster was founded while a card held data of another.
    TwoClusters,
    /// Two servers were let join at once.
    TwoJoiners,
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub nodes: Vec<Arc<Node>>,
    /// In the order of their keys.
    pub letters: Vec<Letter>,
    pub etcds: Vec<Arc<Etcd>>,
    pub left: Budget,
    /// Cards that were written again after they had accepted a ballot.
    pub lost_votes: Vec<Card>,
    /// A majority counted a second flash as a first card after the first flash had accepted, and
    /// nobody in it had heard of the first: the documented residual risk.
    pub residual: bool,
    pub wrong: Option<Wrong>,
}

impl World {
    /// Every card fresh from the writer, everything up.
    pub fn new(setting: &Setting, left: Budget) -> Self {
        let fresh = |name: &Name| {
            let mut node = Node::fresh(Card::new(name, 1, Nonce(1)), 0);
            if left.reflashes == 0 {
                node.knows_first_cards(setting);
            }
            Arc::new(node)
        };
        Self {
            nodes: setting.names.iter().map(fresh).collect(),
            letters: Vec::new(),
            etcds: Vec::new(),
            left,
            lost_votes: Vec::new(),
            residual: false,
            wrong: None,
        }
    }

    pub fn node(&mut self, at: usize) -> &mut Node {
        Arc::make_mut(&mut self.nodes[at])
    }

    pub fn etcd(&mut self, at: usize) -> &mut Etcd {
        Arc::make_mut(&mut self.etcds[at])
    }

    /// Whether the card is in its server.
    pub fn is_current(&self, card: &Card) -> bool {
        self.nodes.iter().any(|node| node.card == *card)
    }

    /// Clusters of which some card holds data.
    pub fn living(&self) -> Vec<usize> {
        let lives = |at: &usize| self.nodes.iter().any(|node| node.data == Some(*at as u8));
        (0..self.etcds.len()).filter(lives).collect()
    }

    /// Whether more than half of the voting members still have their cards.
    pub fn has_quorum(&self, etcd: usize) -> bool {
        let voters = &self.etcds[etcd].voters;
        let there = voters.iter().filter(|card| self.is_current(card)).count();
        there > voters.len() / 2
    }

    /// Whether another than `except` relies on a slot at this moment, and so keeps it renewed.
    /// Without a holder: whether anybody relies on any.
    pub fn relied_on(&self, holder: Option<&Card>, except: &Card) -> bool {
        self.nodes.iter().filter(|node| node.card != *except).any(|node| {
            let slotting = matches!(node.activity, Activity::Slotting { .. });
            (slotting || node.joins()) && holder.is_none_or(|holder| node.card == *holder)
        })
    }
}

impl Node {
    pub fn fresh(card: Card, profile: u8) -> Self {
        let witness = State::new(card.clone(), 0);
        Self { card, profile, witness, data: None, activity: Activity::Idle }
    }

    /// Where no image is written twice, having heard of a first card changes nothing: states that
    /// differ in it are one.
    pub fn knows_first_cards(&mut self, setting: &Setting) {
        for name in &setting.names {
            self.witness.seen.note(&Card::new(name, 1, Nonce(1)));
        }
    }

    pub fn joins(&self) -> bool {
        matches!(self.activity, Activity::Joining { .. })
    }
}

impl World {
    /// Whether every server is a voting member of the only cluster.
    pub fn is_whole(&self) -> bool {
        let [etcd] = self.living()[..] else { return false };
        let voters = &self.etcds[etcd].voters;
        voters.len() == self.nodes.len() && self.nodes.iter().all(|n| voters.contains(&n.card))
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let card = |card: &Card| format!("{} {}.{}", card.name, card.incarnation, card.nonce.0);
        let ballot = |ballot: &Option<Ballot>| match ballot {
            Some(ballot) => format!("{} of {}", ballot.round, card(&ballot.founder)),
            None => "-".to_owned(),
        };
        for node in &self.nodes {
            let State { promised, accepted, formed, .. } = &node.witness;
            let doing = match &node.activity {
                Activity::Idle => "idle",
                Activity::Proposing { .. } => "proposing",
                Activity::Founding { .. } => "founding",
                Activity::Slotting { .. } => "slotting",
                Activity::Joining { .. } => "joining",
            };
            writeln!(
                f,
                "{}: {doing}, promised {}, accepted {}, formed {}, data {:?}",
                card(&node.card),
                ballot(promised),
                ballot(accepted),
                ballot(formed),
                node.data
            )?;
        }
        for (at, etcd) in self.etcds.iter().enumerate() {
            let voters: Vec<String> = etcd.voters.iter().map(card).collect();
            let learner = etcd.learner.as_ref().map(card).unwrap_or_default();
            writeln!(f, "cluster {at}: {}; learner {learner}", voters.join(", "))?;
        }
        write!(f, "{:?}, {} letters", self.left, self.letters.len())
    }
}
