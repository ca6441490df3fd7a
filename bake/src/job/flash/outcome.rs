//! What became of one card.

use serde::{Serialize, Serializer};

use crate::device::Device;
use crate::emit::card::Written;
use crate::error::Error;
use crate::units::human;

/// What became of one card.
#[derive(Debug)]
pub struct Outcome {
    /// The device, as it was seen before.
    pub device: Device,
    /// The node it is, or was to be.
    pub node: Option<String>,
    /// How often that node's card was made anew.
    pub incarnation: Option<u32>,
    /// How long it took.
    pub seconds: f64,
    /// What was done, or why it was not.
    pub result: Result<Written, Error>,
}

/// How the whole ended.
///
/// # Errors
/// That of the only card; [`Error::Parts`] where some of several failed, also where others were
/// taken instead.
pub fn conclude(mut outcomes: Vec<Outcome>) -> Result<(), Error> {
    if outcomes.len() == 1 {
        return outcomes.remove(0).result.map(drop);
    }
    let total = outcomes.len();
    let failed: Vec<(String, Error)> = outcomes
        .into_iter()
        .filter_map(|o| Some((o.device.path.display().to_string(), o.result.err()?)))
        .collect();
    if failed.is_empty() { Ok(()) } else { Err(Error::Parts { what: "cards", total, failed }) }
}

/// As `--json` prints it.
#[derive(Serialize)]
struct Line<'a> {
    device: &'a std::path::Path,
    card: &'a crate::device::Identity,
    size: u64,
    node: Option<&'a str>,
    incarnation: Option<u32>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    written_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zeroed_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discarded_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_bytes: Option<u64>,
    seconds: f64,
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = self.result.as_ref().ok();
        let line = Line {
            device: &self.device.path,
            card: &self.device.identity,
            size: self.device.size,
            node: self.node.as_deref(),
            incarnation: self.incarnation,
            outcome: match &self.result {
                Ok(_) => "done",
                Err(error) => word(error),
            },
            error: self.result.as_ref().err().map(Error::to_string),
            written_bytes: written.map(|w| w.written),
            zeroed_bytes: written.map(|w| w.zeroed),
            discarded_bytes: written.map(|w| w.discarded),
            verified_bytes: written.map(|w| w.verified),
            seconds: self.seconds,
        };
        line.serialize(serializer)
    }
}

fn word(error: &Error) -> &'static str {
    use crate::error::Exit;
    match error.exit() {
        Exit::Refused => "refused",
        Exit::Interrupted => "interrupted",
        _ => "failed",
    }
}

impl Outcome {
    /// One line for people.
    #[must_use]
    pub fn line(&self) -> String {
        let device = self.device.path.display();
        match (&self.result, &self.node) {
            (Ok(written), node) => {
                let what = match (node, self.incarnation) {
                    (Some(node), Some(n)) if n > 1 => {
                        format!("this card is {node}: write it on it (card {n} of {node})")
                    }
                    (Some(node), _) => format!("this card is {node}: write it on it"),
                    (None, _) => "written".to_owned(),
                };
                let verified = human(written.verified);
                format!("{device}: {what}; {verified} read back, {:.1} s", self.seconds)
            }
            (Err(error), Some(node)) => format!("{device}: not {node}: {error}"),
            (Err(error), None) => format!("{device}: {error}"),
        }
    }
}
