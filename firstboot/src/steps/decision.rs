//! The drop-in that says how K3s comes to its cluster: to found it, for one start, or to join.
//!
//! `cluster-init` founds wherever there is no data, without a word, so it stands in the file from
//! the moment the others agreed until etcd has data, and never when K3s starts by itself at boot.

use std::io;
use std::path::Path;

use nodeconf::paths;

use super::Context;
use super::bootstrap::home;
use super::memory::Decision;
use crate::facts::k3s::config_value;
use crate::finding::Condition;
use crate::sys::{read_text_if_there, write_durable};

const FILE: &str = paths::K3S_DECISION;
const HEAD: &str = "# Written by firstboot, which decides this on the node.\n";

/// For K3s to found the cluster.
pub(super) fn found() -> String {
    format!("{HEAD}cluster-init: true\n")
}

/// For K3s to join the cluster whose API is at `url`.
pub(super) fn join(url: &str) -> String {
    format!("{HEAD}server: \"{url}\"\n")
}

/// What is wrong with the file of a node that has data: it may found nothing any more.
pub(super) fn fault_with_data(ctx: &Context) -> Result<Option<Condition>, Condition> {
    let text = read(ctx)?.unwrap_or_default();
    let what = if config_value(&text, "cluster-init").is_some() {
        "still lets K3s found a cluster"
    } else if config_value(&text, "server").is_none() {
        "does not say where the cluster is"
    } else {
        return Ok(None);
    };
    Ok(Some(Condition::new(format!("{FILE} {what}"), "it is written anew")))
}

/// The file's text for a node without data.
pub(super) fn text(decision: &Decision) -> Option<String> {
    match decision {
        Decision::Found => Some(found()),
        Decision::Join(url) => Some(join(url)),
        Decision::Stay(_) => None,
    }
}

/// Whether the file has this text.
pub(super) fn is(ctx: &Context, text: &str) -> Result<bool, Condition> {
    Ok(read(ctx)?.as_deref() == Some(text))
}

/// Writes what a node with data needs.
pub(super) fn write_home(ctx: &Context) -> Result<(), Condition> {
    write(ctx, &join(&home(ctx.config)))
}

pub(super) fn write(ctx: &Context, text: &str) -> Result<(), Condition> {
    let failed = |e: io::Error| Condition::io(format!("writing {FILE}"), &e);
    let dir = Path::new(paths::K3S_CONFIG_DIR);
    if ctx.sys.stat(dir).is_err() {
        ctx.sys.make_dirs(dir, 0o755).map_err(failed)?;
        ctx.sys.sync_dir(dir.parent().unwrap_or(dir)).map_err(failed)?;
    }
    write_durable(ctx.sys, Path::new(FILE), text.as_bytes(), 0o600).map_err(failed)
}

fn read(ctx: &Context) -> Result<Option<String>, Condition> {
    read_text_if_there(ctx.sys, FILE).map_err(|e| Condition::io(format!("reading {FILE}"), &e))
}
