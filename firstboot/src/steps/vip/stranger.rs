//! Whether a machine that is none of our servers answers ARP for the shared address.
//!
//! An answer proves little: the address may be moving, a server may be too busy to answer for
//! itself, and a router may answer for everybody (proxy ARP). So all answers count, a machine that
//! answers for one of our servers is none to blame, and a stranger is one in every round.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use nodeconf::Address;

use crate::facts::arp::answering;
use crate::finding::Condition;
use crate::steps::Context;
use crate::sys::{Command, CommandError, Sys, read_text};
use crate::witness::List;

/// How often the same machine must be found.
const ROUNDS: u32 = 3;
/// Seconds for answers, with a question each: for the shared address, and for a server.
const PATIENT: &str = "2";
const BRIEF: &str = "1";

type Hardware = BTreeSet<String>;

/// The stranger, if there is one.
pub(super) fn stranger(ctx: &Context) -> Option<Condition> {
    let vip = ctx.config.cluster.vip.as_ref()?.address;
    let Address::Static(own) = &ctx.config.node.address else { return None };
    let asker = Asker { ctx, own: own.address };
    let servers = servers(ctx);
    let mut suspects: Option<Hardware> = None;
    for _ in 0..ROUNDS {
        let seen = asker.strangers(vip, &servers);
        let both = match suspects {
            None => seen,
            Some(before) => before.intersection(&seen).cloned().collect(),
        };
        if both.is_empty() {
            return None;
        }
        suspects = Some(both);
    }
    let stranger = suspects?.pop_first()?;
    Some(Condition::new(
        format!("the shared address {vip} is used by another machine ({stranger})"),
        "give that machine another address, or bake with another cluster.vip.address",
    ))
}

/// The other servers, those that came later too.
fn servers(ctx: &Context) -> Vec<Ipv4Addr> {
    let changes = List::read(ctx.sys).unwrap_or_default().changes;
    let all = changes.servers(ctx.config).into_iter();
    all.filter(|peer| peer.name != ctx.config.node.name).filter_map(|peer| peer.address).collect()
}

struct Asker<'a> {
    ctx: &'a Context<'a>,
    own: Ipv4Addr,
}

impl Asker<'_> {
    /// Who answers for `vip` and for no server.
    fn strangers(&self, vip: Ipv4Addr, servers: &[Ipv4Addr]) -> Hardware {
        let mut found = self.all(vip, PATIENT);
        if found.is_empty() {
            return found;
        }
        for ours in own_hardware(self.ctx.sys) {
            found.remove(&ours);
        }
        // The first answer is enough where it explains all.
        let ask: [fn(&Self, Ipv4Addr) -> Hardware; 2] =
            [Self::first, |this, at| this.all(at, BRIEF)];
        for ask in ask {
            for server in servers {
                if found.is_empty() {
                    return found;
                }
                for known in ask(self, *server) {
                    found.remove(&known);
                }
            }
        }
        found
    }

    fn first(&self, address: Ipv4Addr) -> Hardware {
        self.arping(address, &["-f", "-w", BRIEF])
    }

    fn all(&self, address: Ipv4Addr, seconds: &str) -> Hardware {
        self.arping(address, &["-w", seconds])
    }

    fn arping(&self, address: Ipv4Addr, how: &[&str]) -> Hardware {
        let interface = self.ctx.config.node.interface.as_str();
        let (own, address) = (self.own.to_string(), address.to_string());
        let mut command = Command::new("arping", ["-b", "-I", interface, "-s", &own]);
        command.args.extend(how.iter().chain([&address.as_str()]).map(|&arg| arg.to_owned()));
        match self.ctx.sys.run(&command) {
            // It fails where nobody answers, and where more answer than it asked (arping(8)).
            Ok(out) | Err(CommandError::Failed { stdout: out, .. }) => answering(&out),
            Err(CommandError::Missing(_)) => {
                self.ctx.report.note(
                    "there is no arping: whether another machine has the shared address stays \
                     unknown",
                );
                Hardware::new()
            }
            Err(_) => Hardware::new(),
        }
    }
}

/// Our own interfaces answer for each other's addresses.
fn own_hardware(sys: &dyn Sys) -> Hardware {
    let devices = read_text(sys, "/proc/net/dev").unwrap_or_default();
    let names = devices.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
    names
        .filter_map(|name| read_text(sys, format!("/sys/class/net/{name}/address")).ok())
        .map(|hardware| hardware.trim().to_ascii_lowercase())
        .collect()
}
