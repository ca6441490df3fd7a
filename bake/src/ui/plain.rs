//! Plain lines for logs and CI: a line when a step starts and ends, a figure now and then.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::event::{Event, Unit};
use crate::units::human;

const EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Plain {
    /// By the part that runs it, empty for the whole, and the step.
    running: Mutex<BTreeMap<(String, &'static str), Running>>,
}

#[derive(Debug)]
struct Running {
    total: Option<u64>,
    unit: Unit,
    since: Instant,
    said: Instant,
}

impl Plain {
    pub(super) fn show(&self, event: &Event) {
        match event {
            Event::Part { part, said } => self.say(part, said),
            whole => self.say("", whole),
        }
    }

    fn say(&self, part: &str, event: &Event) {
        let name = if part.is_empty() { String::new() } else { format!("{part}: ") };
        let key = |step| (part.to_owned(), step);
        let mut running = self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match event {
            Event::Started { step, title, total, unit } => {
                let now = Instant::now();
                let step = key(*step);
                running.insert(step, Running { total: *total, unit: *unit, since: now, said: now });
                // Of many parts only what they come to is worth a line.
                if part.is_empty() {
                    line(title);
                }
            }
            Event::Progress { step, done } => {
                if let Some(step) = running.get_mut(&key(*step))
                    && step.said.elapsed() >= EVERY
                {
                    step.said = Instant::now();
                    line(&format!("  {name}{}", step.figure(*done)));
                }
            }
            Event::Finished { step, detail } => {
                let since = running.remove(&key(*step)).map(|step| step.since);
                let seconds = since.map_or(0.0, |since| since.elapsed().as_secs_f64());
                line(&format!("  {name}{detail} ({seconds:.1} s)"));
            }
            Event::Warning { message } => line(&format!("warning: {name}{message}")),
            Event::Note { message } => line(&format!("  {name}{message}")),
            // A part of a part says it by its own name.
            Event::Part { part, said } => {
                drop(running);
                self.say(part, said);
            }
        }
    }
}

fn line(text: &str) {
    super::say(&format!("{text}\n"));
}

impl Running {
    fn figure(&self, done: u64) -> String {
        let show = |n: u64| match self.unit {
            Unit::Bytes => human(n),
            Unit::Items => n.to_string(),
        };
        match self.total {
            Some(total) => format!("{} of {}", show(done), show(total)),
            None => show(done),
        }
    }
}
