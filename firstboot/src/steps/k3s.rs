//! K3s is enabled and started. Its unit, binary and configuration are baked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nodeconf::paths;

use super::Context;
use crate::facts::k3s::properties;
use crate::finding::{Condition, Finding};
use crate::machine::StepId;
use crate::sys::{Command, Sys};

const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn check(ctx: &Context) -> Result<Finding, Condition> {
    let unit = unit(ctx)?;
    if let Some(condition) = missing_file(ctx.sys, unit) {
        return Ok(Finding::Wrong(condition));
    }
    if !is_enabled(ctx.sys, unit) {
        return Ok(Finding::Unmet(Condition::new(
            format!("{unit} is not enabled"),
            "it is enabled",
        )));
    }
    running(ctx.sys, unit)
}

pub(super) fn apply(ctx: &Context) -> Result<(), Condition> {
    let unit = unit(ctx)?;
    if !is_enabled(ctx.sys, unit) {
        // Reloading all of systemd takes a busy board longer than everything else here, and the
        // unit is loaded already.
        ctx.sys.run(&Command::new("systemctl", ["enable", "--no-reload", unit]))?;
    }
    // systemctl does not sync its links, and the ledger must not know more than the disk.
    for dir in [Path::new(paths::UNIT_DIR), &wants()] {
        ctx.sys
            .sync_dir(dir)
            .map_err(|e| Condition::io(format!("syncing {}", dir.display()), &e))?;
    }
    if running(ctx.sys, unit)? != Finding::Met {
        // Fails where the unit has not failed before.
        let _ = ctx.sys.run(&Command::new("systemctl", ["reset-failed", unit]));
        // Without --no-block this would last until the server is up; the next step waits for that.
        ctx.sys.run(&Command::new("systemctl", ["start", "--no-block", unit]))?;
    }
    ctx.wait(StepId::K3s, LIMIT, Duration::from_millis(500), || {
        running(ctx.sys, unit).unwrap_or_else(Finding::Blocked)
    });
    Ok(())
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

/// What `systemctl enable` makes of `WantedBy=multi-user.target`.
fn is_enabled(sys: &dyn Sys, unit: &str) -> bool {
    sys.read_link(&wants().join(unit)).is_ok()
}

fn wants() -> PathBuf {
    Path::new(paths::UNIT_DIR).join("multi-user.target.wants")
}

fn running(sys: &dyn Sys, unit: &str) -> Result<Finding, Condition> {
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

/// The configured unit of a node that has a K3s.
pub(super) fn unit<'a>(ctx: &'a Context) -> Result<&'a str, Condition> {
    ctx.config.k3s.as_ref().map(|k3s| k3s.unit.as_str()).ok_or_else(|| {
        Condition::new("the node configuration has no K3s", "bake and flash the card again")
    })
}
