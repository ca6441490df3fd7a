//! Asks every other server to take this one in, and looks who has the shared address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use nodeconf::servers::{Introduction, Noted};
use nodeconf::{Address, NodeConfig, Peer};

use super::gate::{Holder, Standing};
use crate::facts::arp::neighbours;
use crate::facts::routes::local_addresses;
use crate::finding::Condition;
use crate::sys::{HttpsError, Sys, read_text};
use crate::witness::{Silence, Witnesses};

/// For having the kernel ask who has the shared address.
const LOOK: Duration = Duration::from_millis(500);

/// This node's own address, once it has it.
pub(super) fn own_address(sys: &dyn Sys, config: &NodeConfig) -> Result<Ipv4Addr, Condition> {
    let Address::Static(own) = &config.node.address else {
        return Err(Condition::new("this server has no address of its own", "bake it with one"));
    };
    let here = read_text(sys, "/proc/net/fib_trie").unwrap_or_default();
    if local_addresses(&here).contains(&own.address) {
        return Ok(own.address);
    }
    Err(Condition::new(format!("this server does not have {} yet", own.address), "waiting for it"))
}

/// How each of the others stands to this server, having been asked.
pub(super) fn ask(
    sys: &dyn Sys,
    config: &NodeConfig,
    servers: &[Peer],
    own: Ipv4Addr,
    before: &BTreeSet<String>,
) -> Result<Vec<(String, Standing)>, Condition> {
    let witnesses = Witnesses::of(sys, config, servers)?;
    let name = config.node.name.clone();
    let heard = witnesses.introduce(sys, &Introduction { name, address: own });
    let there = on_the_network(sys, config);
    let address = |name: &str| servers.iter().find(|peer| peer.name == name)?.address;
    Ok(heard
        .into_iter()
        .map(|(name, reply)| {
            let there = address(&name).is_some_and(|address| there.contains_key(&address));
            let standing = standing(reply, there, before.contains(&*name));
            (name.to_string(), standing)
        })
        .collect())
}

fn standing(reply: Result<Noted, Silence>, there: bool, before: bool) -> Standing {
    match reply {
        Ok(Noted { applied: true, .. }) => Standing::TookUsIn,
        Ok(Noted { trouble, .. }) => {
            Standing::NotYet(trouble.unwrap_or_else(|| "its services take it up".into()))
        }
        Err(Silence::Https(HttpsError::Unreachable(why))) => {
            Standing::Silent { there, before, why }
        }
        Err(Silence::Https(HttpsError::Untrusted(why) | HttpsError::Rejected(why))) => {
            Standing::Stranger(why)
        }
        Err(silence) => Standing::NotYet(silence.to_string()),
    }
}

/// Who has the shared address. Asking for it has the kernel look by ARP.
pub(super) fn holder(sys: &dyn Sys, config: &NodeConfig, servers: &[Peer]) -> Holder {
    let Some(vip) = &config.cluster.vip else { return Holder::Nobody };
    let _ = sys.connect(&format!("{}:{}", vip.address, vip.port), LOOK);
    let machines = on_the_network(sys, config);
    let Some(hardware) = machines.get(&vip.address) else { return Holder::Nobody };
    let server = servers
        .iter()
        .find(|peer| peer.address.is_some_and(|address| machines.get(&address) == Some(hardware)));
    match server {
        Some(peer) => Holder::Server(peer.name.clone()),
        None => Holder::Unknown(hardware.clone()),
    }
}

fn on_the_network(sys: &dyn Sys, config: &NodeConfig) -> BTreeMap<Ipv4Addr, String> {
    let table = read_text(sys, "/proc/net/arp").unwrap_or_default();
    neighbours(&table, &config.node.interface)
}
