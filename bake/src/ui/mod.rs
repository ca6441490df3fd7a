//! The only code that prints: terminal, plain text, JSON lines.
//!
//! Standard output carries data: what a query verb was asked for or, with `--json`, every event
//! and result as one JSON object a line. Standard error carries everything for people.

mod bars;
mod clean;
mod error;
mod hidden;
mod plain;
mod screen;
mod table;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use serde::Serialize;

use crate::error::{Error, Exit, IoContext, Result};
use crate::event::{Event, Sink};

pub use hidden::ask as ask_hidden;
pub use screen::Screen;
pub use table::Table;

/// How much to say, and in which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// JSON lines on standard output instead of text on standard error.
    pub json: bool,
    /// Only warnings and errors.
    pub quiet: bool,
    /// Notes too.
    pub verbose: bool,
}

/// The face of one run.
#[derive(Debug)]
pub struct Ui {
    style: Style,
    voice: Voice,
}

#[derive(Debug)]
enum Voice {
    Json,
    Plain(plain::Plain),
    Bars(bars::Bars),
}

impl Ui {
    /// Chooses progress bars where standard error is a terminal, else plain lines.
    #[must_use]
    pub fn new(style: Style) -> Self {
        let voice = if style.json {
            Voice::Json
        } else if io::stderr().is_terminal() && !style.quiet {
            Voice::Bars(bars::Bars::default())
        } else {
            Voice::Plain(plain::Plain::default())
        };
        Self { style, voice }
    }

    /// Whether results are wanted as JSON.
    #[must_use]
    pub fn json(&self) -> bool {
        self.style.json
    }

    /// A part of standard output that can be drawn over, where that is a terminal.
    #[must_use]
    pub fn screen(&self) -> Screen {
        Screen::new()
    }

    /// Asks whether to go on. Without a terminal to answer from, nobody is asked and it goes on.
    ///
    /// # Errors
    /// Whatever standard input refuses.
    pub fn confirm(&self, question: &str) -> Result<bool> {
        if self.style.json || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(true);
        }
        say(&format!("{} [y/N] ", clean::text(question)));
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).at("reading", "standard input")?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    /// Writes raw data to standard output.
    ///
    /// # Errors
    /// Whatever standard output refuses; a closed pipe is [`Error::Interrupted`]'s quiet cousin
    /// and is recognised by [`Ui::fail`].
    pub fn data(&self, bytes: impl AsRef<[u8]>) -> Result<()> {
        let write = || {
            let mut out = io::stdout().lock();
            out.write_all(bytes.as_ref()).and_then(|()| out.flush())
        };
        let written = match &self.voice {
            // Where both are one terminal, bars that did not step aside would be left half drawn.
            Voice::Bars(bars) => bars.aside(write),
            Voice::Json | Voice::Plain(_) => write(),
        };
        written.at("writing", "standard output")
    }

    /// Writes text for people to standard output. A terminal is not steered by it; a program gets
    /// it as it is.
    ///
    /// # Errors
    /// As [`Ui::data`].
    pub fn text(&self, text: impl AsRef<str>) -> Result<()> {
        match io::stdout().is_terminal() {
            true => self.data(clean::text(text.as_ref()).as_bytes()),
            false => self.data(text.as_ref()),
        }
    }

    /// Writes one line of text to standard output.
    ///
    /// # Errors
    /// As [`Ui::data`].
    pub fn line(&self, text: impl AsRef<str>) -> Result<()> {
        self.text(format!("{}\n", text.as_ref()))
    }

    /// Writes one result as a JSON object on one line of standard output.
    ///
    /// # Errors
    /// As [`Ui::data`].
    pub fn json_line(&self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(value)
            .map_err(io::Error::from)
            .at("writing", "standard output")?;
        self.data(format!("{text}\n"))
    }

    /// Prints an error once, with its causes, faults and hints, and says how the process ends.
    #[must_use]
    pub fn fail(&self, error: &Error) -> ExitCode {
        if error::is_closed_pipe(error) {
            return ExitCode::from(Exit::Done as u8);
        }
        if let Voice::Bars(bars) = &self.voice {
            bars.clear();
        }
        if self.style.json {
            // The exit status still tells a script that cannot be told otherwise.
            drop(self.json_line(&error::Report::new(error)));
        }
        say(&clean::text(&error::render(error)));
        ExitCode::from(error.exit() as u8)
    }

    fn wanted(&self, event: &Event) -> bool {
        match event {
            Event::Warning { .. } => true,
            Event::Note { .. } => self.style.verbose,
            Event::Part { said, .. } => self.wanted(said),
            _ => !self.style.quiet,
        }
    }
}

/// Writes to standard error. A reader that went away must not stop a bake half way.
fn say(text: &str) {
    drop(io::stderr().lock().write_all(text.as_bytes()));
}

impl Sink for Ui {
    fn emit(&self, event: Event) {
        if !self.wanted(&event) {
            return;
        }
        match &self.voice {
            // As for [`say`].
            Voice::Json => drop(self.json_line(&event)),
            Voice::Plain(plain) => plain.show(&clean::event(event)),
            Voice::Bars(bars) => bars.show(&clean::event(event)),
        }
    }
}
