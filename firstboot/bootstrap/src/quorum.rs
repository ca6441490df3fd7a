use crate::rules::Rules;
use crate::{Ballot, Card, Config, Lack, Mode, Name, Reply, Seen, View};

/// On what ground a server founds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Basis {
    /// A majority of the declared servers agreed with cards that cannot have forgotten anything.
    Majority,
    /// Every declared server agreed, and none has data.
    Unanimous,
    /// The profile designates this server, and this is its first card.
    Designated,
}

/// What was heard in one round of questions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room<'a> {
    pub rules: Rules,
    pub config: &'a Config,
    /// Who asks.
    pub me: &'a Card,
    /// Those who agree: one view per server at most, in declared order.
    pub views: &'a [&'a View],
    /// All who answered, those who refused among them: any of them may know what stands against it.
    pub heard: &'a [Reply],
    /// What all of them have seen.
    pub seen: &'a Seen,
}

impl Room<'_> {
    /// On what ground this server may go on, if on any.
    pub fn basis(&self) -> Result<Basis, Lack> {
        if self.view_of(&self.me.name).is_none() {
            return Err(Lack::OwnWitness);
        }
        let holders = self.heard.iter().filter(|reply| reply.view.has_data);
        let with_data: Vec<Name> = holders.map(|reply| reply.view.card.name.clone()).collect();
        if self.rules.data_asked && !with_data.is_empty() {
            return Err(Lack::HasData { servers: with_data });
        }
        let majority = match &self.config.mode {
            Mode::Majority => self.majority(),
            Mode::Designated { server } => self.designated(server),
            Mode::All => Err(None),
        };
        majority.or_else(|lack| match (self.unanimous(), lack) {
            (Ok(basis), _) => Ok(basis),
            (Err(_), Some(lack)) => Err(lack),
            (Err(lack), None) => Err(lack),
        })
    }

    fn majority(&self) -> Result<Basis, Option<Lack>> {
        self.free(|_| true)?;
        let electors = self.views.iter().filter(|view| self.is_elector(&view.card)).count();
        if electors >= self.config.majority() { Ok(Basis::Majority) } else { Err(None) }
    }

    fn designated(&self, server: &str) -> Result<Basis, Option<Lack>> {
        if *self.me.name != *server {
            return Err(Some(Lack::NotDesignated { server: server.into() }));
        }
        self.free(|_| true)?;
        if self.is_elector(self.me) { Ok(Basis::Designated) } else { Err(None) }
    }

    /// Every declared server answers with its newest card. A ballot whose founder is not among
    /// these cards does not bind any more: its data is gone, and nobody else has any.
    fn unanimous(&self) -> Result<Basis, Lack> {
        if let Mode::Designated { server } = &self.config.mode
            && *self.me.name != **server
        {
            return Err(Lack::NotDesignated { server: server.as_str().into() });
        }
        let alive = |ballot: &Ballot| {
            self.view_of(&ballot.founder.name).is_none_or(|view| view.card == ballot.founder)
        };
        let all = self.views.len() == self.config.servers.len();
        self.free(|ballot| !all || alive(ballot)).map_err(Option::unwrap_or_default)?;
        let replaced = self.names(|view| self.seen.replaced_by(&view.card).is_some());
        if !replaced.is_empty() {
            return Err(Lack::OldCards { servers: replaced });
        }
        if all { Ok(Basis::Unanimous) } else { Err(self.silence()) }
    }

    /// Nothing that was agreed before stands against this server's founding.
    fn free(&self, binds: impl Fn(&Ballot) -> bool) -> Result<(), Option<Lack>> {
        let formed = self.heard.iter().filter_map(|reply| reply.view.formed.as_ref());
        if self.rules.formed_asked
            && let Some(ballot) = formed.filter(|ballot| binds(ballot)).max()
        {
            return Err(Some(Lack::Formed { founder: ballot.founder.name.clone() }));
        }
        let accepted = self.heard.iter().filter_map(|reply| reply.view.accepted.as_ref());
        match accepted.filter(|ballot| binds(ballot)).max() {
            Some(ballot) if self.rules.accepted_binds && ballot.founder != *self.me => {
                let answers =
                    self.view_of(&ballot.founder.name).is_some_and(|v| v.card == ballot.founder);
                Err(Some(Lack::Chosen { founder: ballot.founder.name.clone(), answers }))
            }
            _ => Ok(()),
        }
    }

    /// Whether a card's vote counts in a majority.
    pub fn is_elector(&self, card: &Card) -> bool {
        let own = card == self.me && !self.rules.own_vote_needs_first_card;
        own || self.seen.is_first(card)
    }

    /// Who has to be waited for.
    fn silence(&self) -> Lack {
        let silent = self.config.servers.iter().filter(|name| self.view_of(name).is_none());
        Lack::Answers {
            silent: silent.cloned().collect(),
            remade: self.names(|view| !self.is_elector(&view.card)),
            declared: self.config.servers.len(),
            needed: match self.config.mode {
                Mode::Majority => self.config.majority(),
                Mode::All | Mode::Designated { .. } => self.config.servers.len(),
            },
        }
    }

    fn view_of(&self, name: &str) -> Option<&View> {
        self.views.iter().copied().find(|view| *view.card.name == *name)
    }

    fn names(&self, which: impl Fn(&View) -> bool) -> Vec<Name> {
        self.views.iter().filter(|v| which(v)).map(|v| v.card.name.clone()).collect()
    }
}
