//! Collects the edits of a recipe, and what the user should know about them.

use super::amend::Amendment;
use super::edit::{Access, Action, Edit, Scope, Source, Topic};

/// Edits in order, and remarks.
#[derive(Debug)]
pub(super) struct Steps {
    topic: Topic,
    scope: Scope,
    pub(super) edits: Vec<Edit>,
    pub(super) notes: Vec<String>,
    pub(super) warnings: Vec<String>,
}

impl Steps {
    pub(super) fn new() -> Self {
        Self {
            topic: Topic::Kernel,
            scope: Scope::Node,
            edits: Vec::new(),
            notes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Starts a topic: what follows belongs to it, and to this node alone.
    pub(super) fn about(&mut self, topic: Topic) -> &mut Self {
        self.topic = topic;
        self.scope = Scope::Node;
        self
    }

    /// What follows, until the next topic, is the same on every node of the role.
    pub(super) fn shared(&mut self) {
        self.scope = Scope::Shared;
    }

    /// What follows, until the next topic, is this node's.
    pub(super) fn own(&mut self) {
        self.scope = Scope::Node;
    }

    /// Something a curious user may want to know.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Something the user should read.
    pub(super) fn warn(&mut self, text: impl Into<String>) {
        self.warnings.push(text.into());
    }

    pub(super) fn push(&mut self, action: Action) {
        self.edits.push(Edit { topic: self.topic, scope: self.scope, action });
    }

    pub(super) fn directory(&mut self, path: impl Into<String>, access: Access) {
        self.push(Action::Directory { path: path.into(), access });
    }

    pub(super) fn write(&mut self, path: impl Into<String>, mode: u16, text: impl Into<Vec<u8>>) {
        self.put(path, Access::root(mode), Source::Bytes(text.into()));
    }

    pub(super) fn put(&mut self, path: impl Into<String>, access: Access, source: Source) {
        self.push(Action::Write { path: path.into(), source, access, secret: false });
    }

    /// A file that is root's alone, whose digest nobody may know.
    pub(super) fn secret(&mut self, path: impl Into<String>, text: impl Into<Vec<u8>>) {
        let (path, source) = (path.into(), Source::Bytes(text.into()));
        self.push(Action::Write { path, source, access: Access::root(0o600), secret: true });
    }

    /// Gives a file that was written a time of its own, seconds since 1970-01-01 UTC.
    pub(super) fn stamp(&mut self, path: impl Into<String>, access: Access, seconds: i64) {
        self.push(Action::Stamp { path: path.into(), access, seconds });
    }

    pub(super) fn link(&mut self, path: impl Into<String>, target: impl Into<String>) {
        self.push(Action::Link { path: path.into(), target: target.into() });
    }

    pub(super) fn amend(&mut self, path: impl Into<String>, change: Amendment) {
        self.push(Action::Amend { path: path.into(), change, missing: None, secret: false });
    }

    /// As [`Steps::amend`], making a file that is missing.
    pub(super) fn amend_or_make(&mut self, path: impl Into<String>, mode: u16, change: Amendment) {
        let missing = Some(Access::root(mode));
        self.push(Action::Amend { path: path.into(), change, missing, secret: false });
    }

    pub(super) fn amend_secret(&mut self, path: impl Into<String>, change: Amendment) {
        self.push(Action::Amend { path: path.into(), change, missing: None, secret: true });
    }

    pub(super) fn remove(&mut self, path: impl Into<String>) {
        self.push(Action::Remove { path: path.into() });
    }

    /// What `systemctl mask` does (systemctl(1)).
    pub(super) fn mask(&mut self, unit: &str) {
        self.link(format!("/etc/systemd/system/{unit}"), "/dev/null");
    }

    /// What `systemctl enable` does for one `WantedBy=` (systemd.unit(5)).
    pub(super) fn enable(&mut self, target: &str, unit: &str, file: impl Into<String>) {
        self.link(format!("/etc/systemd/system/{target}.wants/{unit}"), file);
    }
}
