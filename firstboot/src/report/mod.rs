//! What a person gets to see: journal and console, `status.json`, the log on the boot partition,
//! the activity LED.
//!
//! Reporting never stops the work: a full disk is a condition of some step, not of its report.

mod bootlog;
mod led;
mod status;

use std::cell::RefCell;
use std::time::Duration;

use nodeconf::NodeConfig;
use nodeconf::status::{State, Status};

use crate::exit::Exit;
use crate::finding::Condition;
use crate::ledger::Ledger;
use crate::machine::StepId;
use crate::sys::{Priority, Sys};

use bootlog::BootLog;
use led::Led;
pub use status::load as load_status;

/// While waiting, `status.json` is not written more often than this, to spare the card.
const STATUS_PAUSE: Duration = Duration::from_secs(5);
/// Nor the log on the boot partition more often than this.
const LOG_PAUSE: Duration = Duration::from_secs(30);

/// `seconds` since 1970-01-01 UTC as people and programs read it (RFC 3339).
#[must_use]
pub fn time(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|s| jiff::Timestamp::from_second(s).ok())
        .map_or_else(|| format!("{seconds} s"), |t| t.to_string())
}

/// The report of one run.
#[derive(Debug)]
pub struct Report<'a> {
    sys: &'a dyn Sys,
    inner: RefCell<Inner>,
}

#[derive(Debug)]
struct Inner {
    status: Status,
    /// What was last written, so that nothing is written twice.
    written: Option<Status>,
    /// What the journal was last told a step is about.
    told: Option<Condition>,
    /// Notes of this run.
    noted: Vec<String>,
    log: BootLog,
    led: Led,
    status_at: Duration,
    log_at: Duration,
}

impl<'a> Report<'a> {
    /// Takes up the report where the last run left it.
    pub fn open(sys: &'a dyn Sys) -> Self {
        let written = load_status(sys);
        let inner = Inner {
            status: written.clone().unwrap_or_default(),
            written,
            told: None,
            noted: Vec::new(),
            log: BootLog::anywhere(sys),
            led: Led::default(),
            status_at: Duration::ZERO,
            log_at: Duration::ZERO,
        };
        Self { sys, inner: RefCell::new(inner) }
    }

    /// Says which node this is, as soon as that is known.
    pub fn identify(&self, config: &NodeConfig) {
        let mut inner = self.inner.borrow_mut();
        status::identify(&mut inner.status, config);
        inner.log = BootLog::of(self.sys, config);
    }

    /// Brings the recorded steps and times into the report. A finished node keeps the notes of
    /// its setup, so that nothing is written at its later boots.
    pub fn progress(&self, config: &NodeConfig, ledger: &Ledger) {
        let inner = &mut *self.inner.borrow_mut();
        status::progress(&mut inner.status, config, ledger);
        if !ledger.sealed() {
            inner.status.notes.clone_from(&inner.noted);
        }
    }

    /// A milestone of the run as a whole.
    pub fn milestone(&self, line: &str) {
        self.sys.say(Priority::Notice, line);
        self.inner.borrow_mut().log.add(self.sys, line);
    }

    /// A step is about to be applied.
    pub fn applying(&self, step: StepId, condition: &Condition) {
        self.tell(step, condition);
        self.enter(State::Working, step, Some(condition));
        self.publish(true);
    }

    /// A step waits for something; said once while it stays the same.
    pub fn waiting(&self, step: StepId, condition: &Condition) {
        self.enter(State::Waiting, step, Some(condition));
        if self.inner.borrow_mut().told.as_ref() != Some(condition) {
            self.tell(step, condition);
            self.sys.notify(&format!("STATUS={}", line(step, condition)));
        }
        self.publish(false);
    }

    /// A step is done and recorded.
    pub fn done(&self, step: StepId, took: Duration) {
        let text = format!("{step}: done in {:.1} s", took.as_secs_f64());
        self.sys.say(Priority::Info, &text);
        self.sys.notify(&format!("STATUS={text}"));
        self.inner.borrow_mut().log.add(self.sys, &text);
        self.enter(State::Working, step, None);
        self.publish(true);
    }

    /// Something worth knowing that stops nothing; said once a run.
    pub fn note(&self, text: &str) {
        let inner = &mut *self.inner.borrow_mut();
        if inner.noted.iter().any(|note| note == text) {
            return;
        }
        self.sys.say(Priority::Warning, &format!("note: {text}"));
        inner.noted.push(text.to_owned());
        if !inner.status.notes.iter().any(|note| note == text) {
            inner.status.notes.push(text.to_owned());
        }
    }

    /// The run ends.
    pub fn end(&self, exit: Exit, trouble: Option<(StepId, &Condition)>) {
        let (state, priority) = match exit {
            Exit::Converged => (State::Done, Priority::Notice),
            Exit::TryAgain => (State::TryingAgain, Priority::Warning),
            Exit::ConfigWrong => (State::Halted, Priority::Error),
            Exit::Broken | Exit::Usage => (State::Broken, Priority::Error),
        };
        if let Some((step, condition)) = trouble {
            let text = line(step, condition);
            self.sys.say(priority, &text);
            self.inner.borrow_mut().log.add(self.sys, &text);
            self.enter(state, step, Some(condition));
            let inner = &mut *self.inner.borrow_mut();
            status::remember_error(&mut inner.status, self.sys, step, condition);
        } else {
            self.enter(state, StepId::Seal, None);
        }
        self.publish(true);
        let words = self.inner.borrow().status.sentence();
        self.sys.notify(&format!("STATUS={words}"));
    }

    fn tell(&self, step: StepId, condition: &Condition) {
        self.sys.say(Priority::Info, &line(step, condition));
        self.inner.borrow_mut().told = Some(condition.clone());
    }

    fn enter(&self, state: State, step: StepId, condition: Option<&Condition>) {
        let inner = &mut *self.inner.borrow_mut();
        status::enter(&mut inner.status, self.sys, state, step, condition);
        inner.led.show(self.sys, state);
    }

    /// Writes what changed; unless `now`, not too often.
    fn publish(&self, now: bool) {
        let inner = &mut *self.inner.borrow_mut();
        let uptime = self.sys.uptime();
        let due = |last: Duration, pause| now || uptime.saturating_sub(last) >= pause;
        if inner.written.as_ref() != Some(&inner.status) && due(inner.status_at, STATUS_PAUSE) {
            inner.status_at = uptime;
            match status::save(&inner.status, self.sys) {
                Ok(()) => inner.written = Some(inner.status.clone()),
                Err(c) => self.sys.say(Priority::Warning, &format!("{}; {}", c.what, c.remedy)),
            }
        }
        if due(inner.log_at, LOG_PAUSE) {
            inner.log_at = uptime;
            if let Err(error) = inner.log.flush(self.sys, &inner.status) {
                self.sys.say(Priority::Warning, &format!("log on the boot partition: {error}"));
            }
        }
    }
}

fn line(step: StepId, condition: &Condition) -> String {
    format!("{step}: {}; {}", condition.what, condition.remedy)
}
