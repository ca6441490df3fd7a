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

    /// Does something that prints, with no bar in the way.
    pub(super) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.screen.suspend(print)
    }

    fn line(&self, text: &str) {
        self.aside(|| super::say(&format!("{text}\n")));
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

#[cfg(test)]
mod tests {
    use std::io::Result;
    use std::sync::{Arc, MutexGuard};

    use indicatif::{ProgressDrawTarget, TermLike};

    use super::*;
    use crate::event::Sink;
    use crate::ui::{Style, Ui, Voice};

    const WIDTH: u16 = 80;

    /// A terminal that remembers what was on it whenever it was shown.
    #[derive(Debug, Clone, Default)]
    struct Terminal(Arc<Mutex<Drawn>>);

    #[derive(Debug, Default)]
    struct Drawn {
        rows: Vec<String>,
        row: usize,
        shown: Vec<Vec<String>>,
    }

    impl Drawn {
        fn row(&mut self) -> &mut String {
            self.rows.resize(self.rows.len().max(self.row + 1), String::new());
            &mut self.rows[self.row]
        }
    }

    impl Terminal {
        fn drawn(&self) -> MutexGuard<'_, Drawn> {
            self.0.lock().unwrap()
        }
    }

    impl TermLike for Terminal {
        fn width(&self) -> u16 {
            WIDTH
        }

        fn move_cursor_up(&self, n: usize) -> Result<()> {
            let mut drawn = self.drawn();
            drawn.row = drawn.row.saturating_sub(n);
            Ok(())
        }

        fn move_cursor_down(&self, n: usize) -> Result<()> {
            self.drawn().row += n;
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> Result<()> {
            self.write_str(text)?;
            self.move_cursor_down(1)
        }

        fn write_str(&self, text: &str) -> Result<()> {
            let mut drawn = self.drawn();
            for char in text.chars() {
                if drawn.row().chars().count() == usize::from(WIDTH) {
                    drawn.row += 1;
                }
                drawn.row().push(char);
            }
            Ok(())
        }

        fn clear_line(&self) -> Result<()> {
            self.drawn().row().clear();
            Ok(())
        }

        fn flush(&self) -> Result<()> {
            let mut drawn = self.drawn();
            let rows = drawn.rows.iter().map(|row| row.trim().to_owned());
            let shown = rows.filter(|row| !row.is_empty()).collect();
            drawn.shown.push(shown);
            Ok(())
        }
    }

    /// A card's last words came between the bars of the other cards, which then drew over them.
    #[test]
    fn bars_step_aside_for_what_goes_to_standard_output() {
        let terminal = Terminal::default();
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let bars = Bars { screen: MultiProgress::with_draw_target(target), ..Bars::default() };
        let ui = Ui { style: Style::default(), voice: Voice::Bars(bars) };
        for card in ["one", "two"] {
            let (title, total) = ("Writing".into(), Some(9));
            let said = Event::Started { step: "write", title, total, unit: Unit::Items };
            ui.emit(Event::Part { part: card.into(), said: Box::new(said) });
        }
        let before = terminal.drawn().shown.len();
        ui.data("").unwrap();
        let shown = terminal.drawn().shown[before..].to_vec();
        let aside = shown.iter().position(Vec::is_empty).expect("nothing is in the way");
        let again = shown[aside..].last().unwrap();
        assert!(again.len() == 2 && again[0].starts_with("one: Writing"), "{again:?}");
    }
}
