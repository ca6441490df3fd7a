//! The board is the node its configuration names: host name, hosts file, machine id.

use std::io;
use std::path::Path;

use super::Context;
use crate::facts::hosts;
use crate::finding::{Condition, Finding};
use crate::sys::{Sys, read_text, read_text_if_there, write_durable};

const KERNEL_NAME: &str = "/proc/sys/kernel/hostname";
const HOSTNAME: &str = "/etc/hostname";
const HOSTS: &str = "/etc/hosts";
const MACHINE_ID: &str = "/etc/machine-id";

pub(super) fn check(ctx: &Context) -> Result<Finding, Condition> {
    let name = &ctx.config.node.name;
    if let Some(condition) = machine_id(ctx.sys)? {
        return Ok(Finding::Blocked(condition));
    }
    for file in [KERNEL_NAME, HOSTNAME] {
        let found = text(ctx.sys, file)?;
        if found.trim() != name {
            let what = format!("{file} says {:?}, not {name}", found.trim());
            return Ok(Finding::Unmet(Condition::new(what, "it is set")));
        }
    }
    if !hosts::names(&text(ctx.sys, HOSTS)?, name) {
        let what = format!("{HOSTS} does not know {name}");
        return Ok(Finding::Unmet(Condition::new(what, "it is added")));
    }
    Ok(Finding::Met)
}

pub(super) fn apply(ctx: &Context) -> Result<(), Condition> {
    let name = &ctx.config.node.name;
    let line = format!("{name}\n");
    if text(ctx.sys, HOSTNAME)?.trim() != name {
        write_durable(ctx.sys, Path::new(HOSTNAME), line.as_bytes(), 0o644)
            .map_err(|e| Condition::io(format!("writing {HOSTNAME}"), &e))?;
    }
    let old = text(ctx.sys, HOSTS)?;
    if !hosts::names(&old, name) {
        let new = hosts::with_own_name(&old, name);
        write_durable(ctx.sys, Path::new(HOSTS), new.as_bytes(), 0o644)
            .map_err(|e| Condition::io(format!("writing {HOSTS}"), &e))?;
    }
    if text(ctx.sys, KERNEL_NAME)?.trim() != name {
        ctx.sys
            .overwrite(Path::new(KERNEL_NAME), line.as_bytes())
            .map_err(|e| Condition::io("setting the host name", &e))?;
    }
    Ok(())
}

/// systemd gives every machine its id at its first boot (machine-id(5)); K3s and DHCP rely on it.
fn machine_id(sys: &dyn Sys) -> Result<Option<Condition>, Condition> {
    let id = text(sys, MACHINE_ID)?;
    let id = id.trim();
    if id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(None);
    }
    Ok(Some(Condition::new(
        format!("{MACHINE_ID} holds no machine id yet"),
        "systemd writes it at the first boot; if it never does, the root file system is read-only",
    )))
}

fn text(sys: &dyn Sys, file: &str) -> Result<String, Condition> {
    match file {
        HOSTNAME | HOSTS => read_text_if_there(sys, file).map(Option::unwrap_or_default),
        _ => read_text(sys, file),
    }
    .map_err(|e: io::Error| Condition::io(format!("reading {file}"), &e))
}
