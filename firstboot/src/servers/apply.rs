//! Brings the node's services to the servers that there are.
//!
//! A configuration is judged by its program before it takes the old one's place, and a service that
//! runs is reloaded. What was done is kept in `/run`: a run that is cut short between the file and
//! the reload reloads once more.

use std::path::Path;
use std::time::Duration;

use nodeconf::vip::{OURS, Shared};
use nodeconf::{NodeConfig, Peer, paths};

use super::firewall;
use super::service::{SERVICES, Service};
use crate::finding::Condition;
use crate::sys::{Sys, read_text_if_there, write_durable};
use crate::witness::{List, Progress};

/// keepalived takes up its configuration some moments after systemctl is done, more on a slow board.
const SETTLE: Duration = Duration::from_secs(1);

/// Writes down what was done in this boot, where nobody sees half of it.
pub(super) fn note(sys: &dyn Sys, progress: &Progress) -> Result<(), Condition> {
    let path = paths::SERVERS_STATE;
    let failed = |e: std::io::Error| Condition::io(format!("writing {path}"), &e);
    let json = serde_json::to_vec(progress).map_err(|e| failed(e.into()))?;
    sys.make_dirs(Path::new(paths::RUNTIME_DIR), 0o755).map_err(failed)?;
    write_durable(sys, Path::new(path), &json, 0o644).map_err(failed)
}

/// Makes the services go by `list`. `before` are the servers that the firewall was opened for.
pub(super) fn apply(
    sys: &dyn Sys,
    config: &NodeConfig,
    list: &List,
    before: &[Peer],
) -> Result<(), Condition> {
    let servers = list.changes.servers(config);
    let shared = Shared::of(config, &servers);
    let mut written = Vec::new();
    // A card on which nothing was ever kept has the files that were baked, or somebody's own.
    if let (Some(shared), Some(_)) = (&shared, &list.digest) {
        for service in &SERVICES {
            if outdated(sys, service, shared)? {
                let text = service.wanted(shared);
                judge(sys, service, &text)?;
                written.push((service, text));
            }
        }
    }
    if list.digest.is_some() {
        firewall::open(sys, config, before, &servers)?;
    }
    // At the first look in a boot, what runs has read what it found.
    let first = read_text_if_there(sys, paths::SERVERS_STATE).is_ok_and(|text| text.is_none());
    let progress = Progress::read(sys);
    if !written.is_empty() || !(first || progress.has_applied(list)) {
        note(sys, &Progress { applied: false, ..progress.clone() })?;
        for (service, text) in &written {
            write_durable(sys, Path::new(service.config), text.as_bytes(), service.mode())
                .map_err(|e| Condition::io(format!("writing {}", service.config), &e))?;
        }
        if shared.is_some() {
            take_up(sys)?;
        }
    }
    let digest = list.digest.clone();
    note(sys, &Progress { applied: true, digest, trouble: None, ..progress })
}

/// Has the program look at a configuration before it becomes its own; one that is not installed yet
/// is asked by the step `vip` once it is.
fn judge(sys: &dyn Sys, service: &Service, text: &str) -> Result<(), Condition> {
    let candidate = format!("{}/{}.new", paths::RUNTIME_DIR, service.program);
    sys.make_dirs(Path::new(paths::RUNTIME_DIR), 0o755)
        .and_then(|()| sys.create(Path::new(&candidate), text.as_bytes(), service.mode()))
        .map_err(|e| Condition::io(format!("writing {candidate}"), &e))?;
    let judged = service.judge_if_there(sys, &candidate);
    let _ = sys.remove(Path::new(&candidate));
    judged.map(drop)
}

/// Reloads what runs.
fn take_up(sys: &dyn Sys) -> Result<(), Condition> {
    let mut reloaded = false;
    for service in &SERVICES {
        reloaded |= service.reload(sys)?;
    }
    if reloaded {
        sys.sleep(SETTLE);
    }
    Ok(())
}

/// Whether a file of ours says something else. One that is not ours is the business of the step
/// `vip`, which says so.
fn outdated(sys: &dyn Sys, service: &Service, shared: &Shared) -> Result<bool, Condition> {
    let file = service.config;
    let text =
        read_text_if_there(sys, file).map_err(|e| Condition::io(format!("reading {file}"), &e))?;
    match text {
        Some(text) if text.starts_with(OURS) => Ok(text != service.wanted(shared)),
        _ => Err(Condition::new(
            format!("{file} is not the one that was baked"),
            "bring ours back, or bake and flash the card again",
        )),
    }
}
