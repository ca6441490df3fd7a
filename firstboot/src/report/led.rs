//! The activity LED as a fourth place to look, for boards that hang under a ceiling.
//!
//! The kernel blinks it (Documentation/leds/leds-class.rst): a trigger is chosen by its name, the
//! active one stands in brackets. What the image had is put back when the node is done.

use std::io;
use std::path::{Path, PathBuf};

use nodeconf::paths;
use nodeconf::status::State;

use crate::sys::{Sys, read_text};

/// The green LED of a Raspberry Pi, by its newer and its older name.
const LEDS: [&str; 2] = ["/sys/class/leds/ACT", "/sys/class/leds/led0"];
/// The image's own trigger, while we use another; gone after a reboot, as our trigger is.
const KEPT: &str = "/run/bake/led";
/// Milliseconds on, and off: somebody can help, if only by patience.
const SLOW: u32 = 1000;
/// Somebody must help.
const FAST: u32 = 100;

/// What the LED shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    /// As a heart beats: at work.
    Heartbeat,
    /// Evenly, with so many milliseconds on and off.
    Even(u32),
    /// Whatever the image has it show.
    Own,
}

impl Code {
    fn of(state: State) -> Self {
        match state {
            State::Working => Self::Heartbeat,
            State::Waiting | State::TryingAgain => Self::Even(SLOW),
            State::Halted | State::Broken => Self::Even(FAST),
            State::Done => Self::Own,
        }
    }
}

/// The LED of the board, if it has one.
#[derive(Debug, Default)]
pub(super) struct Led {
    shown: Option<Code>,
}

impl Led {
    /// Shows `state`. A board without an LED, or with a kernel that lacks the trigger, goes
    /// without.
    pub(super) fn show(&mut self, sys: &dyn Sys, state: State) {
        let code = Code::of(state);
        if self.shown != Some(code) {
            self.shown = Some(code);
            let _ = show(sys, code);
        }
    }
}

fn show(sys: &dyn Sys, code: Code) -> io::Result<()> {
    if code == Code::Own {
        let Ok(own) = read_text(sys, KEPT) else { return Ok(()) };
        let (dir, _) = find(sys)?;
        write(sys, &dir, "trigger", own.trim())?;
        return sys.remove(Path::new(KEPT));
    }
    let (dir, triggers) = find(sys)?;
    if sys.stat(Path::new(KEPT)).is_err() {
        let own = active(&triggers).ok_or(io::ErrorKind::InvalidData)?;
        sys.make_dirs(Path::new(paths::RUNTIME_DIR), 0o755)?;
        sys.create(Path::new(KEPT), own.as_bytes(), 0o644)?;
    }
    match code {
        Code::Heartbeat => write(sys, &dir, "trigger", "heartbeat"),
        Code::Even(milliseconds) => {
            write(sys, &dir, "trigger", "timer")?;
            write(sys, &dir, "delay_on", &milliseconds.to_string())?;
            write(sys, &dir, "delay_off", &milliseconds.to_string())
        }
        Code::Own => Ok(()),
    }
}

fn find(sys: &dyn Sys) -> io::Result<(PathBuf, String)> {
    LEDS.iter()
        .map(Path::new)
        .find_map(|dir| Some((dir.to_owned(), read_text(sys, dir.join("trigger")).ok()?)))
        .ok_or(io::ErrorKind::NotFound.into())
}

fn write(sys: &dyn Sys, dir: &Path, file: &str, value: &str) -> io::Result<()> {
    sys.overwrite(&dir.join(file), value.as_bytes())
}

/// `none timer [mmc0] heartbeat` → `mmc0`.
fn active(triggers: &str) -> Option<&str> {
    triggers.split_whitespace().find_map(|word| word.strip_prefix('[')?.strip_suffix(']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_active_trigger_stands_in_brackets() {
        assert_eq!(active("none rc-feedback timer [mmc0] default-on\n"), Some("mmc0"));
        assert_eq!(active("[none] timer\n"), Some("none"));
        assert_eq!(active("none timer\n"), None);
    }
}
