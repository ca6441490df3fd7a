//! Waiting for cards: each one that is inserted becomes the next node.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::{Flasher, Order, Outcome};
use crate::device::{Bus, Device};
use crate::error::Result;
use crate::event::{Event, Unit};

/// How often it looks.
const EVERY: Duration = Duration::from_millis(500);

const STEP: &str = "wait";

/// What tells one insertion of a card from another.
type Insertion = (PathBuf, Option<u64>, u64, Option<String>);

fn insertion(device: &Device) -> Insertion {
    let who = device.identity.unique().map(str::to_owned);
    (device.path.clone(), device.sequence, device.size, who)
}

/// Where cards are waited for.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Only these devices; all where there are none. Loop devices are watched only by name: they
    /// come and go for other reasons.
    pub only: Vec<PathBuf>,
    /// Whether a card that is there already is taken.
    pub present: bool,
}

impl Places {
    fn have(&self, device: &Device) -> bool {
        match self.only.as_slice() {
            [] => device.bus != Bus::Loop,
            only => only.contains(&device.path),
        }
    }
}

/// Gives every card that is inserted at `places` the next of `nodes`, until each of them has a
/// whole card. A node whose card fails waits for another card.
///
/// `may` is asked before a card is overwritten.
///
/// # Errors
/// [`crate::error::Error::Interrupted`]; what listing devices fails with. Cards that are being
/// written then are ended first.
pub fn watch(
    flasher: &Flasher<'_>,
    nodes: &[String],
    places: &Places,
    may: &dyn Fn(&Order) -> Result<bool>,
    done: &(dyn Fn(&Outcome) + Sync),
) -> Result<Vec<Outcome>> {
    let mut waiting: VecDeque<String> = nodes.iter().cloned().collect();
    let mut outcomes = Vec::new();
    let mut fresh = Vec::new();
    // What is there already is never touched, whatever becomes of it, unless it is meant.
    let mut known: BTreeSet<Insertion> = match places.present {
        true => BTreeSet::new(),
        false => flasher.platform.list()?.iter().map(insertion).collect(),
    };
    say(flasher, &waiting);
    std::thread::scope(|scope| -> Result<()> {
        let (ended, ends) = channel();
        let mut running = 0_usize;
        loop {
            for device in std::mem::take(&mut fresh) {
                let Some(node) = waiting.pop_front() else {
                    // It may still be needed, should another fail.
                    known.remove(&insertion(&device));
                    continue;
                };
                let order = Order { device, node: Some(node) };
                if !may(&order)? {
                    waiting.extend(order.node);
                    continue;
                }
                let detail = format!(
                    "{} becomes {}",
                    order.device.path.display(),
                    order.node.as_deref().unwrap_or_default()
                );
                flasher.sink.emit(Event::Finished { step: STEP, detail });
                running += 1;
                let ended = ended.clone();
                scope.spawn(move || {
                    let outcome = flasher.one(&order);
                    done(&outcome);
                    // The loop below waits for all of them.
                    let _ = ended.send(outcome);
                });
            }
            if let Ok(outcome) = ends.recv_timeout(EVERY) {
                running -= 1;
                if outcome.result.is_err() {
                    waiting.extend(outcome.node.clone());
                }
                outcomes.push(outcome);
                if running == 0 && !waiting.is_empty() {
                    say(flasher, &waiting);
                }
            }
            if running == 0 {
                flasher.cancel.check()?;
                if waiting.is_empty() {
                    return Ok(());
                }
            }
            if flasher.cancel.is_cancelled() {
                continue;
            }
            // A card that is mounted as soon as it is in can still be taken when it is not.
            let present: BTreeSet<Insertion> =
                flasher.platform.list()?.iter().map(insertion).collect();
            known.retain(|insertion| present.contains(insertion));
            fresh = super::removable(flasher.platform, flasher.options.loops)?;
            fresh.retain(|device| places.have(device) && known.insert(insertion(device)));
        }
    })?;
    Ok(outcomes)
}

fn say(flasher: &Flasher<'_>, waiting: &VecDeque<String>) {
    if let Some(next) = waiting.front() {
        let title = format!("Insert a card: it becomes {next} ({} to go)", waiting.len());
        let (total, unit) = (None, Unit::Items);
        flasher.sink.emit(Event::Started { step: STEP, title, total, unit });
    }
}
