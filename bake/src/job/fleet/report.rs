//! What a fleet came to.

use std::path::PathBuf;

use serde::{Serialize, Serializer};

use crate::error::Error;

/// What a fleet came to.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Every node, in the profile's order.
    pub nodes: Vec<Outcome>,
    /// The golden images that the deltas are for.
    pub golden: Vec<PathBuf>,
}

/// What became of a node.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The node.
    pub node: String,
    /// How often its card was made anew, from 1.
    pub incarnation: u32,
    /// Its image or delta.
    pub path: PathBuf,
    /// The golden image that the delta is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub golden: Option<PathBuf>,
    /// What was done.
    #[serde(flatten)]
    pub state: State,
}

/// What was done for a node.
#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    /// Its output was written.
    Baked {
        /// Length of the output.
        bytes: u64,
    },
    /// Its output is there, from the same inputs.
    Unchanged,
    /// Nothing was written for it.
    Failed {
        /// Why.
        #[serde(serialize_with = "text")]
        error: Error,
    },
}

fn text<S: Serializer>(error: &Error, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(error)
}

impl Report {
    /// "97 baked, 2 unchanged, 1 failed".
    #[must_use]
    pub fn summary(&self) -> String {
        let count = |is: fn(&State) -> bool| self.nodes.iter().filter(|o| is(&o.state)).count();
        let (baked, unchanged, failed) = (
            count(|state| matches!(state, State::Baked { .. })),
            count(|state| matches!(state, State::Unchanged)),
            count(|state| matches!(state, State::Failed { .. })),
        );
        let mut parts = vec![format!("{baked} baked")];
        if unchanged > 0 {
            parts.push(format!("{unchanged} unchanged"));
        }
        if failed > 0 {
            parts.push(format!("{failed} failed"));
        }
        parts.join(", ")
    }
}
