//! Which steps are done, in a file that a power cut cannot tear.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use nodeconf::{NodeConfig, paths};
use serde::{Deserialize, Serialize};

use crate::finding::Condition;
use crate::machine::StepId;
use crate::sys::{Sys, read_text, write_durable};

/// Version of the file that this build writes.
pub const VERSION: u32 = 1;

/// A moment, on both clocks: the wall clock of a board may jump, its uptime does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// The kernel's boot id, since uptimes of different boots do not compare.
    pub boot: String,
    /// Time since that boot in milliseconds.
    pub uptime_ms: u64,
    /// Wall clock in seconds since 1970-01-01 UTC, right or wrong as it was.
    pub unix: u64,
}

impl Moment {
    /// Now.
    pub fn now(sys: &dyn Sys) -> Self {
        let boot = read_text(sys, "/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self {
            boot: boot.trim().to_owned(),
            uptime_ms: u64::try_from(sys.uptime().as_millis()).unwrap_or(u64::MAX),
            unix: sys.now().as_secs(),
        }
    }

    /// Time from `earlier`; after a reboot, from the power-on of this boot.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Duration {
        let from = if earlier.boot == self.boot { earlier.uptime_ms } else { 0 };
        Duration::from_millis(self.uptime_ms.saturating_sub(from))
    }
}

/// What is recorded about this card's way to its node. `/var/lib/bake/ledger.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// [`VERSION`].
    pub version: u32,
    /// `cluster.id` of the node configuration it belongs to.
    pub cluster: String,
    /// `node.name` of it.
    pub node: String,
    /// `node.incarnation` of it.
    pub incarnation: u32,
    /// When the first run began.
    pub begun: Moment,
    /// When each step was first found met.
    pub done: BTreeMap<StepId, Moment>,
}

impl Ledger {
    /// The empty ledger of a card that starts now.
    pub fn begin(config: &NodeConfig, now: Moment) -> Self {
        Self {
            version: VERSION,
            cluster: config.cluster.id.clone(),
            node: config.node.name.clone(),
            incarnation: config.node.incarnation,
            begun: now,
            done: BTreeMap::new(),
        }
    }

    /// Reads the ledger; `None` where there is none yet.
    ///
    /// # Errors
    /// A file that cannot be read, is not a ledger, or is of another version.
    pub fn load(sys: &dyn Sys) -> Result<Option<Self>, LedgerError> {
        match sys.read(Path::new(paths::LEDGER)) {
            Ok(bytes) => Self::parse(&bytes).map(Some),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(LedgerError::Io(e)),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, LedgerError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let bad = |e: serde_json::Error| LedgerError::Malformed(e.to_string());
        let found = serde_json::from_slice::<Versioned>(bytes).map_err(bad)?.version;
        if found != VERSION {
            return Err(LedgerError::Version(found));
        }
        serde_json::from_slice(bytes).map_err(bad)
    }

    /// Makes the ledger durable.
    ///
    /// # Errors
    /// The write that failed; the old file is then still there.
    pub fn save(&self, sys: &dyn Sys) -> Result<(), Condition> {
        let failed = |e: io::Error| Condition::io(format!("writing {}", paths::LEDGER), &e);
        let mut text = serde_json::to_string_pretty(self).expect("a ledger is plain data");
        text.push('\n');
        sys.make_dirs(Path::new(paths::STATE_DIR), 0o755).map_err(failed)?;
        write_durable(sys, Path::new(paths::LEDGER), text.as_bytes(), 0o600).map_err(failed)
    }

    /// Whether it is the ledger of this node and this incarnation of it.
    ///
    /// # Errors
    /// What differs.
    pub fn belongs_to(&self, config: &NodeConfig) -> Result<(), Condition> {
        if self.is_of_node(config) && self.incarnation == config.node.incarnation {
            return Ok(());
        }
        Err(Condition::new(
            format!(
                "{} is for {} (cluster {}, incarnation {}), but this card was set up as {} \
                 (cluster {}, incarnation {})",
                paths::NODE_CONFIG,
                config.node.name,
                config.cluster.id,
                config.node.incarnation,
                self.node,
                self.cluster,
                self.incarnation
            ),
            "a card becomes another node by baking a fresh image and flashing it, not by editing \
             its files",
        ))
    }

    /// Whether the node was baked anew since: then all is looked at again.
    #[must_use]
    pub fn is_outdated_by(&self, config: &NodeConfig) -> bool {
        self.is_of_node(config) && self.incarnation < config.node.incarnation
    }

    fn is_of_node(&self, config: &NodeConfig) -> bool {
        self.cluster == config.cluster.id && self.node == config.node.name
    }

    /// Whether the last step is done.
    #[must_use]
    pub fn sealed(&self) -> bool {
        self.done.contains_key(&StepId::Seal)
    }

    /// When the latest recorded step ended: the moment the one after it began.
    #[must_use]
    pub fn latest(&self) -> &Moment {
        self.done.iter().next_back().map_or(&self.begun, |(_, moment)| moment)
    }

    /// Time that `step` took, from the end of the one before it; `None` while it is not done.
    #[must_use]
    pub fn took(&self, step: StepId) -> Option<Duration> {
        let before = self.done.range(..step).next_back().map_or(&self.begun, |(_, m)| m);
        Some(self.done.get(&step)?.since(before))
    }
}

/// Why there is no usable ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file cannot be read.
    #[error("reading {file}: {0}", file = paths::LEDGER)]
    Io(io::Error),
    /// Not what we write; our own writes cannot tear, so the card or a person did it.
    #[error("{file} is damaged: {0}", file = paths::LEDGER)]
    Malformed(String),
    /// Written by another version of firstboot.
    #[error("{file} has version {0}, this firstboot reads version {VERSION}", file = paths::LEDGER)]
    Version(u32),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(boot: &str, uptime_ms: u64) -> Moment {
        Moment { boot: boot.into(), uptime_ms, unix: 1_790_000_000 }
    }

    fn ledger() -> Ledger {
        Ledger {
            version: VERSION,
            cluster: "6f1c2a52-7f0e-4d57-9d3c-2f4a1b0c9e77".into(),
            node: "node1".into(),
            incarnation: 1,
            begun: moment("a", 4000),
            done: BTreeMap::from([
                (StepId::Identity, moment("a", 4500)),
                (StepId::Storage, moment("b", 9000)),
            ]),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let text = serde_json::to_string(&ledger()).unwrap();
        assert_eq!(Ledger::parse(text.as_bytes()).unwrap(), ledger());
    }

    #[test]
    fn anything_else_is_refused() {
        let text = serde_json::to_string(&ledger()).unwrap();
        for (from, to) in [
            ("\"version\":1", "\"version\":2"),
            ("\"node\":", "\"name\":"),
            ("\"storage\"", "\"starship\""),
            ("\"done\"", "\"extra\":0,\"done\""),
            ("}", ""),
        ] {
            let edited = text.replacen(from, to, 1);
            assert_ne!(edited, text);
            assert!(Ledger::parse(edited.as_bytes()).is_err(), "{edited}");
        }
        assert!(matches!(Ledger::parse(b"{\"version\":9}"), Err(LedgerError::Version(9))));
        assert!(Ledger::parse(b"").is_err());
    }

    #[test]
    fn times_count_from_power_on_after_a_reboot() {
        assert_eq!(ledger().took(StepId::Identity), Some(Duration::from_millis(500)));
        assert_eq!(ledger().took(StepId::Storage), Some(Duration::from_millis(9000)));
        assert_eq!(ledger().took(StepId::Seal), None);
    }
}
