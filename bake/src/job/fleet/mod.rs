//! `bake fleet`: every node of a profile, from one base image and one golden layer for each role.

mod golden;
mod ledger;
mod one;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use nodeconf::Role;
use sha2::{Digest, Sha256};

use super::build::{Planned, Sources, Workshop, cards};
use crate::emit::Format;
use crate::error::{Error, IoContext, Result};
use crate::event::{Event, Part, Sink, Unit};
use crate::fetch::Fetcher;
use crate::profile::{Claim, ClusterSecrets, NodePlan, SecretsFile};
use crate::sys::interrupt::Cancel;

pub use report::{Outcome, Report, State};

use ledger::Ledger;
use one::Making;

const STEP: &str = "fleet";

/// What to bake.
#[derive(Debug, Clone)]
pub struct Request {
    /// The nodes, of one profile.
    pub plans: Vec<NodePlan>,
    /// What they are made of.
    pub sources: Sources,
    /// Where the outputs go; made where it is missing.
    pub out_dir: PathBuf,
    /// How images are written.
    pub format: Format,
    /// Whether each node is a delta to its role's golden image.
    pub deltas: bool,
    /// How many nodes are baked at a time.
    pub jobs: usize,
    /// Whether everything is made anew, and what others wrote is replaced.
    pub force: bool,
    /// Whether digests are taken, and outputs waited for until the disk has them.
    pub thorough: bool,
}

/// A node and what it becomes.
struct Task {
    planned: Planned,
    file: String,
    inputs: String,
}

/// Bakes what has changed.
///
/// # Errors
/// What concerns all nodes: the base image, what they are made of, the folder, the secrets. What
/// one node fails with is in the report, and stops none of the others.
pub fn bake(
    request: &Request,
    fetcher: &Fetcher<'_>,
    secrets: &mut SecretsFile,
    sink: &dyn Sink,
    cancel: &Cancel,
) -> Result<Report> {
    fs::create_dir_all(&request.out_dir).at("making the folder", &request.out_dir)?;
    let ledger = Ledger::open(&request.out_dir)?;
    let workshop = Workshop::open(&request.plans, &request.sources, fetcher, sink)?;
    let tasks = plan(request, &workshop, secrets, sink)?;
    let turn = Mutex::default();
    let making = Making { request, workshop: &workshop, ledger: &ledger, sink, cancel, turn };
    let mut states: Vec<Option<State>> = tasks.iter().map(|task| making.decide(task)).collect();
    let todo: Vec<usize> = (0..tasks.len()).filter(|i| states[*i].is_none()).collect();
    let title = format!("Baking {} of {} nodes", todo.len(), tasks.len());
    let total = Some(todo.len() as u64);
    sink.emit(Event::Started { step: STEP, title, total, unit: Unit::Items });
    let goldens = making.goldens(&tasks)?;
    let files = todo.iter().map(|i| (tasks[*i].file.as_str(), tasks[*i].inputs.as_str()));
    ledger.begin(files.chain(goldens.to_write()))?;
    making.write_bills(&goldens)?;
    making.settle(&todo.iter().map(|i| &tasks[*i]).collect::<Vec<_>>())?;
    let (written, found) = std::thread::scope(|scope| {
        let golden = scope.spawn(|| making.write(&goldens));
        let found = each(&todo, request.jobs, |done, index| {
            let task = &tasks[index];
            let name = &task.planned.plan.node.name;
            let state = match making.one(task, &goldens, &Part::new(name.as_str(), sink)) {
                Ok(bytes) => State::Baked { bytes },
                Err(error) => State::Failed { error },
            };
            sink.emit(Event::Progress { step: STEP, done });
            state
        });
        (golden.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), found)
    });
    ledger.close()?;
    cancel.check()?;
    written?;
    for (index, state) in found {
        states[index] = Some(state);
    }
    let outcomes = tasks.into_iter().zip(states).map(|(task, state)| Outcome {
        golden: goldens.path(&task, request),
        node: task.planned.plan.node.name,
        incarnation: task.planned.plan.node.incarnation,
        path: request.out_dir.join(task.file),
        state: state.unwrap_or(State::Unchanged),
    });
    let report = Report { nodes: outcomes.collect(), golden: goldens.paths(request) };
    sink.emit(Event::Finished { step: STEP, detail: report.summary() });
    Ok(report)
}

/// Claims every node's incarnation and plans its edits. What is said of several is said once.
fn plan(
    request: &Request,
    workshop: &Workshop,
    secrets: &mut SecretsFile,
    sink: &dyn Sink,
) -> Result<Vec<Task>> {
    let mut plans = request.plans.clone();
    let digests = plans.iter().map(|plan| workshop.inputs(plan)).collect::<Result<Vec<_>>>()?;
    let shape =
        |plan: &NodePlan| ClusterSecrets::shape(&plan.cluster, plan.node.role == Role::Server);
    let shapes: Vec<String> = plans.iter().map(shape).collect();
    let mut claims = Vec::new();
    for (plan, (inputs, shape)) in plans.iter().zip(digests.iter().zip(&shapes)) {
        claims.push(Claim { node: &plan.node.name, inputs, shape, replace: false });
    }
    let incarnations = secrets.claim_all(&claims)?;
    for (plan, incarnation) in plans.iter_mut().zip(incarnations) {
        plan.node.incarnation = incarnation;
    }
    let (mut notes, mut warnings) = (BTreeSet::new(), BTreeSet::new());
    let mut tasks = Vec::new();
    for (plan, inputs) in plans.into_iter().zip(digests) {
        warnings.extend(cards::warnings(&plan, secrets.secrets()));
        let planned = workshop.plan(plan)?;
        notes.extend(planned.recipe.notes.iter().cloned());
        warnings.extend(planned.recipe.warnings.iter().cloned());
        let file = request.file_of(&planned.plan.node.name);
        let inputs = request.digest(workshop, &planned, &inputs)?;
        tasks.push(Task { planned, file, inputs });
    }
    notes.into_iter().for_each(|message| sink.emit(Event::Note { message }));
    warnings.into_iter().for_each(|message| sink.emit(Event::Warning { message }));
    Ok(tasks)
}

impl Request {
    fn file_of(&self, node: &str) -> String {
        if self.deltas { format!("{node}.delta") } else { self.image(node) }
    }

    fn image(&self, stem: &str) -> String {
        let suffix = match self.format {
            Format::Raw => "",
            Format::Zstd => ".zst",
            Format::Xz => ".xz",
            Format::Gzip => ".gz",
        };
        format!("{stem}.img{suffix}")
    }

    /// Everything that an output is made from, this program included.
    fn digest(&self, workshop: &Workshop, planned: &Planned, inputs: &str) -> Result<String> {
        let base = workshop.base();
        let found = fs::metadata(&base.path).at("looking at", &base.path)?;
        let text = format!(
            "{} {} {inputs} {} {} {} {:?} {:?}",
            env!("CARGO_PKG_VERSION"),
            crate::delta::VERSION,
            planned.plan.node.incarnation,
            planned.shared,
            planned.time,
            base.sha256,
            // Of a file whose digest is not known, what tells it from another.
            base.sha256.is_none().then(|| (found.len(), found.modified().ok())),
        );
        Ok(hex::encode(Sha256::digest(text)))
    }
}

/// Hands every item to one of `jobs` threads; `work` is told how many were begun before.
fn each<T: Send>(
    items: &[usize],
    jobs: usize,
    work: impl Fn(u64, usize) -> T + Sync,
) -> BTreeMap<usize, T> {
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let found = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let number = done.fetch_add(1, Ordering::Relaxed) + 1;
                    let outcome = work(number as u64, *item);
                    let mut found = found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    found.insert(*item, outcome);
                }
            });
        }
    });
    found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Report {
    /// The errors of the nodes that failed, as one.
    ///
    /// # Errors
    /// [`Error::Parts`].
    pub fn check(self) -> Result<()> {
        let total = self.nodes.len();
        let failed = self.nodes.into_iter().filter_map(|outcome| match outcome.state {
            State::Failed { error } => Some((outcome.node, error)),
            _ => None,
        });
        let failed: Vec<(String, Error)> = failed.collect();
        if failed.is_empty() { Ok(()) } else { Err(Error::Parts { what: "nodes", total, failed }) }
    }
}
