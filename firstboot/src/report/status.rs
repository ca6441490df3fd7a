//! `/var/lib/bake/status.json`: what the node says about itself. Holds no secrets.

use std::io;
use std::path::Path;

use nodeconf::{NodeConfig, Role, paths};
use serde::{Deserialize, Serialize};

use super::time;
use crate::finding::Condition;
use crate::ledger::Ledger;
use crate::machine::StepId;
use crate::sys::{Sys, write_durable};

/// Version of the file that this build writes.
const VERSION: u32 = 1;

/// How the node is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// A step is being done.
    #[default]
    Working,
    /// A step waits for something.
    Waiting,
    /// Something was missing for too long; systemd starts the next run soon.
    TryingAgain,
    /// The configuration or the image is wrong.
    Halted,
    /// An invariant does not hold.
    Broken,
    /// Every step is done.
    Done,
}

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// In which step.
    pub step: StepId,
    /// What was the matter.
    pub what: String,
    /// What to do.
    pub remedy: String,
    /// When it was last seen, RFC 3339.
    pub at: String,
}

/// A step in the report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepStatus {
    /// Its name.
    pub name: StepId,
    /// Whether it is done.
    pub done: bool,
    /// How long it took, waiting included; from power-on of the last boot if there were several.
    pub seconds: Option<f64>,
}

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the file.
    pub version: u32,
    /// Version of firstboot.
    pub firstboot: String,
    /// Name of the cluster.
    pub cluster: String,
    /// Its id.
    pub cluster_id: String,
    /// Name of the node.
    pub node: String,
    /// Its role.
    pub role: Option<Role>,
    /// Its incarnation.
    pub incarnation: u32,
    /// How it is doing.
    pub state: State,
    /// The step it is at.
    pub step: Option<StepId>,
    /// Since when state, step and trouble are these, RFC 3339.
    pub since: String,
    /// What it waits for, or why it stopped.
    pub trouble: Option<Trouble>,
    /// The last run that ended badly, even if it has healed since.
    pub last_error: Option<Trouble>,
    /// What is worth knowing and stops nothing.
    pub notes: Vec<String>,
    /// Time of all configuration steps, once they are done.
    pub configuration_seconds: Option<f64>,
    /// Time of all installation steps, once they are done.
    pub installation_seconds: Option<f64>,
    /// Every step, in order.
    pub steps: Vec<StepStatus>,
}

impl Status {
    /// The status as last written; `None` where there is none we can read.
    pub fn load(sys: &dyn Sys) -> Option<Self> {
        let bytes = sys.read(Path::new(paths::STATUS)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    pub(super) fn save(&self, sys: &dyn Sys) -> Result<(), Condition> {
        let failed = |e: io::Error| Condition::io(format!("writing {}", paths::STATUS), &e);
        let mut text = serde_json::to_string_pretty(self).expect("a status is plain data");
        text.push('\n');
        sys.make_dirs(Path::new(paths::STATE_DIR), 0o755).map_err(failed)?;
        write_durable(sys, Path::new(paths::STATUS), text.as_bytes(), 0o644).map_err(failed)
    }

    pub(super) fn identify(&mut self, config: &NodeConfig) {
        self.version = VERSION;
        env!("CARGO_PKG_VERSION").clone_into(&mut self.firstboot);
        self.cluster.clone_from(&config.cluster.name);
        self.cluster_id.clone_from(&config.cluster.id);
        self.node.clone_from(&config.node.name);
        self.role = Some(config.node.role);
        self.incarnation = config.node.incarnation;
    }

    pub(super) fn progress(&mut self, ledger: &Ledger) {
        let seconds = |step| ledger.took(step).map(|d| (d.as_secs_f64() * 10.0).round() / 10.0);
        let sum = |installation| {
            let steps = StepId::ALL.into_iter().filter(|s| s.is_installation() == installation);
            steps.map(seconds).sum::<Option<f64>>().map(|s| (s * 10.0).round() / 10.0)
        };
        self.configuration_seconds = sum(false);
        self.installation_seconds = sum(true);
        self.steps = StepId::ALL
            .into_iter()
            .map(|name| StepStatus {
                name,
                done: ledger.done.contains_key(&name),
                seconds: seconds(name),
            })
            .collect();
    }

    /// Enters a state; `since` stays where nothing else changes.
    pub(super) fn enter(
        &mut self,
        sys: &dyn Sys,
        state: State,
        step: StepId,
        condition: Option<&Condition>,
    ) {
        let same_trouble = match (&self.trouble, condition) {
            (None, None) => true,
            (Some(old), Some(new)) => old.what == new.what && old.remedy == new.remedy,
            _ => false,
        };
        if self.state == state && self.step == Some(step) && same_trouble {
            return;
        }
        self.state = state;
        self.step = Some(step);
        self.since = time(sys.now().as_secs());
        self.trouble = condition.map(|c| trouble(step, c, self.since.clone()));
    }

    pub(super) fn remember_error(&mut self, sys: &dyn Sys, step: StepId, condition: &Condition) {
        self.last_error = Some(trouble(step, condition, time(sys.now().as_secs())));
    }

    /// The state in words.
    #[must_use]
    pub fn sentence(&self) -> String {
        let step = self.step.map_or("start", StepId::name);
        let trouble = match &self.trouble {
            Some(t) => format!(": {}; {}", t.what, t.remedy),
            None => String::new(),
        };
        match self.state {
            State::Working => format!("working on {step}{trouble}"),
            State::Waiting => format!("waiting in {step}{trouble}"),
            State::TryingAgain => format!("trying {step} again soon{trouble}"),
            State::Halted => format!("halted in {step}{trouble}"),
            State::Broken => format!("broken in {step}{trouble}"),
            State::Done => "done: the node is Ready".to_owned(),
        }
    }

    /// The status for people, a few lines.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!(
            "node {} of cluster {}\n{}, since {}\n",
            self.node,
            self.cluster,
            self.sentence(),
            self.since
        );
        for step in &self.steps {
            let took = match step.seconds {
                Some(seconds) => format!("{seconds:8.1} s"),
                None => "       -".to_owned(),
            };
            out.push_str(&format!("  {:<10}{took}\n", step.name));
        }
        for (name, seconds) in [
            ("configuration", self.configuration_seconds),
            ("installation", self.installation_seconds),
        ] {
            if let Some(seconds) = seconds {
                out.push_str(&format!("{name}: {seconds:.1} s\n"));
            }
        }
        for note in &self.notes {
            out.push_str(&format!("note: {note}\n"));
        }
        if let Some(error) = &self.last_error {
            out.push_str(&format!("last error ({}, {}): {}\n", error.at, error.step, error.what));
        }
        out
    }
}

fn trouble(step: StepId, condition: &Condition, at: String) -> Trouble {
    Trouble { step, what: condition.what.clone(), remedy: condition.remedy.clone(), at }
}
