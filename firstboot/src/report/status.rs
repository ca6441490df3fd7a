//! How `status.json` follows a run.

use std::io;
use std::path::Path;

use nodeconf::status::{STATUS_VERSION, State, Status, StepStatus, Trouble};
use nodeconf::{NodeConfig, paths};

use super::time;
use crate::finding::Condition;
use crate::ledger::Ledger;
use crate::machine::{StepId, steps};
use crate::sys::{Sys, write_durable};

/// The status as last written; `None` where there is none we can read.
pub fn load(sys: &dyn Sys) -> Option<Status> {
    let bytes = sys.read(Path::new(paths::STATUS)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

pub(super) fn save(status: &Status, sys: &dyn Sys) -> Result<(), Condition> {
    let failed = |e: io::Error| Condition::io(format!("writing {}", paths::STATUS), &e);
    let mut text = serde_json::to_string_pretty(status).expect("a status is plain data");
    text.push('\n');
    sys.make_dirs(Path::new(paths::STATE_DIR), 0o755).map_err(failed)?;
    write_durable(sys, Path::new(paths::STATUS), text.as_bytes(), 0o644).map_err(failed)
}

pub(super) fn identify(status: &mut Status, config: &NodeConfig) {
    status.version = STATUS_VERSION;
    env!("CARGO_PKG_VERSION").clone_into(&mut status.firstboot);
    status.cluster.clone_from(&config.cluster.name);
    status.cluster_id.clone_from(&config.cluster.id);
    status.node.clone_from(&config.node.name);
    status.role = Some(config.node.role);
    status.incarnation = config.node.incarnation;
}

pub(super) fn progress(status: &mut Status, config: &NodeConfig, ledger: &Ledger) {
    let seconds = |step| ledger.took(step).map(|d| (d.as_secs_f64() * 10.0).round() / 10.0);
    let sum = |installation| {
        let steps = steps(config).filter(|s| s.is_installation() == installation);
        steps.map(seconds).sum::<Option<f64>>().map(|s| (s * 10.0).round() / 10.0)
    };
    status.configuration_seconds = sum(false);
    status.installation_seconds = sum(true);
    status.steps = steps(config)
        .map(|step| StepStatus {
            name: step.name().to_owned(),
            done: ledger.done.contains_key(&step),
            seconds: seconds(step),
        })
        .collect();
}

/// Enters a state; `since` stays where nothing else changes.
pub(super) fn enter(
    status: &mut Status,
    sys: &dyn Sys,
    state: State,
    step: StepId,
    condition: Option<&Condition>,
) {
    let same_trouble = match (&status.trouble, condition) {
        (None, None) => true,
        (Some(old), Some(new)) => old.what == new.what && old.remedy == new.remedy,
        _ => false,
    };
    if status.state == state && status.step.as_deref() == Some(step.name()) && same_trouble {
        return;
    }
    status.state = state;
    status.step = Some(step.name().to_owned());
    status.since = time(sys.now().as_secs());
    status.trouble = condition.map(|c| trouble(step, c, status.since.clone()));
}

pub(super) fn remember_error(
    status: &mut Status,
    sys: &dyn Sys,
    step: StepId,
    condition: &Condition,
) {
    status.last_error = Some(trouble(step, condition, time(sys.now().as_secs())));
}

fn trouble(step: StepId, condition: &Condition, at: String) -> Trouble {
    Trouble {
        step: step.name().to_owned(),
        what: condition.what.clone(),
        remedy: condition.remedy.clone(),
        at,
    }
}
