//! K3s is started, as was decided. Its unit, binary and configuration are baked.
//!
//! It is enabled for later boots only when the node is a member ([`super::confirm`]): until then a
//! boot must come through here.

use std::path::Path;
use std::time::Duration;

use nodeconf::{NodeConfig, Role, paths};

use super::bootstrap::{has_data, has_etcd};
use super::memory::Decision;
use super::{Context, confirm, decision, unit};
use crate::facts::k3s::config_value;
use crate::finding::{Condition, Finding};
use crate::machine::StepId;
use crate::sys::{Sys, read_text};

const LIMIT: Duration = Duration::from_secs(60);
/// K3s unpacks itself and starts containerd before it founds.
const FOUNDING: Duration = Duration::from_secs(300);
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
        carry_out(ctx)?;
    }
    if ctx.sealed {
        return Ok(());
    }
    if !unit::is_running(ctx)? {
        unit::start(ctx)?;
    }
    let unit = unit::name(ctx)?;
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

/// Waits until etcd has data, and takes the permission to found back.
fn finish_founding(ctx: &Context) -> Result<(), Condition> {
    let unit = unit::name(ctx)?;
    let founding = || Condition::new("K3s is founding the cluster", "waiting for etcd's data");
    ctx.wait(StepId::K3s, FOUNDING, PAUSE, || match has_data(ctx) {
        Ok(true) => Finding::Met,
        Ok(false) => Finding::Unmet(founding()),
        Err(condition) => Finding::Blocked(condition),
    });
    if has_data(ctx)? {
        return decision::write_home(ctx);
    }
    Err(confirm::with_complaint(ctx.sys, unit, founding()))
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
