//! What a node says about itself: in `status.json`, and to whoever asks its witness.
//!
//! Reading is lenient, unlike that of the configuration: a `bake` must understand nodes that were
//! baked by older and by newer releases. Steps are names, since releases differ in them.

use serde::{Deserialize, Serialize};

use crate::Role;

/// Version of `status.json` that this build writes.
pub const STATUS_VERSION: u32 = 1;

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

impl State {
    /// Whether only a person can get the node further.
    #[must_use]
    pub fn needs_a_person(self) -> bool {
        matches!(self, Self::Halted | Self::Broken)
    }
}

/// Something that went wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// In which step.
    pub step: String,
    /// What was the matter.
    pub what: String,
    /// What to do.
    pub remedy: String,
    /// When it was last seen, RFC 3339.
    pub at: String,
}

/// A step in the report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepStatus {
    /// Its name.
    pub name: String,
    /// Whether it is done.
    pub done: bool,
    /// How long it took, waiting included; from power-on of the last boot if there were several.
    pub seconds: Option<f64>,
}

/// `/var/lib/bake/status.json`. Holds no secrets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// [`STATUS_VERSION`].
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
    pub step: Option<String>,
    /// Since when state, step and trouble are these, RFC 3339.
    pub since: String,
    /// What it waits for, or why it stopped.
    pub trouble: Option<Trouble>,
    /// The last run that ended badly, even if it has healed since.
    pub last_error: Option<Trouble>,
    /// What is worth knowing and stops nothing.
    pub notes: Vec<String>,
    /// Time of all configuration steps, once they are done (the paper's Table 4).
    pub configuration_seconds: Option<f64>,
    /// Time of all installation steps, once they are done.
    pub installation_seconds: Option<f64>,
    /// Every step, in order.
    pub steps: Vec<StepStatus>,
}

impl Status {
    /// The state in words.
    #[must_use]
    pub fn sentence(&self) -> String {
        let step = self.step.as_deref().unwrap_or("start");
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

/// Which card a node runs from: two flashes of one image differ in the nonce.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServedCard {
    /// Name of the node.
    pub name: String,
    /// Its incarnation.
    pub incarnation: u32,
    /// Made at random at the card's first start: 16 hex digits.
    pub nonce: String,
}

/// What `GET /v1/status` of a node's witness answers. Holds no secrets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Served {
    /// What firstboot wrote last; `None` before its first run.
    pub status: Option<Status>,
    /// The card the node runs from.
    pub card: ServedCard,
    /// The card that founded the cluster, as far as this node's witness knows.
    pub formed: Option<ServedCard>,
    /// Whether the node has etcd data, so is or was a member; `None` where it keeps no etcd.
    pub member: Option<bool>,
    /// Whether the node carries the VIP.
    pub vip_held: bool,
    /// Whether K3s on the node answers and is ready; `None` on a node without K3s.
    pub k3s_ready: Option<bool>,
    /// What keeps its witness from voting, in plain words.
    pub witness_trouble: Option<String>,
    /// The node's wall clock, seconds since 1970-01-01 UTC.
    pub unix: u64,
    /// Seconds since the node was powered on.
    pub uptime: u64,
}
