//! Root has room, swap is off, and the kernel accounts memory.

use std::path::Path;
use std::time::Duration;

use nodeconf::Swap;

use super::Context;
use crate::facts::{cgroup, mounts};
use crate::finding::{Condition, Finding};
use crate::machine::StepId;
use crate::sys::{Command, Sys, read_text, read_text_if_there};

const MIB: u64 = 1024 * 1024;
/// Below this K3s cannot unpack itself and its first images.
const NEEDED: u64 = 256 * MIB;
/// A card with more than this behind the root partition was meant to be filled.
const UNUSED: u64 = 1024 * MIB;
/// The system's own growth of root runs beside us on the first boot.
const GROWTH: Duration = Duration::from_secs(60);

pub(super) fn check(ctx: &Context) -> Result<Finding, Condition> {
    if ctx.config.system.memory_cgroup && !has_memory_cgroup(ctx.sys)? {
        return Ok(Finding::Wrong(no_memory_cgroup(ctx)));
    }
    if let Some(finding) = room(ctx)? {
        return Ok(finding);
    }
    if ctx.config.system.swap == Swap::Off {
        let text = read(ctx.sys, "/proc/swaps")?;
        let active = mounts::swaps(&text);
        if !active.is_empty() {
            let what = format!("swap is on: {}", active.join(", "));
            return Ok(Finding::Unmet(Condition::new(what, "it is switched off")));
        }
    }
    Ok(Finding::Met)
}

pub(super) fn apply(ctx: &Context) -> Result<(), Condition> {
    ctx.wait(StepId::Storage, GROWTH, Duration::from_secs(1), || {
        room(ctx).map_or_else(Finding::Blocked, |finding| finding.unwrap_or(Finding::Met))
    });
    if ctx.config.system.swap == Swap::Off
        && !mounts::swaps(&read(ctx.sys, "/proc/swaps")?).is_empty()
    {
        ctx.sys.run(&Command::new("swapoff", ["-a"]))?;
        ctx.report.note(
            "something switched swap on that the image had off; it is off until the next boot",
        );
    }
    Ok(())
}

fn has_memory_cgroup(sys: &dyn Sys) -> Result<bool, Condition> {
    let v2 = read_text_if_there(sys, "/sys/fs/cgroup/cgroup.controllers")
        .map_err(|e| Condition::io("reading the cgroup controllers", &e))?;
    match v2 {
        Some(controllers) => Ok(cgroup::memory_in_v2(&controllers)),
        None => Ok(cgroup::memory_in_v1(&read(sys, "/proc/cgroups")?)),
    }
}

fn no_memory_cgroup(ctx: &Context) -> Condition {
    let file = match ctx.config.system.boot_mount.as_deref() {
        Some(mount) => format!("{mount}/cmdline.txt"),
        None => "the kernel command line".into(),
    };
    Condition::new(
        "the kernel runs without the memory cgroup, which K3s needs",
        format!("add cgroup_memory=1 cgroup_enable=memory to {file} and reboot"),
    )
}

/// Too little room is waited for while the system may still be growing root.
fn room(ctx: &Context) -> Result<Option<Finding>, Condition> {
    let space = ctx
        .sys
        .space(Path::new("/var/lib"))
        .map_err(|e| Condition::io("looking at the free space of /var/lib", &e))?;
    let unused = ctx.config.system.root_growth.then(|| unused_behind_root(ctx.sys, space.total));
    let growing = unused.flatten().filter(|&bytes| bytes > UNUSED);
    if space.free >= NEEDED {
        if let Some(bytes) = growing.filter(|_| ctx.applied) {
            ctx.report.note(&format!("{} MiB of the card are not used by root", bytes / MIB));
        }
        return Ok(None);
    }
    let what = format!("{} MiB are free on root, K3s needs {}", space.free / MIB, NEEDED / MIB);
    Ok(Some(match growing {
        Some(_) => Finding::Unmet(Condition::new(what, "root is still to grow over its card")),
        None => Finding::Blocked(Condition::new(
            what,
            "free some space, or bake with a larger root_size or on a larger card",
        )),
    }))
}

/// Bytes of the disk that the root file system does not cover, from the sizes in sysfs (in
/// sectors of 512 bytes whatever the disk says). `None` where root is not a plain partition.
fn unused_behind_root(sys: &dyn Sys, file_system: u64) -> Option<u64> {
    let (major, minor) = sys.stat(Path::new("/")).ok()?.device;
    let sectors = |file: &str| {
        let text = read_text(sys, format!("/sys/dev/block/{major}:{minor}/{file}")).ok()?;
        text.trim().parse::<u64>().ok()
    };
    sectors("partition")?;
    let behind = sectors("../size")?.checked_sub(sectors("start")?)?;
    Some((behind * 512).saturating_sub(file_system))
}

fn read(sys: &dyn Sys, file: &str) -> Result<String, Condition> {
    read_text(sys, file).map_err(|e| Condition::io(format!("reading {file}"), &e))
}
