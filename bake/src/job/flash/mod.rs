//! Writing cards: from a profile's nodes, composed on the way, or from an image file.
//!
//! A [`Supply`] makes what goes onto a card, a [`Ledger`] remembers which card is which node, and
//! [`Flasher`] brings the two onto devices, several at a time.

mod hold;
mod image;
mod ledger;
mod nodes;
mod outcome;
mod stamp;
mod watch;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use crate::device::{self, Demand, Device, Fault, Platform};
use crate::disk;
use crate::emit::InUse;
use crate::emit::card::{self, Stage, Unfinished, Written};
use crate::error::{Error, Result};
use crate::event::{Event, Part, Sink, Unit};
use crate::job::open::lock;
use crate::store::{BlockStore, SharedImage};
use crate::sys::interrupt::Cancel;
use crate::units::human;

pub use hold::Held;
pub use image::{FromImage, Origin};
pub use ledger::{Entry, Ledger, State};
pub use nodes::FromProfile;
pub use outcome::{Outcome, conclude};
pub use watch::{Places, watch};

/// What goes onto one card.
#[derive(Debug)]
pub struct Content {
    /// The image, in layers: nothing of it has been written anywhere yet.
    pub image: SharedImage,
    /// What of it is in use.
    pub used: InUse,
    /// The node it is; `None` for an image that is no node of ours.
    pub subject: Option<Subject>,
}

/// Which card of which node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Name of the node.
    pub node: String,
    /// How often its card was made anew, from 1.
    pub incarnation: u32,
}

/// Makes what goes onto cards.
pub trait Supply: Sync {
    /// The content of the next card of `node`; `None` means whatever there is to be had.
    ///
    /// # Errors
    /// What baking or reading it fails with.
    fn make(&self, node: Option<&str>, sink: &dyn Sink, cancel: &Cancel) -> Result<Content>;
}

/// How cards are written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Whether loop devices count as cards.
    pub loops: bool,
    /// Whether the true capacity is looked for first.
    pub check_capacity: bool,
}

/// One card and what it becomes.
#[derive(Debug, Clone)]
pub struct Order {
    /// The device, as it was seen.
    pub device: Device,
    /// The node, where it has a name.
    pub node: Option<String>,
}

/// Brings content onto cards.
pub struct Flasher<'a> {
    /// Finds and opens devices.
    pub platform: &'a dyn Platform,
    /// Makes their content.
    pub supply: &'a dyn Supply,
    /// Remembers which card is which node.
    pub ledger: Option<&'a Ledger>,
    /// How.
    pub options: Options,
    /// Told what happens.
    pub sink: &'a dyn Sink,
    /// Stops all of it.
    pub cancel: &'a Cancel,
}

impl std::fmt::Debug for Flasher<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flasher").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Looks at devices and refuses all of them where one may not be written: the user has named a
/// wrong one.
///
/// # Errors
/// [`Error::Refused`]; no such device.
pub fn look(platform: &dyn Platform, paths: &[PathBuf], loops: bool) -> Result<Vec<Device>> {
    let mut devices: Vec<Device> = Vec::new();
    for path in paths {
        let device = platform.look(path)?;
        if devices.iter().any(|d| d.number == device.number) {
            return Err(Error::Usage(format!("{} is named twice", device.path.display())));
        }
        devices.push(device::judge(device, Demand { bytes: 0, loops })?.device().clone());
    }
    Ok(devices)
}

/// Every card that may be written, however small.
///
/// # Errors
/// Those of the system.
pub fn removable(platform: &dyn Platform, loops: bool) -> Result<Vec<Device>> {
    let listed = platform.list()?.into_iter();
    let cleared = listed.filter_map(|d| device::judge(d, Demand { bytes: 0, loops }).ok());
    Ok(cleared.map(|c| c.device().clone()).collect())
}

impl Flasher<'_> {
    fn demand(&self, bytes: u64) -> Demand {
        Demand { bytes, loops: self.options.loops }
    }

    /// Writes all cards at a time; `done` hears of each as it ends.
    pub fn all(&self, orders: Vec<Order>, done: &(dyn Fn(&Outcome) + Sync)) -> Vec<Outcome> {
        let outcomes = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for (index, order) in orders.into_iter().enumerate() {
                let outcomes = &outcomes;
                scope.spawn(move || {
                    let outcome = self.one(&order);
                    done(&outcome);
                    outcomes.lock().unwrap_or_else(|e| e.into_inner()).push((index, outcome));
                });
            }
        });
        let mut outcomes = outcomes.into_inner().unwrap_or_else(|e| e.into_inner());
        outcomes.sort_by_key(|(index, _)| *index);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    /// Writes one card.
    pub fn one(&self, order: &Order) -> Outcome {
        let start = Instant::now();
        let part = Part::new(order.device.path.display().to_string(), self.sink);
        let mut subject = None;
        let result = self.write(order, &part, &mut subject);
        let node = subject.as_ref().map(|s| s.node.clone()).or_else(|| order.node.clone());
        Outcome {
            device: order.device.clone(),
            node,
            incarnation: subject.map(|s| s.incarnation),
            seconds: start.elapsed().as_secs_f64(),
            result,
        }
    }

    fn write(
        &self,
        order: &Order,
        sink: &dyn Sink,
        subject: &mut Option<Subject>,
    ) -> Result<Written> {
        self.cancel.check()?;
        let content = self.supply.make(order.node.as_deref(), sink, self.cancel)?;
        subject.clone_from(&content.subject);
        let image = lock(&content.image);
        let cleared = device::judge(order.device.clone(), self.demand(card::needed(image.len())))?;
        let mut transport = self.platform.open(&cleared)?;
        let name = order.device.to_string();
        let about = |fault: Fault| fault.into_error(&name);
        if self.options.check_capacity {
            let mut steps =
                Steps::new(sink, "capacity", "Looking for the true capacity", Unit::Items);
            let nonce = rand::random();
            let checked =
                device::check_capacity(transport.as_mut(), nonce, self.cancel, |done, total| {
                    steps.at(done, total);
                });
            // Marks lie where the partition table was: whatever it said is gone.
            checked.map_err(about)?;
            steps.finish("as large as it says".into());
        }
        let record = |state: State| match (self.ledger, &content.subject) {
            (Some(ledger), Some(subject)) => ledger.record(subject, &order.device, state),
            _ => Ok(()),
        };
        record(State::Begun)?;
        let partitions = partitions(&image)?;
        let parts = card::Content { image: &image, used: &content.used, partitions: &partitions };
        let mut steps: Option<(Stage, Steps<'_>)> = None;
        let mut progress = |stage: Stage, done: u64, total: u64| {
            if steps.as_ref().is_none_or(|(running, _)| *running != stage) {
                if let Some((stage, ended)) = steps.take() {
                    let detail = ended.detail();
                    ended.finish(format!("{} {detail}", past(stage)));
                }
                let (step, title) = title(stage);
                steps = Some((stage, Steps::new(sink, step, title, Unit::Bytes)));
            }
            if let Some((_, steps)) = &mut steps {
                steps.at(done, total);
            }
        };
        let written = card::write(parts, transport.as_mut(), self.cancel, &mut progress);
        if let Some((stage, ended)) = steps.take().filter(|_| written.is_ok()) {
            let detail = ended.detail();
            ended.finish(format!("{} {detail}", past(stage)));
        }
        // Until it is closed nobody else may touch it.
        drop(transport);
        match &written {
            Ok(_) => record(State::Done)?,
            Err(unfinished) if unfinished.blank || !unfinished.touched => record(State::Failed)?,
            // It may hold a partition table and boot: it stays begun.
            Err(_) => {}
        }
        written.map_err(|unfinished| explain(unfinished, &name))
    }
}

/// The error of a card that is not whole, with what is on it now.
fn explain(unfinished: Unfinished, name: &str) -> Error {
    let Unfinished { fault, touched, blank } = unfinished;
    let state = match (touched, blank) {
        (false, _) => "nothing was written to it",
        (true, true) => "it has no partition table now and boots nothing: flash it again",
        (true, false) => "what is on it is not to be used",
    };
    fault.into_error(name).hint(format!("{name}: {state}"))
}

fn partitions(image: &crate::store::Image) -> Result<Vec<Range<u64>>> {
    // An image that we cannot read is written whole.
    match disk::read(image) {
        Ok(table) => Ok(table.partitions.iter().map(|p| p.start..p.start + p.len).collect()),
        Err(Error::Io { doing, path, source }) => Err(Error::Io { doing, path, source }),
        Err(_) => Ok(Vec::new()),
    }
}

fn title(stage: Stage) -> (&'static str, &'static str) {
    match stage {
        Stage::Clear => ("clear", "Clearing"),
        Stage::Write => ("write", "Writing"),
        Stage::Verify => ("verify", "Reading back"),
    }
}

fn past(stage: Stage) -> &'static str {
    match stage {
        Stage::Clear => "cleared",
        Stage::Write => "wrote",
        Stage::Verify => "read back",
    }
}

/// Events of one step; what was done is told every 8 MiB at most.
struct Steps<'a> {
    sink: &'a dyn Sink,
    step: &'static str,
    title: &'static str,
    unit: Unit,
    total: Option<u64>,
    told: u64,
}

impl<'a> Steps<'a> {
    fn new(sink: &'a dyn Sink, step: &'static str, title: &'static str, unit: Unit) -> Self {
        Self { sink, step, title, unit, total: None, told: 0 }
    }

    fn at(&mut self, done: u64, total: u64) {
        if self.total.is_none() {
            let (step, title, unit) = (self.step, self.title.to_owned(), self.unit);
            self.sink.emit(Event::Started { step, title, total: Some(total), unit });
            self.total = Some(total);
        }
        let often = if self.unit == Unit::Bytes { 8 << 20 } else { 1 };
        if done >= self.told + often {
            self.told = done;
            self.sink.emit(Event::Progress { step: self.step, done });
        }
    }

    fn detail(&self) -> String {
        human(self.total.unwrap_or(0))
    }

    fn finish(self, detail: String) {
        self.sink.emit(Event::Finished { step: self.step, detail });
    }
}
