//! One run: ask the machine what comes next, do it, until it says how to end.

use std::path::Path;

use nodeconf::{NodeConfig, paths};
use serde::Deserialize;

use crate::exit::Exit;
use crate::finding::{Condition, Finding};
use crate::ledger::{Ledger, LedgerError, Moment};
use crate::machine::{Action, Facts, StepId, decide, steps as steps_of};
use crate::report::Report;
use crate::steps::{self, Context, Memory};
use crate::sys::{Priority, Sys};

const LOCK: &str = "/run/bake/lock";

/// Brings the node as far as it goes, and reports.
#[must_use]
pub fn run(sys: &dyn Sys) -> Exit {
    if !take_lock(sys) {
        sys.say(Priority::Warning, "firstboot is already running; see systemctl status");
        return Exit::TryAgain;
    }
    let report = Report::open(sys);
    let (exit, trouble) = match prepare(sys, &report) {
        Ok((config, ledger)) => {
            let mut run = Run {
                sys,
                config,
                ledger,
                report: &report,
                facts: Facts::default(),
                memory: Memory::default(),
            };
            run.drive()
        }
        Err((exit, condition)) => (exit, Some((StepId::Identity, condition))),
    };
    report.end(exit, trouble.as_ref().map(|(step, condition)| (*step, condition)));
    exit
}

type Stop = (Exit, Condition);

fn prepare(sys: &dyn Sys, report: &Report) -> Result<(NodeConfig, Ledger), Stop> {
    let config = load_config(sys)?;
    report.identify(&config);
    let found = Ledger::load(sys).map_err(|error| match error {
        LedgerError::Io(e) => {
            (Exit::TryAgain, Condition::io(format!("reading {}", paths::LEDGER), &e))
        }
        LedgerError::Malformed(_) | LedgerError::Version(_) => (
            Exit::Broken,
            Condition::new(
                error.to_string(),
                "check the card; remove the file to have every step checked again",
            ),
        ),
    })?;
    let ledger = match found {
        Some(ledger) if !ledger.is_outdated_by(&config) => ledger,
        older => {
            if let Some(Ledger { incarnation, .. }) = older {
                let new = config.node.incarnation;
                report.milestone(&format!(
                    "this card was incarnation {incarnation} of the node and was baked anew as \
                     {new}: all is looked at again"
                ));
            }
            let ledger = Ledger::begin(&config, Moment::now(sys));
            ledger.save(sys).map_err(|condition| (Exit::TryAgain, condition))?;
            ledger
        }
    };
    report.progress(&config, &ledger);
    if !ledger.sealed() {
        report.milestone(&format!(
            "firstboot {}: {} of cluster {}, {} of {} steps done",
            env!("CARGO_PKG_VERSION"),
            config.node.name,
            config.cluster.name,
            ledger.done.len(),
            steps_of(&config).count()
        ));
    }
    Ok((config, ledger))
}

/// Reads the node configuration.
///
/// # Errors
/// How to end, and why.
pub fn load_config(sys: &dyn Sys) -> Result<NodeConfig, Stop> {
    let bytes = sys.read(Path::new(paths::NODE_CONFIG)).map_err(|e| {
        let condition = nobodys(sys).unwrap_or_else(|| {
            Condition::new(
                format!("reading {}: {e}", paths::NODE_CONFIG),
                "this card was not baked, or not completely: bake and flash it again",
            )
        });
        (Exit::ConfigWrong, condition)
    })?;
    NodeConfig::parse(&bytes).map_err(|e| {
        let condition = Condition::new(
            format!("{}: {e}", paths::NODE_CONFIG),
            "bake and flash the card again, with a bake of the same release as this firstboot",
        );
        (Exit::ConfigWrong, condition)
    })
}

/// What is missing on the card of a release image that was made no node's: it has a record, which
/// names none.
fn nobodys(sys: &dyn Sys) -> Option<Condition> {
    #[derive(Deserialize)]
    struct Record {
        node: Node,
    }
    #[derive(Deserialize)]
    struct Node {
        profile: String,
        name: Option<String>,
        role: String,
    }
    let record = sys.read(Path::new(paths::RECORD)).ok()?;
    let Record { node } = serde_json::from_slice(&record).ok()?;
    let Node { profile, name: None, role } = node else { return None };
    Some(Condition::new(
        format!(
            "this card holds a release image, profile {profile}, role {role}: no node's name, \
             address or secrets are on it"
        ),
        format!(
            "make it a node before it goes into the board: `bake personalise IMAGE --profile \
             {profile} --node NAME`, and write that image to the card"
        ),
    ))
}

/// Two runs at a time, the unit's and a person's, would step on each other; the second one must
/// not even report. Without a lock file to take, there is no other to fear: `/run` is in memory.
fn take_lock(sys: &dyn Sys) -> bool {
    let made = sys.make_dirs(Path::new(paths::RUNTIME_DIR), 0o755);
    made.and_then(|()| sys.lock(Path::new(LOCK))).unwrap_or(true)
}

struct Run<'a> {
    sys: &'a dyn Sys,
    config: NodeConfig,
    ledger: Ledger,
    report: &'a Report<'a>,
    facts: Facts,
    memory: Memory,
}

impl Run<'_> {
    fn drive(&mut self) -> (Exit, Option<(StepId, Condition)>) {
        loop {
            match decide(&self.ledger, &self.facts, &self.config) {
                Action::Observe(step) => self.observe(step),
                Action::Apply(step) => self.apply(step),
                Action::Record(step) => self.record(step),
                Action::Finish(exit, why) => return (exit, why),
            }
        }
    }

    fn context(&self, step: StepId) -> Context<'_> {
        Context {
            sys: self.sys,
            config: &self.config,
            report: self.report,
            applied: self.facts.was_applied(step),
            sealed: self.ledger.sealed(),
            memory: &self.memory,
        }
    }

    fn observe(&mut self, step: StepId) {
        let finding = steps::check(step, &self.context(step));
        if self.ledger.sealed()
            && let Finding::Unmet(c) | Finding::Blocked(c) = &finding
        {
            self.report.note(&format!("{step}: {}", c.what));
        }
        self.facts.saw(step, finding);
    }

    fn apply(&mut self, step: StepId) {
        if let Some(condition) = self.facts.finding(step).and_then(Finding::condition) {
            self.report.applying(step, condition);
        }
        let applied = steps::apply(step, &self.context(step));
        self.facts.applied(step);
        if let Err(condition) = applied {
            self.facts.saw(step, Finding::Blocked(condition));
        }
    }

    fn record(&mut self, step: StepId) {
        let mut ledger = self.ledger.clone();
        ledger.done.insert(step, Moment::now(self.sys));
        if let Err(condition) = ledger.save(self.sys) {
            self.facts.saw(step, Finding::Blocked(condition));
            return;
        }
        self.ledger = ledger;
        self.report.progress(&self.config, &self.ledger);
        self.report.done(step, self.ledger.took(step).unwrap_or_default());
    }
}
