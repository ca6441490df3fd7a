//! The declared address is on its interface, and there is a default route.
//!
//! The release's own network manager brings the network up; this step waits for it and says what
//! is missing where it does not come.

use std::path::Path;
use std::time::Duration;

use nodeconf::{Address, Iptables, StaticAddress};

use super::Context;
use crate::facts::routes::{Route, local_addresses, routes};
use crate::finding::{Condition, Finding};
use crate::machine::StepId;
use crate::sys::{Command, Sys, read_text};

const LIMIT: Duration = Duration::from_secs(90);

pub(super) fn check(ctx: &Context) -> Result<Finding, Condition> {
    if let Some(condition) = missing(ctx)? {
        return Ok(Finding::Unmet(condition));
    }
    check_iptables(ctx);
    Ok(Finding::Met)
}

pub(super) fn apply(ctx: &Context) -> Result<(), Condition> {
    ctx.wait(StepId::Network, LIMIT, Duration::from_secs(1), || match missing(ctx) {
        Ok(None) => Finding::Met,
        Ok(Some(condition)) => Finding::Unmet(condition),
        Err(condition) => Finding::Blocked(condition),
    });
    match missing(ctx)? {
        Some(condition) => Err(with_hint(ctx, condition)),
        None => Ok(()),
    }
}

/// What the network still lacks.
fn missing(ctx: &Context) -> Result<Option<Condition>, Condition> {
    let interface = &ctx.config.node.interface;
    let class = format!("/sys/class/net/{interface}");
    if ctx.sys.stat(Path::new(&class)).is_err() {
        return Ok(Some(Condition::new(
            format!("there is no network interface {interface}"),
            "check the cable or adapter, or the profile's network.interface",
        )));
    }
    // Reading carrier fails while the interface is down (kernel, sysfs-class-net).
    let carrier = read_text(ctx.sys, format!("{class}/carrier")).unwrap_or_default();
    if carrier.trim() != "1" {
        return Ok(Some(Condition::new(
            format!("{interface} has no link"),
            "check the cable and the switch, or the Wi-Fi's name and password",
        )));
    }
    let table = routes(&read(ctx.sys, "/proc/net/route")?);
    match &ctx.config.node.address {
        Address::Static(wanted) => missing_static(ctx, wanted, &table),
        Address::Dhcp => Ok(missing_default(interface, &table, None)),
    }
}

fn missing_static(
    ctx: &Context,
    wanted: &StaticAddress,
    table: &[Route],
) -> Result<Option<Condition>, Condition> {
    let interface = &ctx.config.node.interface;
    let ours = local_addresses(&read(ctx.sys, "/proc/net/fib_trie")?);
    if !ours.contains(&wanted.address) {
        let have: Vec<String> =
            ours.iter().filter(|a| !a.is_loopback()).map(ToString::to_string).collect();
        let have = if have.is_empty() { "no address".into() } else { have.join(", ") };
        return Ok(Some(Condition::new(
            format!("{} is not on {interface}, the node has {have}", wanted.address),
            "check that no other machine has the address, and the network manager's journal",
        )));
    }
    if !table.iter().any(|r| r.interface == *interface && r.gateway.is_unspecified()) {
        return Ok(Some(Condition::new(
            format!("{} is on the node, but not on {interface}", wanted.address),
            "check the profile's network.interface",
        )));
    }
    Ok(missing_default(interface, table, wanted.gateway))
}

/// K3s needs a default route even where nothing lies behind it (K3s docs, airgap).
fn missing_default(
    interface: &str,
    table: &[Route],
    gateway: Option<std::net::Ipv4Addr>,
) -> Option<Condition> {
    if table.iter().any(Route::is_default) {
        return None;
    }
    Some(match gateway {
        Some(gateway) => Condition::new(
            format!("there is no default route (expected through {gateway})"),
            "check the profile's network.gateway and the network manager's journal",
        ),
        None => Condition::new(
            format!("there is no default route through {interface}"),
            "K3s needs one: check the DHCP server, or give the profile a network.gateway",
        ),
    })
}

/// Looks once, at the end of a vain wait, whether another machine has our address.
fn with_hint(ctx: &Context, mut condition: Condition) -> Condition {
    if let Address::Static(wanted) = &ctx.config.node.address
        && has_duplicate(ctx, wanted)
    {
        condition.what = format!("{}; another machine uses {}", condition.what, wanted.address);
        condition.remedy = "give one of the two machines another address".into();
    }
    condition
}

/// Asks by ARP where arping(8) is installed (it exits with 1 on an answer), else believes the
/// network manager's complaint.
fn has_duplicate(ctx: &Context, wanted: &StaticAddress) -> bool {
    let address = wanted.address.to_string();
    let interface = ctx.config.node.interface.as_str();
    let probe =
        Command::new("arping", ["-D", "-q", "-c", "2", "-w", "3", "-I", interface, &address]);
    match ctx.sys.run(&probe) {
        Err(crate::sys::CommandError::Failed { code: Some(1), stderr: None, .. }) => return true,
        Ok(_) => return false,
        Err(_) => {}
    }
    let journal = Command::new("journalctl", ["-b", "-n", "2000", "-o", "cat", "--no-pager"]);
    let said = ctx.sys.run(&journal).unwrap_or_default();
    said.lines().any(|line| {
        line.contains(&address)
            && ["claims", "conflict", "duplicate"].iter().any(|w| line.to_lowercase().contains(w))
    })
}

/// Says when the node's iptables is not what was asked for; K3s works with either, but mixing
/// the two on one node loses rules.
fn check_iptables(ctx: &Context) {
    let found = iptables(ctx.sys);
    if ctx.config.system.iptables == Iptables::Legacy && found != "legacy" {
        ctx.report.note(&format!("iptables is {found}, the image was baked for legacy"));
    }
}

/// Which iptables K3s will use, from Debian's alternatives (update-alternatives(1)).
fn iptables(sys: &dyn Sys) -> &'static str {
    match sys.read_link(Path::new("/etc/alternatives/iptables")) {
        Ok(target) if target.ends_with("iptables-legacy") => "legacy",
        Ok(target) if target.ends_with("iptables-nft") => "nft",
        Ok(_) => "of an unknown kind",
        Err(_) => "the one bundled with K3s",
    }
}

fn read(sys: &dyn Sys, file: &str) -> Result<String, Condition> {
    read_text(sys, file).map_err(|e| Condition::io(format!("reading {file}"), &e))
}
