//! Progress bars on a terminal: one a running step, replaced by a line when it is done.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::event::{Event, Unit};

#[derive(Debug, Default)]
pub(super) struct Bars {
    screen: MultiProgress,
    /// By the part that runs it, empty for the whole, and the step.
    running: Mutex<BTreeMap<(String, &'static str), ProgressBar>>,
}

impl Bars {
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
                let bar = self.screen.add(bar(*total, *unit));
                bar.set_message(format!("{name}{title}"));
                bar.enable_steady_tick(Duration::from_millis(120));
                running.insert(key(*step), bar);
            }
            Event::Progress { step, done } => {
                if let Some(bar) = running.get(&key(*step)) {
                    bar.set_position(*done);
                }
            }
            Event::Finished { step, detail } => match running.remove(&key(*step)) {
                Some(bar) => {
                    let title = bar.message();
                    let seconds = bar.elapsed().as_secs_f64();
                    bar.finish_and_clear();
                    self.line(&format!("{title}: {detail} ({seconds:.1} s)"));
                }
                None => self.line(&format!("{name}{detail}")),
            },
            Event::Warning { message } => self.line(&format!("warning: {name}{message}")),
            Event::Note { message } => self.line(&format!("  {name}{message}")),
            // A part of a part says it by its own name.
            Event::Part { part, said } => {
                drop(running);
                self.say(part, said);
            }
        }
    }

    pub(super) fn clear(&self) {
        // Without a terminal there is nothing to clear, and nothing to do about it.
        drop(self.screen.clear());
    }

    fn line(&self, text: &str) {
        self.screen.suspend(|| eprintln!("{text}"));
    }
}

fn bar(total: Option<u64>, unit: Unit) -> ProgressBar {
    let template = match (total, unit) {
        (Some(_), Unit::Bytes) => {
            "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}"
        }
        (Some(_), Unit::Items) => "{msg} {wide_bar} {pos}/{len} {eta}",
        (None, Unit::Bytes) => "{spinner} {msg} {binary_bytes}",
        (None, Unit::Items) => "{spinner} {msg}",
    };
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    total.map_or_else(ProgressBar::new_spinner, ProgressBar::new).with_style(style)
}
