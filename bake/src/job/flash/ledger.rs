//! Which card is which node: one file beside the cluster's secrets, replaced whole or not at all.
//!
//! A card that may hold a node's table counts for the next card's incarnation, also where nobody
//! knows whether it was finished: it is recorded before the first byte is written.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::Subject;
use crate::device::{Device, Identity};
use crate::error::{Error, Fault, IoContext, Position, Result};
use crate::io::private::{self, Existing};

/// Version of the file that this build writes.
const VERSION: u32 = 1;

/// How far a card got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Writing began; it may be whole, or not.
    Begun,
    /// It is whole.
    Done,
    /// It has no partition table, so it is nothing.
    Failed,
}

/// One card of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The node's incarnation on it.
    pub incarnation: u32,
    /// How far it got.
    pub state: State,
    /// Which card it is, as far as it says.
    pub card: Identity,
    /// Its size in bytes.
    pub size: u64,
    /// Where it was written.
    pub device: PathBuf,
    /// When, in seconds since 1970-01-01 UTC.
    pub time: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    version: u32,
    /// Identifier of the cluster.
    cluster: String,
    /// Cards by node, in the order they were written.
    nodes: BTreeMap<String, Vec<Entry>>,
}

/// The ledger of one cluster.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    cluster: String,
}

impl Ledger {
    /// The ledger that belongs to a secrets file: `edge.flashed.json` beside `edge.secrets.json`.
    ///
    /// # Errors
    /// As [`Ledger::at`].
    pub fn beside(secrets: &Path, cluster: &str) -> Result<Self> {
        let name = secrets.file_name().unwrap_or_default().to_string_lossy();
        let stem = name.strip_suffix(".json").unwrap_or(&name);
        let stem = stem.strip_suffix(".secrets").unwrap_or(stem);
        Self::at(secrets.with_file_name(format!("{stem}.flashed.json")), cluster)
    }

    /// The ledger at `path` of the cluster with the identifier `cluster`.
    ///
    /// # Errors
    /// [`Error::Invalid`] where it is damaged, [`Error::Refused`] where it is another cluster's.
    pub fn at(path: PathBuf, cluster: &str) -> Result<Self> {
        let ledger = Self { path, cluster: cluster.to_owned() };
        ledger.read()?;
        Ok(ledger)
    }

    /// Where it is kept.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Cards of `node`, in the order they were written.
    ///
    /// # Errors
    /// As [`Ledger::at`].
    pub fn cards(&self, node: &str) -> Result<Vec<Entry>> {
        Ok(self.read()?.nodes.remove(node).unwrap_or_default())
    }

    /// Those of `nodes` that have no whole card yet.
    ///
    /// # Errors
    /// As [`Ledger::at`].
    pub fn without_card<'n>(
        &self,
        nodes: impl IntoIterator<Item = &'n str>,
    ) -> Result<Vec<String>> {
        let mut without = Vec::new();
        for node in nodes {
            if !self.is_done(node)? {
                without.push(node.to_owned());
            }
        }
        Ok(without)
    }

    /// Whether a whole card of `node` has been written.
    ///
    /// # Errors
    /// As [`Ledger::at`].
    pub fn is_done(&self, node: &str) -> Result<bool> {
        Ok(self.cards(node)?.iter().any(|card| card.state == State::Done))
    }

    /// The highest incarnation of `node` that a card may carry.
    ///
    /// # Errors
    /// As [`Ledger::at`].
    pub fn newest(&self, node: &str) -> Result<Option<u32>> {
        let cards = self.cards(node)?;
        let count = cards.iter().filter(|card| card.state != State::Failed);
        Ok(count.map(|card| card.incarnation).max())
    }

    /// Records how far the card of `subject` on `device` got.
    ///
    /// # Errors
    /// As [`Ledger::at`], and what writing fails with.
    pub fn record(&self, subject: &Subject, device: &Device, state: State) -> Result<()> {
        let _lock = lock(&self.path)?;
        let mut content = self.read()?;
        let cards = content.nodes.entry(subject.node.clone()).or_default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let entry = Entry {
            incarnation: subject.incarnation,
            state,
            card: device.identity.clone(),
            size: device.size,
            device: device.path.clone(),
            time: now,
        };
        // The same card goes on; a card that is begun again is another entry.
        let same = |e: &&mut Entry| {
            (e.incarnation, &e.device) == (entry.incarnation, &entry.device)
                && state != State::Begun
        };
        match cards.iter_mut().rev().find(same) {
            Some(known) => *known = entry,
            None => cards.push(entry),
        }
        let mut text = serde_json::to_vec_pretty(&content)
            .map_err(io::Error::from)
            .at("writing", &self.path)?;
        text.push(b'\n');
        private::write(&self.path, &text, Existing::Replace)
    }

    fn read(&self) -> Result<Content> {
        let text = match fs::read(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let (version, cluster) = (VERSION, self.cluster.clone());
                return Ok(Content { version, cluster, nodes: BTreeMap::new() });
            }
            text => text.at("reading", &self.path)?,
        };
        let content: Content = serde_json::from_slice(&text).map_err(|e| {
            let at = Some(Position { line: e.line().max(1), column: e.column().max(1) });
            self.damaged(at, e.to_string())
        })?;
        if content.version != VERSION {
            let version = content.version;
            return Err(self.damaged(None, format!("version {version} is not supported")));
        }
        if content.cluster != self.cluster {
            let action = format!("use {} for this cluster", self.path.display());
            let reason = "it remembers the cards of another cluster of the same name";
            return Err(Error::Refused { action, reason: reason.into() }
                .hint("move it away if that cluster is no more"));
        }
        Ok(content)
    }

    fn damaged(&self, at: Option<Position>, message: String) -> Error {
        let fault = Fault { key: String::new(), at, message, help: None };
        Error::Invalid { what: format!("ledger {}", self.path.display()), faults: vec![fault] }
    }
}

/// A file that belongs to the ledger.
pub(super) fn beside(ledger: &Path, suffix: &str) -> PathBuf {
    let name = ledger.file_name().unwrap_or_default().to_string_lossy();
    ledger.with_file_name(format!(".{name}{suffix}"))
}

/// Keeps other runs from the ledger until dropped. The file itself is replaced, so another one is
/// locked.
pub(super) fn lock(ledger: &Path) -> Result<File> {
    let path = beside(ledger, ".lock");
    let file = File::create(&path).at("creating", &path)?;
    file.lock().at("locking", &path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Bus, Kind};

    fn device(path: &str) -> Device {
        Device {
            path: path.into(),
            number: (8, 16),
            sequence: None,
            kind: Kind::Whole,
            bus: Bus::Usb,
            removable: true,
            read_only: false,
            size: 1 << 35,
            block: 512,
            identity: Identity { cid: Some("03534453".into()), ..Identity::default() },
            uses: Vec::new(),
        }
    }

    #[test]
    fn what_may_have_been_flashed_counts_and_what_is_whole_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = dir.path().join("edge.secrets.json");
        let ledger = Ledger::beside(&secrets, "id").unwrap();
        assert_eq!(ledger.path(), dir.path().join("edge.flashed.json"));
        let subject = |incarnation| Subject { node: "node1".into(), incarnation };
        let is = |newest, done| {
            // Another run sees the same.
            let ledger = Ledger::beside(&secrets, "id").unwrap();
            assert_eq!(
                (ledger.newest("node1").unwrap(), ledger.is_done("node1").unwrap()),
                (newest, done)
            );
        };
        is(None, false);
        ledger.record(&subject(1), &device("/dev/sdb"), State::Begun).unwrap();
        is(Some(1), false);
        ledger.record(&subject(1), &device("/dev/sdb"), State::Failed).unwrap();
        is(None, false);
        ledger.record(&subject(1), &device("/dev/sdc"), State::Begun).unwrap();
        ledger.record(&subject(1), &device("/dev/sdc"), State::Done).unwrap();
        is(Some(1), true);
        ledger.record(&subject(2), &device("/dev/sdc"), State::Begun).unwrap();
        is(Some(2), true);
        let states: Vec<State> = ledger.cards("node1").unwrap().iter().map(|c| c.state).collect();
        assert_eq!(states, [State::Failed, State::Done, State::Begun]);
        assert_eq!(Ledger::beside(&secrets, "other").unwrap_err().exit() as u8, 4);
        fs::write(ledger.path(), "{").unwrap();
        assert_eq!(Ledger::beside(&secrets, "id").unwrap_err().exit() as u8, 2);
    }
}
