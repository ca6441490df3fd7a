use crate::quorum::Room;
use crate::rules::Rules;
use crate::{
    Ballot, Basis, Card, Config, Envelope, Lack, Name, Refusal, Reply, Request, Seen, Verdict, View,
};

/// What a server without data found out by other means than witnesses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Evidence {
    /// Where `/ping` answered over TLS with a certificate of the cluster's server CA: the VIP or
    /// servers. It proves that a cluster exists, not that it works.
    pub answering: Vec<String>,
    /// Whether this server holds the VIP. Decides nothing: VRRP splits.
    pub vip_held: bool,
}

/// What a server without data does next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Next {
    /// Send these, wait for answers for a moment, and step with whatever came back.
    Send(Vec<Envelope>),
    /// Found the cluster: `cluster-init`, for one start. The ballot goes into [`Request::Formed`]
    /// once the cluster stands.
    Found(Ballot, Basis),
    /// There is a cluster: join it ([`crate::Joiner`]).
    Join {
        /// Where its API answered.
        at: String,
    },
    /// Begin again after a while.
    Wait {
        /// Why.
        why: Lack,
        /// After how many milliseconds.
        retry_ms: u64,
    },
    /// This card was replaced by one of a newer incarnation: do nothing until the next boot.
    Superseded {
        /// That incarnation.
        by: u32,
    },
}

/// One attempt of a server without data to found its cluster. Volatile: an attempt that is cut
/// short is simply begun again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Proposer {
    me: Card,
    phase: Phase,
    pub(crate) seen: Seen,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Phase {
    Looking,
    Preparing(Ballot, Vec<Card>),
    Accepting(Ballot, Vec<Card>, Basis),
}

impl Proposer {
    /// Begins an attempt: the first thing to send.
    #[must_use]
    pub fn begin(config: &Config, me: &Card) -> (Self, Next) {
        let mut seen = Seen::default();
        seen.note(me);
        let ask = |to: &Name| Envelope {
            to: to.clone(),
            request: Request::Ask { from: me.clone(), seen: seen.clone() },
        };
        let next = Next::Send(config.servers.iter().map(ask).collect());
        (Self { me: me.clone(), phase: Phase::Looking, seen }, next)
    }

    /// Goes on with the answers to what was sent last: one per envelope at most, in any order;
    /// those that are missing were not heard.
    #[must_use]
    pub fn step(self, config: &Config, replies: &[Reply], evidence: &Evidence) -> (Self, Next) {
        self.step_by(Rules::ALL, config, replies, evidence)
    }

    pub(crate) fn step_by(
        mut self,
        rules: Rules,
        config: &Config,
        replies: &[Reply],
        evidence: &Evidence,
    ) -> (Self, Next) {
        for reply in replies {
            self.seen.merge(&reply.view.seen);
            self.seen.note(&reply.view.card);
        }
        self.seen.keep_declared(config);
        let next = match self.outside(rules, config, replies, evidence) {
            Some(next) => next,
            None => self.advance(rules, config, replies).unwrap_or_else(|why| Next::Wait {
                retry_ms: why.retry_ms(config.position(&self.me.name).unwrap_or_default()),
                why,
            }),
        };
        (self, next)
    }

    /// What is decided before any counting of votes.
    fn outside(
        &self,
        rules: Rules,
        config: &Config,
        replies: &[Reply],
        evidence: &Evidence,
    ) -> Option<Next> {
        if let Some(by) = self.seen.replaced_by(&self.me) {
            return Some(Next::Superseded { by });
        }
        if let Some(at) = evidence.answering.first() {
            return Some(Next::Join { at: at.clone() });
        }
        if evidence.vip_held && !rules.vip_ignored {
            let round = 1 + highest_round(replies);
            let ballot = Ballot { round, founder: self.me.clone() };
            return Some(Next::Found(ballot, Basis::Designated));
        }
        let other = |reply: &&Reply| reply.view.electorate != config.electorate;
        let servers: Vec<Name> =
            replies.iter().filter(other).map(|r| r.view.card.name.clone()).collect();
        let why = Lack::OtherProfile { servers };
        let differs = matches!(&why, Lack::OtherProfile { servers } if !servers.is_empty());
        (differs && rules.electorate_compared)
            .then(|| Next::Wait { retry_ms: why.retry_ms(0), why })
    }

    fn advance(&mut self, rules: Rules, config: &Config, replies: &[Reply]) -> Result<Next, Lack> {
        match self.phase.clone() {
            Phase::Looking => {
                let heard: Vec<&View> = in_order(config, replies.iter().map(|r| &r.view));
                self.basis(rules, config, &heard, replies)?;
                let round = highest_round(replies).checked_add(1).ok_or(Lack::Outbid)?;
                let ballot = Ballot { round, founder: self.me.clone() };
                let asked: Vec<Card> = heard.iter().map(|view| view.card.clone()).collect();
                self.phase = Phase::Preparing(ballot.clone(), asked.clone());
                Ok(Next::Send(self.envelopes(config, &asked, |electorate, to, seen| {
                    Request::Prepare { electorate, to, ballot: ballot.clone(), seen }
                })))
            }
            Phase::Preparing(ballot, asked) => {
                let promised = self.given(rules, &asked, replies, &Verdict::Promised);
                let basis = self.basis(rules, config, &as_refs(&promised), replies)?;
                let asked: Vec<Card> = promised.iter().map(|view| view.card.clone()).collect();
                self.phase = Phase::Accepting(ballot.clone(), asked.clone(), basis);
                Ok(Next::Send(self.envelopes(config, &asked, |electorate, to, seen| {
                    Request::Accept { electorate, to, ballot: ballot.clone(), seen }
                })))
            }
            Phase::Accepting(ballot, asked, basis) => {
                let accepted = self.given(rules, &asked, replies, &Verdict::Accepted);
                let now = self.basis(rules, config, &as_refs(&accepted), replies)?;
                if now != basis {
                    return Err(Lack::Outbid);
                }
                Ok(Next::Found(ballot, basis))
            }
        }
    }

    /// The views of those who did what they were asked for. Each counts as the card that was
    /// asked; one that answers from another card does not count.
    fn given(
        &self,
        rules: Rules,
        asked: &[Card],
        replies: &[Reply],
        wanted: &Verdict,
    ) -> Vec<View> {
        let given = |card: &Card| {
            let reply = replies.iter().find(|reply| reply.view.card.name == card.name)?;
            let same = reply.view.card == *card || !rules.cards_compared;
            let view = View { card: card.clone(), ..reply.view.clone() };
            (reply.verdict == *wanted && same).then_some(view)
        };
        asked.iter().filter_map(given).collect()
    }

    fn basis(
        &self,
        rules: Rules,
        config: &Config,
        views: &[&View],
        heard: &[Reply],
    ) -> Result<Basis, Lack> {
        let room = Room { rules, config, me: &self.me, views, heard, seen: &self.seen };
        room.basis().map_err(|lack| {
            let refused =
                |r: &Reply| matches!(r.verdict, Verdict::Refused { why: Refusal::Promised { .. } });
            match lack {
                Lack::Answers { .. } | Lack::OwnWitness if heard.iter().any(refused) => {
                    Lack::Outbid
                }
                lack => lack,
            }
        })
    }

    fn envelopes(
        &self,
        config: &Config,
        asked: &[Card],
        request: impl Fn(std::sync::Arc<str>, Card, Seen) -> Request,
    ) -> Vec<Envelope> {
        let envelope = |card: &Card| Envelope {
            to: card.name.clone(),
            request: request(config.electorate.clone(), card.clone(), self.seen.clone()),
        };
        asked.iter().map(envelope).collect()
    }
}

fn as_refs(views: &[View]) -> Vec<&View> {
    views.iter().collect()
}

/// At most one view per declared server, in declared order.
fn in_order<'a>(config: &Config, views: impl Iterator<Item = &'a View> + Clone) -> Vec<&'a View> {
    let of = |name: &Name| views.clone().find(|view| view.card.name == *name);
    config.servers.iter().filter_map(of).collect()
}

fn highest_round(replies: &[Reply]) -> u64 {
    let rounds = |r: &Reply| {
        let ballots = [&r.view.promised, &r.view.accepted, &r.view.formed];
        ballots.into_iter().flatten().map(|b| b.round).max()
    };
    replies.iter().filter_map(rounds).max().unwrap_or_default()
}
