//! Lets servers through that came after the card was baked, in whatever filters packets here.
//!
//! Which firewall runs, the rules in the kernel tell. What is opened lasts until the next boot,
//! which opens it again.

use std::net::Ipv4Addr;

use nodeconf::vip::Shared;
use nodeconf::{NodeConfig, Peer, Topology, paths};

use crate::finding::Condition;
use crate::sys::{Command, CommandError, Sys};

/// VRRP (RFC 5798, 5.1.1.4).
const VRRP: &str = "112";
const ETCD: &str = "2379:2380";

/// Opens it for who came, and closes it for who left since `before`.
pub(super) fn open(
    sys: &dyn Sys,
    config: &NodeConfig,
    before: &[Peer],
    now: &[Peer],
) -> Result<(), Condition> {
    let baked = addresses(config, &config.cluster.servers);
    let (before, now) = (addresses(config, before), addresses(config, now));
    nftables(sys, &now)?;
    let came: Vec<_> = now.iter().copied().filter(|address| !baked.contains(address)).collect();
    let left: Vec<_> =
        before.into_iter().filter(|a| !now.contains(a) && !baked.contains(a)).collect();
    let what = Needed::of(config);
    ufw(sys, what, &came, &left)?;
    firewalld(sys, what, &came, &left)
}

/// What the servers of the cluster need of each other that is not open to all.
#[derive(Debug, Clone, Copy)]
struct Needed {
    vrrp: bool,
    etcd: bool,
}

impl Needed {
    fn of(config: &NodeConfig) -> Self {
        Self {
            vrrp: Shared::of(config, &[]).is_some(),
            etcd: config.cluster.topology == Topology::EmbeddedEtcd,
        }
    }
}

fn addresses(config: &NodeConfig, servers: &[Peer]) -> Vec<Ipv4Addr> {
    let others = servers.iter().filter(|peer| peer.name != config.node.name);
    others.filter_map(|peer| peer.address).collect()
}

/// Runs a command whose failure says no more than that there is nothing of the kind.
fn succeeds(sys: &dyn Sys, program: &'static str, args: &[&str]) -> bool {
    let mut command = Command::new(program, []);
    command.args = args.iter().map(|&arg| arg.to_owned()).collect();
    sys.run(&command).is_ok()
}

/// The rules that were baked name a set of addresses.
fn nftables(sys: &dyn Sys, now: &[Ipv4Addr]) -> Result<(), Condition> {
    let set = format!("inet filter {}", paths::NFT_SERVERS);
    if !succeeds(sys, "nft", &["list", "set", "inet", "filter", paths::NFT_SERVERS]) {
        return Ok(());
    }
    let all: Vec<String> = now.iter().map(ToString::to_string).collect();
    let mut change = format!("flush set {set};");
    if !all.is_empty() {
        change += &format!(" add element {set} {{ {} }};", all.join(", "));
    }
    let mut command = Command::new("nft", []);
    command.args.push(change);
    sys.run(&command)?;
    Ok(())
}

/// ufw has no words for VRRP, so both go into the chain that it keeps for people.
fn ufw(
    sys: &dyn Sys,
    needed: Needed,
    came: &[Ipv4Addr],
    left: &[Ipv4Addr],
) -> Result<(), Condition> {
    const CHAIN: &str = "ufw-before-input";
    if !succeeds(sys, "iptables", &["-w", "-n", "-L", CHAIN]) {
        return Ok(());
    }
    let rules = |address: &Ipv4Addr| {
        let address = address.to_string();
        let vrrp = ["-p", VRRP, "-s", &address, "-j", "ACCEPT"].map(str::to_owned).to_vec();
        let etcd = ["-p", "tcp", "-s", &address, "--dport", ETCD, "-j", "ACCEPT"];
        let etcd = etcd.map(str::to_owned).to_vec();
        [needed.vrrp.then_some(vrrp), needed.etcd.then_some(etcd)].into_iter().flatten()
    };
    let run = |verb: &str, rule: &[String]| {
        let mut command = Command::new("iptables", ["-w", verb, CHAIN]);
        command.args.extend_from_slice(rule);
        sys.run(&command)
    };
    for rule in came.iter().flat_map(rules) {
        if run("-C", &rule).is_err() {
            run("-I", &rule)?;
        }
    }
    for rule in left.iter().flat_map(rules) {
        while run("-C", &rule).is_ok() {
            run("-D", &rule)?;
        }
    }
    Ok(())
}

/// Both commands succeed where the rule is there, or gone, already (firewall-cmd(1)).
fn firewalld(
    sys: &dyn Sys,
    needed: Needed,
    came: &[Ipv4Addr],
    left: &[Ipv4Addr],
) -> Result<(), Condition> {
    if !succeeds(sys, "firewall-cmd", &["--state"]) {
        return Ok(());
    }
    let ports = ETCD.replace(':', "-");
    for (verb, addresses) in [("--add-rich-rule", came), ("--remove-rich-rule", left)] {
        for address in addresses {
            let what = [
                needed.vrrp.then(|| format!("protocol value=\"{VRRP}\"")),
                needed.etcd.then(|| format!("port port=\"{ports}\" protocol=\"tcp\"")),
            ];
            for what in what.into_iter().flatten() {
                let mut command = Command::new("firewall-cmd", ["--quiet"]);
                command.args.push(format!(
                    "{verb}=rule family=\"ipv4\" source address=\"{address}\" {what} accept"
                ));
                sys.run(&command).map(drop).or_else(|error| match error {
                    CommandError::Failed { .. } if verb.starts_with("--remove") => Ok(()),
                    other => Err(other),
                })?;
            }
        }
    }
    Ok(())
}
