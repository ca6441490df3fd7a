//! How the node is doing, for whoever asks.

use std::cell::RefCell;
use std::time::Duration;

use bootstrap::Card;
use nodeconf::status::{Served, ServedCard, State, Status};
use nodeconf::{NodeConfig, Role};

use super::voter::Voter;
use crate::etcd;
use crate::facts::routes::local_addresses;
use crate::kube::{Api, is_pong};
use crate::report::load_status;
use crate::sys::https::ask;
use crate::sys::{Method, Sys, read_text};

/// How long an answer of K3s is good for.
const FRESH: Duration = Duration::from_secs(2);
/// How long K3s may take to answer.
const PROBE: Duration = Duration::from_secs(3);

/// When K3s was last asked, by the uptime, and whether it was up.
pub(super) type Probed = RefCell<Option<(Duration, bool)>>;

/// The node's state now.
pub(super) async fn served(
    sys: &dyn Sys,
    config: &NodeConfig,
    voter: Option<&Voter>,
    probed: &Probed,
) -> Served {
    let status = load_status(sys);
    let mut served = Served {
        card: ServedCard {
            name: config.node.name.clone(),
            incarnation: config.node.incarnation,
            nonce: String::new(),
        },
        vip_held: vip_held(sys, config),
        k3s_ready: k3s_ready(sys, config, status.as_ref(), probed).await,
        unix: sys.now().as_secs(),
        uptime: sys.uptime().as_secs(),
        status,
        ..Served::default()
    };
    if let Some(voter) = voter {
        served.member = etcd::has_data(sys).ok();
        match voter.view(sys) {
            Ok(view) => {
                served.card = card(&view.card);
                served.formed = view.formed.map(|ballot| card(&ballot.founder));
            }
            Err(trouble) => {
                served.witness_trouble = Some(format!("{}; {}", trouble.what, trouble.remedy));
            }
        }
    }
    served
}

fn card(card: &Card) -> ServedCard {
    ServedCard {
        name: card.name.to_string(),
        incarnation: card.incarnation,
        nonce: card.nonce.to_string(),
    }
}

fn vip_held(sys: &dyn Sys, config: &NodeConfig) -> bool {
    let own = || read_text(sys, "/proc/net/fib_trie").ok();
    config.cluster.vip.as_ref().is_some_and(|vip| {
        own().is_some_and(|fib_trie| local_addresses(&fib_trie).contains(&vip.address))
    })
}

/// A server's K3s is asked. An agent's answers nobody but its server: there the ledger knows
/// whether the node has once become Ready.
async fn k3s_ready(
    sys: &dyn Sys,
    config: &NodeConfig,
    status: Option<&Status>,
    probed: &Probed,
) -> Option<bool> {
    match config.node.role {
        Role::Database => None,
        Role::Agent => Some(status.is_some_and(|status| status.state == State::Done)),
        Role::Server => {
            let now = sys.uptime();
            if let Some((at, up)) = *probed.borrow()
                && now.saturating_sub(at) < FRESH
            {
                return Some(up);
            }
            let up = match Api::local(sys) {
                Ok(api) => {
                    let request = api.within(PROBE).request(Method::Get, "/ping");
                    ask(request).await.is_ok_and(|reply| is_pong(&reply))
                }
                Err(_) => false,
            };
            probed.replace(Some((now, up)));
            Some(up)
        }
    }
}
