//! `bake verify`: whether an image is sound, still as it was baked, and the node that is meant.

use nodeconf::{NodeConfig, paths};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::open::Opened;
use crate::error::{Error, Result};
use crate::fs::root::Root;
use crate::io::sealed::Keys;
use crate::profile::{BaseFacts, ClusterSecrets, Profile, SecretsFile, Source};
use crate::provenance;

/// No node config is larger.
const LIMIT: u64 = 1 << 20;

/// The node an image is expected to be.
#[derive(Debug)]
pub struct Expected {
    /// Where the profile was found.
    pub source: Source,
    /// The profile.
    pub profile: Profile,
    /// The node of it.
    pub node: String,
    /// The cluster's secrets, where they exist already.
    pub secrets: Option<ClusterSecrets>,
}

impl Expected {
    /// Reads the profile; secrets are looked at, never made.
    ///
    /// # Errors
    /// Those of finding and reading a profile and its secrets.
    pub fn read(
        source: Source,
        sets: &[String],
        node: Option<&str>,
        image: &std::path::Path,
        secrets: Option<&std::path::Path>,
        keys: &Keys,
    ) -> Result<Self> {
        let profile = Profile::read(&source, sets)?;
        let node = profile.select(node, Some(image))?.to_owned();
        let secrets = SecretsFile::peek(&profile.secrets_path(secrets), profile.cluster(), keys)?;
        Ok(Self { source, profile, node, secrets })
    }
}

/// What was looked at, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// `file system at /`, `node config`, `baked files`, `profile`.
    pub subject: String,
    /// How much was looked at ("41 files").
    pub extent: String,
    /// Every complaint; empty where all is well.
    pub problems: Vec<String>,
}

/// Verifies an image.
///
/// # Errors
/// What reading the image fails with; what is wrong with its content is in the verdicts.
pub fn verify(opened: &Opened, expected: Option<&Expected>) -> Result<Vec<Verdict>> {
    let mut verdicts = unreadable(opened);
    let root = opened.root()?;
    for (at, tree) in root.trees() {
        let free = crate::units::human(tree.free_bytes()?);
        verdicts.push(Verdict {
            subject: format!("file system at {}", String::from_utf8_lossy(at)),
            extent: format!("{}, {free} free", tree.describe().format),
            problems: tree.check()?,
        });
    }
    let record = provenance::read(root)?;
    let config = root.read(paths::NODE_CONFIG.as_bytes(), LIMIT)?;
    let config = config.map(|json| NodeConfig::parse(&json));
    // A golden image is sound without being a node.
    let is_node = record.as_ref().is_some_and(|record| record.node.name.is_some());
    match &config {
        Some(Ok(config)) => {
            verdicts.push(verdict("node config", format!("node {}", config.node.name), []));
        }
        Some(Err(error)) => {
            verdicts.push(verdict("node config", String::new(), [error.to_string()]));
        }
        None if is_node || expected.is_some() => {
            let missing = format!("{} is missing", paths::NODE_CONFIG);
            verdicts.push(verdict("node config", String::new(), [missing]));
        }
        None => {}
    }
    match &record {
        Some(record) => {
            let wrong = provenance::check(root, record)?;
            let extent = format!("{} paths", record.files.len());
            verdicts.push(verdict("baked files", extent, wrong.iter().map(ToString::to_string)));
        }
        None if expected.is_some() => {
            verdicts.push(verdict("baked files", String::new(), ["bake left no record".into()]));
        }
        None => {}
    }
    if let (Some(expected), Some(Ok(config))) = (expected, &config) {
        verdicts.push(as_planned(root, config, expected)?);
    }
    Ok(verdicts)
}

/// Volumes that contradict themselves; a partition without a file system of ours is none of those.
fn unreadable(opened: &Opened) -> Vec<Verdict> {
    let corrupt = |error: &&Error| !matches!(error, Error::Unsupported { .. });
    opened
        .volumes
        .iter()
        .filter_map(|v| Some((v, v.content.as_ref().err().filter(corrupt)?)))
        .map(|(volume, error)| {
            let subject = format!("partition {}", volume.partition.number);
            verdict(&subject, String::new(), [error.to_string()])
        })
        .collect()
}

/// Compares the node config with the plan of the profile, taking from the image only what the plan
/// cannot know.
fn as_planned(root: &Root, config: &NodeConfig, expected: &Expected) -> Result<Verdict> {
    let Expected { source, profile, node, secrets } = expected;
    let known = secrets.is_some();
    let placeholder = || ClusterSecrets::placeholder(profile.cluster(), &profile.members());
    let secrets = secrets.clone().unwrap_or_else(placeholder);
    let system = &config.system;
    let mut planned = profile.plan(node, &secrets)?.config(&BaseFacts {
        boot_mount: system.boot_mount.clone(),
        clock_floor: system.clock_floor,
        iptables: system.iptables,
        root_growth: system.root_growth,
    });
    // Which packages a node needs, its image decides.
    planned.packages.clone_from(&config.packages);
    if !known {
        planned.cluster.id.clone_from(&config.cluster.id);
        planned.node.incarnation = config.node.incarnation;
    }
    let mut problems = Vec::new();
    differences("", &to_value(config), &to_value(&planned), &mut problems);
    let digest = hex::encode(Sha256::digest(source.text.as_bytes()));
    let baked_from = provenance::read(root)?.and_then(|record| record.node.profile_sha256);
    if baked_from.is_some_and(|baked| baked != digest) {
        problems.push("the profile has changed since this image was baked".to_owned());
    }
    Ok(verdict("profile", format!("{}, node {node}", source.shown()), problems))
}

fn to_value(config: &NodeConfig) -> Value {
    serde_json::from_str(&config.to_json()).unwrap_or_default()
}

fn differences(path: &str, found: &Value, planned: &Value, problems: &mut Vec<String>) {
    match (found, planned) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|k| !a.contains_key(*k))) {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let of = |map: &serde_json::Map<String, Value>| {
                    map.get(key).cloned().unwrap_or_default()
                };
                differences(&below, &of(a), &of(b), problems);
            }
        }
        (a, b) if a != b => problems.push(format!("{path} is {a}, the profile says {b}")),
        _ => {}
    }
}

fn verdict(subject: &str, extent: String, problems: impl IntoIterator<Item = String>) -> Verdict {
    Verdict { subject: subject.to_owned(), extent, problems: problems.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_are_named_by_their_path() {
        let mut found = Vec::new();
        let a = json!({"node": {"name": "a", "role": "agent"}, "k3s": null});
        let b = json!({"node": {"name": "b", "role": "agent"}, "vip": 1});
        differences("", &a, &b, &mut found);
        assert_eq!(
            found,
            [r#"node.name is "a", the profile says "b""#, "vip is null, the profile says 1"]
        );
    }
}
