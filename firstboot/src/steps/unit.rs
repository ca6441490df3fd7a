//! K3s's unit, as systemd has it.

use std::path::{Path, PathBuf};

use nodeconf::paths;

use super::Context;
use crate::facts::k3s::properties;
use crate::finding::{Condition, Finding};
use crate::sys::{Command, Sys};

/// The configured unit of a node that has a K3s.
pub(super) fn name<'a>(ctx: &'a Context) -> Result<&'a str, Condition> {
    ctx.config.k3s.as_ref().map(|k3s| k3s.unit.as_str()).ok_or_else(|| {
        Condition::new("the node configuration has no K3s", "bake and flash the card again")
    })
}

/// Whether it starts by itself at the next boot: what `systemctl enable` makes of
/// `WantedBy=multi-user.target`.
pub(super) fn is_enabled(ctx: &Context) -> Result<bool, Condition> {
    Ok(ctx.sys.read_link(&wants().join(name(ctx)?)).is_ok())
}

/// Has it start by itself from the next boot on.
pub(super) fn enable(ctx: &Context) -> Result<(), Condition> {
    // Reloading all of systemd takes a busy board longer than everything else here, and the unit
    // is loaded already.
    ctx.sys.run(&Command::new("systemctl", ["enable", "--no-reload", name(ctx)?]))?;
    // systemctl does not sync its links, and the ledger must not know more than the disk.
    for dir in [Path::new(paths::UNIT_DIR), &wants()] {
        ctx.sys
            .sync_dir(dir)
            .map_err(|e| Condition::io(format!("syncing {}", dir.display()), &e))?;
    }
    Ok(())
}

/// Starts it, without waiting for it to be up.
pub(super) fn start(ctx: &Context) -> Result<(), Condition> {
    let unit = name(ctx)?;
    // Fails where the unit has not failed before.
    let _ = ctx.sys.run(&Command::new("systemctl", ["reset-failed", unit]));
    // Without --no-block this would last until the server is up.
    ctx.sys.run(&Command::new("systemctl", ["start", "--no-block", unit]))?;
    Ok(())
}

/// Stops it for this boot.
pub(super) fn stop(ctx: &Context) -> Result<(), Condition> {
    ctx.sys.run(&Command::new("systemctl", ["stop", name(ctx)?]))?;
    Ok(())
}

/// Whether it runs, or is about to.
pub(super) fn is_running(ctx: &Context) -> Result<bool, Condition> {
    Ok(running(ctx.sys, name(ctx)?)? == Finding::Met)
}

pub(super) fn running(sys: &dyn Sys, unit: &str) -> Result<Finding, Condition> {
    let show = Command::new("systemctl", ["show", "--property=ActiveState,SubState,Job", unit]);
    let out = sys.run(&show)?;
    let found = properties(&out);
    let state = found.get("ActiveState").copied().unwrap_or("unknown");
    Ok(match state {
        "active" | "activating" | "reloading" => Finding::Met,
        _ if found.get("Job").is_some_and(|job| !job.is_empty() && *job != "0") => {
            Finding::Unmet(Condition::new(
                format!("{unit} waits to be started"),
                "systemd starts it after what it depends on, such as network-online.target",
            ))
        }
        _ => Finding::Unmet(Condition::new(format!("{unit} is {state}"), "it is started")),
    })
}

/// How often systemd had to start it again.
pub(super) fn restarts(sys: &dyn Sys, unit: &str) -> Option<u32> {
    let out = sys.run(&Command::new("systemctl", ["show", "--property=NRestarts", unit])).ok()?;
    properties(&out).get("NRestarts")?.parse().ok()
}

fn wants() -> PathBuf {
    Path::new(paths::UNIT_DIR).join("multi-user.target.wants")
}
