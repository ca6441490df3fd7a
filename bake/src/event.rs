//! What jobs tell the face. Libraries emit; only `ui` prints.

use serde::Serialize;

/// Unit a progress figure counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Things (files, nodes, edits).
    Items,
}

/// One thing that happened. Serialised as is for `--json`, one object a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// A step began. `step` is a stable identifier, `title` is for people.
    Started {
        /// Stable identifier (`download`, `decompress`, `edit`, `emit`).
        step: &'static str,
        /// "Downloading raspios-lite-arm64-bookworm"
        title: String,
        /// Amount of work, where it is known.
        total: Option<u64>,
        /// What `total` and `done` count.
        unit: Unit,
    },
    /// A running step got this far.
    Progress {
        /// The step's identifier.
        step: &'static str,
        /// Work done so far, never decreasing within a step.
        done: u64,
    },
    /// A step ended well.
    Finished {
        /// The step's identifier.
        step: &'static str,
        /// What it came to ("verified, sha256 62d025b9…").
        detail: String,
    },
    /// Something the user should read but that does not stop the work.
    Warning {
        /// Plain sentence without a trailing period.
        message: String,
    },
    /// Detail for `-v`.
    Note {
        /// Plain sentence without a trailing period.
        message: String,
    },
    /// What one of several things says that are worked on at the same time.
    Part {
        /// Which: the name of a node, the path of a device.
        part: String,
        /// What it says.
        said: Box<Event>,
    },
}

/// Receives events; implementations decide how they look.
pub trait Sink: Send + Sync {
    /// Takes one event. Must be cheap: it is called from inner loops.
    fn emit(&self, event: Event);
}

/// Speaks for one of several things that are worked on at the same time.
pub struct Part<'s> {
    part: String,
    sink: &'s dyn Sink,
}

impl<'s> Part<'s> {
    /// Hands everything on to `sink` as said by `part`.
    #[must_use]
    pub fn new(part: impl Into<String>, sink: &'s dyn Sink) -> Self {
        Self { part: part.into(), sink }
    }
}

impl std::fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part").field("part", &self.part).finish_non_exhaustive()
    }
}

impl Sink for Part<'_> {
    fn emit(&self, event: Event) {
        self.sink.emit(Event::Part { part: self.part.clone(), said: Box::new(event) });
    }
}

/// Drops everything: for library users and tests that do not watch.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Sink for Silent {
    fn emit(&self, _: Event) {}
}
