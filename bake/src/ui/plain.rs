//! Plain lines for logs and CI: a line when a step starts and ends, a figure now and then.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::event::{Event, Unit};
use crate::units::human;

const EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Plain {
    running: Mutex<BTreeMap<&'static str, Running>>,
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
        let mut running = self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match event {
            Event::Started { step, title, total, unit } => {
                let now = Instant::now();
                running.insert(step, Running { total: *total, unit: *unit, since: now, said: now });
                eprintln!("{title}");
            }
            Event::Progress { step, done } => {
                if let Some(step) = running.get_mut(step)
                    && step.said.elapsed() >= EVERY
                {
                    step.said = Instant::now();
                    eprintln!("  {}", step.figure(*done));
                }
            }
            Event::Finished { step, detail } => {
                let seconds = running.remove(step).map_or(0.0, |s| s.since.elapsed().as_secs_f64());
                eprintln!("  {detail} ({seconds:.1} s)");
            }
            Event::Warning { message } => eprintln!("warning: {message}"),
            Event::Note { message } => eprintln!("  {message}"),
        }
    }
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
