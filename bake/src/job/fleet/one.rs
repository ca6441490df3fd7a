//! One node of a fleet.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::{Mutex, PoisonError};

use super::golden::Goldens;

use super::ledger::Ledger;
use super::report::State;
use super::{Request, Task};
use crate::delta::{self, Golden as Described, Subject};
use crate::emit::{Format, Output, Spec};
use crate::error::{Context, Error, IoContext, Result};
use crate::event::{Event, Sink, Unit};
use crate::io::digest::Hasher;
use crate::job::build::{Check, NodeImage, Workshop, documents};
use crate::job::open::lock;
use crate::provenance::attestation::Resource;
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
    /// Compressing takes all processors, and much memory: one image at a time.
    pub turn: Mutex<()>,
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

    pub(super) fn may_write(&self, file: &str) -> Result<()> {
        if self.request.force || self.ledger.is_ours(file) {
            return Ok(());
        }
        let path = self.request.out_dir.join(file);
        let reason = self.ledger.why_not_ours();
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

    pub(super) fn spec(&self, file: &str) -> Spec {
        let thorough = self.request.thorough;
        let path = self.request.out_dir.join(file);
        let crowded = self.request.deltas || self.request.jobs.min(self.request.plans.len()) > 1;
        Spec { force: true, digest: thorough, sync: thorough, crowded, ..Spec::new(path) }
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
        let bytes = match goldens.get(golden.digest()) {
            Some(wanted) => {
                let described = wanted.described(&golden, self.cancel)?;
                let beside = self.spec(wanted.file()).path;
                documents::share_bills(&task.planned, &beside, &self.spec(&task.file))?;
                self.delta(task, described, &node)?
            }
            None => {
                let _turn = (self.request.format != Format::Raw)
                    .then(|| self.turn.lock().unwrap_or_else(PoisonError::into_inner));
                let emitted = node.emit(&self.spec(&task.file), &quiet, self.cancel);
                emitted.with_context(doing)?.bytes
            }
        };
        self.ledger.done(&task.file, None)?;
        sink.emit(Event::Finished { step: STEP, detail: human(bytes) });
        Ok(bytes)
    }

    fn delta(&self, task: &Task, golden: Described, node: &NodeImage) -> Result<u64> {
        let plan = &task.planned.plan;
        let subject = Subject {
            cluster: plan.cluster.name.clone(),
            name: plan.node.name.clone(),
            role: plan.node.role,
            incarnation: plan.node.incarnation,
        };
        let spec = self.spec(&task.file);
        let path = &spec.path;
        let output = Output::create(path, true)?;
        let hash = {
            let hash = self.request.thorough.then(Hasher::default);
            let mut writer = Seen { file: BufWriter::new(output.file()), hash };
            let image = lock(node.image());
            delta::write(subject, golden, &image, node.used(), &mut writer).at("writing", path)?;
            writer.flush().at("writing", path)?;
            writer.hash
        };
        let bytes = output.len()?;
        self.cancel.check()?;
        output.publish(self.request.thorough)?;
        if let Some(hash) = hash.filter(|_| node.record().has_sbom()) {
            let delta = Resource::new(documents::name(path), hash.finish().to_string());
            documents::attest_to(node.record(), vec![delta], &spec)?;
        }
        Ok(bytes)
    }
}

/// A file, and the digest of what was written to it where that is wanted.
struct Seen<'f> {
    file: BufWriter<&'f File>,
    hash: Option<Hasher>,
}

impl Write for Seen<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.file.write(bytes)?;
        self.hash.iter_mut().for_each(|hash| hash.update(&bytes[..len]));
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
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
