//! The witnesses and API servers of the cluster, as the rules want to hear of them.

use std::path::Path;
use std::time::Duration;

use bootstrap::{
    Card, Config, Envelope, Evidence, Name, Reply, Request, SLOT_MS, SlotAction, View,
};
use nodeconf::{NodeConfig, paths};

use crate::finding::Condition;
use crate::kube::{Api, is_pong};
use crate::steps::Context;
use crate::sys::{HttpsError, Method};
use crate::witness::{Silence, Witnesses};

/// For a question to an API server; a dead one must not hold up the rest.
const PING: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub(in crate::steps) struct Peers<'a> {
    ctx: &'a Context<'a>,
    pub(super) rules: Config,
    pub(super) witnesses: Witnesses,
}

impl<'a> Peers<'a> {
    pub(in crate::steps) fn load(ctx: &'a Context) -> Result<Self, Condition> {
        let witnesses = Witnesses::load(ctx.sys, ctx.config)?;
        Ok(Self { ctx, rules: Config::of(ctx.config), witnesses })
    }

    /// What this node's own witness knows.
    pub(in crate::steps) fn own(&self) -> Result<View, Silence> {
        self.witnesses.view(self.ctx.sys, &self.ctx.config.node.name)
    }

    /// What every witness that answers knows; why the others do not.
    pub(in crate::steps) fn views(&self) -> (Vec<View>, Vec<(Name, Silence)>) {
        split(self.witnesses.views(self.ctx.sys))
    }

    /// Carries requests to witnesses.
    pub(in crate::steps) fn carry(
        &self,
        envelopes: &[Envelope],
    ) -> (Vec<Reply>, Vec<(Name, Silence)>) {
        split(self.witnesses.ask_all(self.ctx.sys, envelopes))
    }

    /// The same request to every declared server; those that did not refuse.
    pub(in crate::steps) fn tell(&self, request: &Request) -> Vec<Reply> {
        let to = |name: &Name| Envelope { to: name.clone(), request: request.clone() };
        let envelopes: Vec<Envelope> = self.rules.servers.iter().map(to).collect();
        self.carry(&envelopes).0
    }

    /// Gives the slot back, wherever it is held.
    pub(in crate::steps) fn release(&self, me: &Card) {
        self.ctx.memory.renewed_slot(None);
        self.tell(&Request::Slot { from: me.clone(), action: SlotAction::Release });
    }

    /// Whether the slot should be renewed by now.
    pub(in crate::steps) fn is_slot_due(&self) -> bool {
        let due = Duration::from_millis(SLOT_MS / 4);
        let now = self.ctx.sys.uptime();
        self.ctx.memory.slot_renewed().is_none_or(|last| now.saturating_sub(last) >= due)
    }

    /// Renews the slot.
    pub(in crate::steps) fn renew(&self, me: &Card) {
        self.ctx.memory.renewed_slot(Some(self.ctx.sys.uptime()));
        self.tell(&Request::Slot { from: me.clone(), action: SlotAction::Renew });
    }

    /// How many servers make a majority.
    pub(in crate::steps) fn majority(&self) -> usize {
        self.rules.majority()
    }

    /// What tells servers of another profile.
    pub(in crate::steps) fn electorate(&self) -> std::sync::Arc<str> {
        self.rules.electorate.clone()
    }

    /// Asks for a sign of the cluster where its API would be: at the shared address and at the
    /// other servers.
    pub(super) fn evidence(&self) -> (Evidence, Vec<(Place, HttpsError)>) {
        let places = places(self.ctx.config);
        let Ok(ca) = self.ctx.sys.read(Path::new(paths::API_CA)) else {
            return (Evidence::default(), Vec::new());
        };
        let api = |place: &Place| Api::at(place.socket(), ca.clone()).within(PING);
        let requests: Vec<_> =
            places.iter().map(|place| api(place).request(Method::Get, "/ping")).collect();
        let (mut evidence, mut strange) = (Evidence::default(), Vec::new());
        for (place, reply) in places.into_iter().zip(self.ctx.sys.https_all(&requests)) {
            match reply {
                Ok(reply) if is_pong(&reply) => evidence.answering.push(place.url()),
                Ok(_) | Err(HttpsError::Unreachable(_)) => {}
                Err(error) => strange.push((place, error)),
            }
        }
        (evidence, strange)
    }
}

fn split<T>(heard: Vec<(Name, Result<T, Silence>)>) -> (Vec<T>, Vec<(Name, Silence)>) {
    let (mut answers, mut silent) = (Vec::new(), Vec::new());
    for (name, reply) in heard {
        match reply {
            Ok(reply) => answers.push(reply),
            Err(silence) => silent.push((name, silence)),
        }
    }
    (answers, silent)
}

/// Where an API server may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Whose address it is, for people.
    pub(super) whose: String,
    address: std::net::Ipv4Addr,
    port: u16,
}

impl Place {
    pub(super) fn url(&self) -> String {
        format!("https://{}:{}", self.address, self.port)
    }

    pub(super) fn socket(&self) -> std::net::SocketAddr {
        (self.address, self.port).into()
    }
}

/// The shared address first, then the other servers.
pub(super) fn places(config: &NodeConfig) -> Vec<Place> {
    let vip = config.cluster.vip.iter().map(|vip| Place {
        whose: "the shared address".into(),
        address: vip.address,
        port: vip.port,
    });
    let others = config.other_servers().filter_map(|peer| {
        let address = peer.address?;
        Some(Place { whose: peer.name.clone(), address, port: paths::API_PORT })
    });
    vip.chain(others).collect()
}

/// Where K3s of this node finds its cluster, written into its configuration. With data of its own
/// it never looks; should the data be lost, it must rather find nobody than found.
pub(in crate::steps) fn home(config: &NodeConfig) -> String {
    match places(config).first() {
        Some(place) => place.url(),
        None => {
            let own = config.api_endpoint().map_or_else(|| "127.0.0.1".into(), |e| e.0.to_string());
            format!("https://{own}:{}", paths::API_PORT)
        }
    }
}
