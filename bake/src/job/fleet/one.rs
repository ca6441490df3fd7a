//! One node of a fleet, and the golden images below them all.

use std::collections::BTreeMap;
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::ledger::Ledger;
use super::report::State;
use super::{Request, Task};
use crate::delta::{self, Golden as Wanted, Subject};
use crate::emit::{Format, Output, Spec};
use crate::error::{Context, Error, IoContext, Result};
use crate::event::{Event, Sink, Unit};
use crate::job::build::{Check, NodeImage, Workshop};
use crate::job::open::lock;
use crate::sys::interrupt::Cancel;
use crate::units::human;

const STEP: &str = "node";

/// What all threads work with.
pub(super) struct Making<'a> {
    pub request: &'a Request,
    pub workshop: &'a Workshop,
    pub ledger: &'a Ledger,
    pub sink: &'a dyn Sink,
    pub cancel: &'a Cancel,
}

/// Golden images that were written, by the digest of what is shared.
#[derive(Default)]
pub(super) struct Goldens {
    written: BTreeMap<String, (String, String)>,
    /// Compressing takes all processors, and much memory: one image at a time.
    turn: Mutex<()>,
}

impl Goldens {
    pub(super) fn paths(&self, request: &Request) -> Vec<PathBuf> {
        self.written.values().map(|(file, _)| request.out_dir.join(file)).collect()
    }
}

impl Making<'_> {
    /// What need not be baked: unchanged, or in the way.
    pub(super) fn decide(&self, task: &Task) -> Option<State> {
        if self.request.force {
            return None;
        }
        if self.ledger.unchanged(&task.file, &task.inputs).is_some() {
            return Some(State::Unchanged);
        }
        self.may_write(&task.file).err().map(|error| State::Failed { error })
    }

    fn may_write(&self, file: &str) -> Result<()> {
        if self.request.force || self.ledger.is_ours(file) {
            return Ok(());
        }
        let path = self.request.out_dir.join(file);
        let reason = "it exists, and is not what an earlier fleet left there".into();
        Err(Error::Refused { action: format!("overwrite {}", path.display()), reason }
            .hint("use --force to replace it"))
    }

    /// Where blocks can be shared, puts what `tasks` have in common where full images can share it.
    pub(super) fn settle(&self, tasks: &[&Task]) -> Result<()> {
        if self.request.deltas || self.request.format != Format::Raw || tasks.len() < 2 {
            return Ok(());
        }
        let folder = &self.request.out_dir;
        tasks.iter().try_for_each(|task| {
            self.workshop.settle(&task.planned, folder, self.sink, self.cancel)
        })
    }

    /// Writes the golden images that the deltas of `tasks` are for, those that are not there.
    pub(super) fn goldens(&self, tasks: &[Task]) -> Result<Goldens> {
        let mut goldens = Goldens::default();
        for task in tasks.iter().filter(|_| self.request.deltas) {
            let digest = task.planned.recipe.shared_digest();
            if goldens.written.contains_key(&digest) {
                continue;
            }
            let role = match task.planned.plan.node.role {
                nodeconf::Role::Server => "server",
                nodeconf::Role::Agent => "agent",
                nodeconf::Role::Database => "database",
            };
            let mut file = self.request.image(&format!("golden-{role}"));
            if goldens.written.values().any(|(taken, _)| *taken == file) {
                file = self.request.image(&format!("golden-{role}-{}", &digest[..8]));
            }
            let plan = &task.planned.plan;
            let made_for = format!("golden {} {}", plan.profile, plan.cluster.name);
            let inputs = self.request.digest(self.workshop, &task.golden(), &made_for)?;
            let known = self.ledger.unchanged(&file, &inputs).filter(|_| !self.request.force);
            let identity = match known.and_then(|entry| entry.identity) {
                Some(identity) => identity,
                None => {
                    self.may_write(&file)?;
                    let golden = self.workshop.golden(&task.planned, self.sink, self.cancel)?;
                    self.ledger.begin([(file.as_str(), inputs.as_str())])?;
                    let spec = Spec { identity: true, ..self.spec(&file) };
                    let emitted = golden.emit(&spec, self.sink, self.cancel)?;
                    let identity = emitted.identity.unwrap_or_default();
                    self.ledger.done(&file, Some(identity.clone()))?;
                    identity
                }
            };
            goldens.written.insert(digest, (file, identity));
        }
        Ok(goldens)
    }

    fn spec(&self, file: &str) -> Spec {
        let thorough = self.request.thorough;
        let path = self.request.out_dir.join(file);
        Spec { force: true, digest: thorough, sync: thorough, ..Spec::new(path) }
    }

    /// Bakes a node and returns the length of its output.
    pub(super) fn one(&self, task: &Task, goldens: &Goldens, sink: &dyn Sink) -> Result<u64> {
        self.cancel.check()?;
        let golden = self.workshop.golden(&task.planned, self.sink, self.cancel)?;
        let name = &task.planned.plan.node.name;
        let doing = || format!("baking {name}");
        let quiet = Quiet { sink };
        let node = golden.node(task.planned.clone(), Check::Own, &quiet, self.cancel);
        let node = node.with_context(doing)?;
        let bytes = match goldens.written.get(golden.digest()) {
            Some((_, identity)) => {
                let used = golden.used().ranges().iter().map(|r| (r.start, r.end)).collect();
                let len = crate::store::BlockStore::len(&*lock(golden.image()));
                self.delta(task, Wanted { len, identity: identity.clone(), used }, &node)?
            }
            None => {
                let _turn = (self.request.format != Format::Raw)
                    .then(|| goldens.turn.lock().unwrap_or_else(PoisonError::into_inner));
                let emitted = node.emit(&self.spec(&task.file), &quiet, self.cancel);
                emitted.with_context(doing)?.bytes
            }
        };
        self.ledger.done(&task.file, None)?;
        sink.emit(Event::Finished { step: STEP, detail: human(bytes) });
        Ok(bytes)
    }

    fn delta(&self, task: &Task, golden: Wanted, node: &NodeImage) -> Result<u64> {
        let plan = &task.planned.plan;
        let subject = Subject {
            cluster: plan.cluster.name.clone(),
            name: plan.node.name.clone(),
            role: plan.node.role,
            incarnation: plan.node.incarnation,
        };
        let path = self.request.out_dir.join(&task.file);
        let output = Output::create(&path, true)?;
        let mut writer = BufWriter::new(output.file());
        let image = lock(node.image());
        delta::write(subject, golden, &image, node.used(), &mut writer).at("writing", &path)?;
        std::io::Write::flush(&mut writer).at("writing", &path)?;
        drop(writer);
        let bytes = output.len()?;
        self.cancel.check()?;
        output.publish(self.request.thorough)?;
        Ok(bytes)
    }
}

impl Task {
    /// What the golden image below it is made from: nothing of the node's own.
    fn golden(&self) -> crate::job::build::Planned {
        let mut planned = self.planned.clone();
        planned.plan.node.incarnation = 0;
        planned
    }
}

/// Of a node's steps, lets through how its image is written and what the user should read.
struct Quiet<'s> {
    sink: &'s dyn Sink,
}

impl Sink for Quiet<'_> {
    fn emit(&self, event: Event) {
        match event {
            Event::Started { step: "emit", total, .. } => {
                let title = "writing".into();
                self.sink.emit(Event::Started { step: STEP, title, total, unit: Unit::Bytes });
            }
            Event::Progress { step: "emit", done } => {
                self.sink.emit(Event::Progress { step: STEP, done });
            }
            Event::Warning { .. } => self.sink.emit(event),
            _ => {}
        }
    }
}
