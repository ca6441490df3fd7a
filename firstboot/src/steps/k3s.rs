//! K3s is started, as was decided. Its unit, binary and configuration are baked.
//!
//! It is enabled for later boots only when the node is a member ([`super::confirm`]): until then a
//! boot must come through here.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use nodeconf::{NodeConfig, Role, paths};

use super::bootstrap::{data, has_data, has_etcd};
use super::memory::Decision;
use super::{Context, confirm, decision, unit};
use crate::etcd::{self, Data};
use crate::facts::k3s::config_value;
use crate::finding::{Condition, Finding};
use crate::machine::StepId;
use crate::sys::{Sys, read_text};

const LIMIT: Duration = Duration::from_secs(60);
/// K3s unpacks itself and starts containerd before it founds.
const FOUNDING: Duration = Duration::from_secs(300);
/// From the making of etcd's log to its first entry; milliseconds, but for a busy card.
const BIRTH: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(500);

pub(super) fn check(ctx: &Context) -> Result<Finding, Condition> {
    let etcd = has_etcd(ctx.config);
    if ctx.sealed {
        // Whether K3s runs at a later boot is systemd's business and the person's.
        let fault = if etcd { decision::fault_with_data(ctx)? } else { None };
        return Ok(fault.map_or(Finding::Met, Finding::Unmet));
    }
    let unit = unit::name(ctx)?;
    if let Some(condition) = missing_file(ctx.sys, unit) {
        return Ok(Finding::Wrong(condition));
    }
    if let Some(condition) = nowhere_to_join(ctx.sys, ctx.config)? {
        return Ok(Finding::Wrong(condition));
    }
    if etcd && let Some(condition) = undecided(ctx)? {
        return Ok(Finding::Unmet(condition));
    }
    unit::running(ctx.sys, unit)
}

pub(super) fn apply(ctx: &Context) -> Result<(), Condition> {
    if has_etcd(ctx.config) {
        if !ctx.sealed {
            clear_unborn(ctx)?;
        }
        carry_out(ctx)?;
    }
    if ctx.sealed && !unit::is_enabled(ctx)? {
        return Ok(());
    }
    // On a finished node: without the file, its unit's condition did not let it start.
    if !unit::is_running(ctx)? {
        unit::start(ctx)?;
    }
    let unit = unit::name(ctx)?;
    if ctx.sealed {
        return Ok(());
    }
    ctx.wait(StepId::K3s, LIMIT, PAUSE, || {
        unit::running(ctx.sys, unit).unwrap_or_else(Finding::Blocked)
    });
    if ctx.memory.decision() == Some(Decision::Found) {
        finish_founding(ctx)?;
    }
    Ok(())
}

/// What the decision still lacks in the file that K3s reads.
fn undecided(ctx: &Context) -> Result<Option<Condition>, Condition> {
    if has_data(ctx)? {
        return decision::fault_with_data(ctx);
    }
    // Once started by this run, it is given time to be born.
    if !ctx.applied && data(ctx)? == Data::Unborn {
        let what = "etcd was cut short when it started for the first time";
        return Ok(Some(Condition::new(what, "what it left is removed, and it starts anew")));
    }
    match ctx.memory.decision() {
        Some(Decision::Join(url)) if decision::is(ctx, &decision::join(&url))? => Ok(None),
        Some(Decision::Join(url)) => {
            Ok(Some(Condition::new(format!("K3s is to join at {url}"), "it is told so")))
        }
        _ => Ok(Some(Condition::new("this server is to found the cluster", "K3s is told so"))),
    }
}

/// Writes the decision into the file. A K3s that was started with another one must not go on.
fn carry_out(ctx: &Context) -> Result<(), Condition> {
    if has_data(ctx)? {
        return match decision::fault_with_data(ctx)? {
            Some(_) => decision::write_home(ctx),
            None => Ok(()),
        };
    }
    let Some(text) = ctx.memory.decision().as_ref().and_then(decision::text) else {
        return Ok(());
    };
    if decision::is(ctx, &text)? {
        return Ok(());
    }
    if unit::is_running(ctx)? {
        unit::stop(ctx)?;
    }
    decision::write(ctx, &text)
}

/// Removes what an etcd left that was never born, which K3s would take for data. It is stopped
/// first: nothing may be born while it is looked at.
fn clear_unborn(ctx: &Context) -> Result<(), Condition> {
    if data(ctx)? == Data::Unborn && unit::is_running(ctx)? {
        unit::stop(ctx)?;
    }
    etcd::clear_unborn(ctx.sys)
        .map_err(|e| Condition::io("removing the log of an etcd that was never born", &e))
}

/// Waits until etcd has data, and takes the permission to found back. An etcd that was killed
/// before its first entry, and that systemd started again, founds only where it starts anew.
fn finish_founding(ctx: &Context) -> Result<(), Condition> {
    if is_born(ctx)? == Data::Unborn {
        clear_unborn(ctx)?;
        if !has_data(ctx)? {
            ctx.report.milestone("etcd was cut short before its first entry: it starts anew");
        }
        unit::start(ctx)?;
        is_born(ctx)?;
    }
    if has_data(ctx)? {
        return decision::write_home(ctx);
    }
    Err(confirm::with_complaint(ctx.sys, unit::name(ctx)?, founding()))
}

fn founding() -> Condition {
    Condition::new("K3s is founding the cluster", "waiting for etcd's data")
}

/// Waits for etcd's data, but not for that of a log that has stayed empty.
fn is_born(ctx: &Context) -> Result<Data, Condition> {
    let made = Cell::new(None);
    ctx.wait(StepId::K3s, FOUNDING, PAUSE, || {
        let now = ctx.sys.uptime();
        match data(ctx) {
            Ok(Data::There) => return Finding::Met,
            Ok(Data::Unborn) => made.set(made.get().or(Some(now))),
            Ok(Data::None) => made.set(None),
            Err(condition) => return Finding::Blocked(condition),
        }
        match made.get() {
            Some(since) if now.saturating_sub(since) >= BIRTH => Finding::Blocked(founding()),
            _ => Finding::Unmet(founding()),
        }
    });
    data(ctx)
}

fn missing_file(sys: &dyn Sys, unit: &str) -> Option<Condition> {
    let unit_file = format!("{}/{unit}", paths::UNIT_DIR);
    for file in [paths::K3S, paths::K3S_CONFIG, &unit_file] {
        let there = sys.stat(Path::new(file)).is_ok_and(|found| found.len > 0 && !found.is_dir);
        if !there {
            return Some(Condition::new(
                format!("{file} is missing or empty"),
                "bake and flash the card again",
            ));
        }
    }
    let mode = sys.stat(Path::new(paths::K3S)).map_or(0, |found| found.mode);
    (mode & 0o111 == 0).then(|| {
        Condition::new(format!("{} is not executable", paths::K3S), "bake and flash the card again")
    })
}

/// An agent's configuration says where the API is; an agent without it would only fail.
fn nowhere_to_join(sys: &dyn Sys, config: &NodeConfig) -> Result<Option<Condition>, Condition> {
    if config.node.role != Role::Agent {
        return Ok(None);
    }
    let yaml = read_text(sys, paths::K3S_CONFIG)
        .map_err(|e| Condition::io(format!("reading {}", paths::K3S_CONFIG), &e))?;
    Ok(config_value(&yaml, "server").is_none().then(|| {
        let what = format!("{} does not say where the cluster is", paths::K3S_CONFIG);
        Condition::new(what, "bake and flash the card again")
    }))
}
