//! The clock is not before the certificates, and synchronised if that can be had soon.
//!
//! Boards without a clock of their own start in the past. The floor makes certificates valid;
//! more would need a network that knows the time, and a cluster must stand without one.

use std::path::Path;
use std::time::Duration;

use super::Context;
use crate::finding::{Condition, Finding};
use crate::machine::StepId;
use crate::sys::{Command, Sys};

/// Runtime directory of systemd-timesyncd, there while it runs.
const TIMESYNC: &str = "/run/systemd/timesync";
/// It makes this file when it first synchronises (systemd-timesyncd(8)).
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";

pub(super) fn check(ctx: &Context) -> Result<Finding, Condition> {
    let floor = Duration::from_secs(ctx.config.system.clock_floor);
    if ctx.sys.now() < floor {
        let what = format!("the clock says {}", crate::report::time(ctx.sys.now().as_secs()));
        return Ok(Finding::Unmet(Condition::new(what, "it is set to the time of the bake")));
    }
    if synchronised(ctx.sys) {
        return Ok(Finding::Met);
    }
    if ctx.applied || ctx.config.system.time_wait == 0 {
        ctx.report.note("the clock is not synchronised; going on without");
        return Ok(Finding::Met);
    }
    Ok(Finding::Unmet(unsynchronised(ctx)))
}

pub(super) fn apply(ctx: &Context) -> Result<(), Condition> {
    let floor = Duration::from_secs(ctx.config.system.clock_floor);
    if ctx.sys.now() < floor {
        ctx.sys.set_clock(floor).map_err(|e| Condition::io("setting the clock", &e))?;
    }
    let limit = Duration::from_secs(ctx.config.system.time_wait.into());
    ctx.wait(StepId::Clock, limit, Duration::from_secs(1), || match synchronised(ctx.sys) {
        true => Finding::Met,
        false => Finding::Unmet(unsynchronised(ctx)),
    });
    Ok(())
}

fn unsynchronised(ctx: &Context) -> Condition {
    Condition::new(
        "the clock is not synchronised",
        format!("waiting for a time server, at most {} s", ctx.config.system.time_wait),
    )
}

/// timesyncd's own mark; for chrony and ntpd, what the kernel says through timedated. Asking that
/// costs a board a third of a second, so it is asked only where it must be.
fn synchronised(sys: &dyn Sys) -> bool {
    if sys.stat(Path::new(TIMESYNC)).is_ok() {
        return sys.stat(Path::new(SYNCHRONIZED)).is_ok();
    }
    let show = Command::new("timedatectl", ["show", "--property=NTPSynchronized"]);
    sys.run(&show).is_ok_and(|out| out.trim() == "NTPSynchronized=yes")
}
