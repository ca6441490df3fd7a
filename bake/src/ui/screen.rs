//! A part of the terminal that is drawn again and again (ECMA-48: CPL, ED).

use std::io::{self, IsTerminal, Write};

use crate::error::{IoContext, Result};

/// What was drawn last, to be drawn over.
#[derive(Debug, Default)]
pub struct Screen {
    lines: usize,
    terminal: bool,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { lines: 0, terminal: io::stdout().is_terminal() }
    }

    /// Whether there is anything to draw on.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Draws `text` in place of what was drawn before.
    ///
    /// # Errors
    /// Whatever standard output refuses.
    pub fn draw(&mut self, text: &str) -> Result<()> {
        let text = super::clean::text(text);
        let mut out = io::stdout().lock();
        let again = match self.lines {
            0 => String::new(),
            lines => format!("\x1b[{lines}F\x1b[J"),
        };
        self.lines = text.lines().map(rows).sum();
        let drawn = out.write_all(again.as_bytes()).and_then(|()| out.write_all(text.as_bytes()));
        drawn.and_then(|()| out.flush()).at("writing", "standard output")
    }
}

/// Rows of the terminal that a line takes: long ones are wrapped.
fn rows(line: &str) -> usize {
    let width = console_width().max(1);
    line.chars().count().div_ceil(width).max(1)
}

/// Columns of the terminal, 80 where it does not say.
fn console_width() -> usize {
    #[cfg(unix)]
    if let Ok(size) = rustix::termios::tcgetwinsize(io::stdout())
        && size.ws_col > 0
    {
        return usize::from(size.ws_col);
    }
    80
}
