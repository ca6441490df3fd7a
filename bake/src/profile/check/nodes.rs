//! Names, labels and taints of nodes.

use std::collections::BTreeMap;

use super::Node;
use super::range::{self, Pool};
use crate::profile::faults::Faults;
use crate::profile::path::{Path, at};
use crate::profile::raw::{self, Role};

pub fn check(raw: &raw::Profile, faults: &mut Faults<'_>) -> Vec<Node> {
    if !nodeconf::names::is_interface(&raw.network.interface) {
        faults.add(&at!("network", "interface"), "not the name of a network interface");
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut nodes = Vec::new();
    for (i, node) in raw.nodes.iter().enumerate() {
        let path = at!("nodes", i);
        let names = entry_names(&path.key("name"), i, &node.name, &mut seen, faults);
        if node.interface.as_ref().is_some_and(|name| !nodeconf::names::is_interface(name)) {
            faults.add(&path.key("interface"), "not the name of a network interface");
        }
        if node.role == Role::Database && !(node.labels.is_empty() && node.taints.is_empty()) {
            faults.add(&path, "a database node runs no K3s and has no labels or taints");
        }
        let range = range::is_range(&node.name);
        let pool = Pool::read(&path.key("address"), &node.address, range, names.len(), faults);
        let labels = labels(&path.key("labels"), &node.labels, faults);
        let taints = taints(&path.key("taints"), &node.taints, faults);
        let interface = node.interface.as_ref().unwrap_or(&raw.network.interface);
        nodes.extend(names.into_iter().enumerate().map(|(index, name)| Node {
            entry: i,
            name,
            role: node.role,
            address: pool.address(index),
            interface: interface.clone(),
            labels: labels.clone(),
            taints: taints.clone(),
        }));
    }
    nodes
}

/// The names of an entry, of which the first bad one is reported.
fn entry_names(
    path: &Path,
    entry: usize,
    text: &str,
    seen: &mut BTreeMap<String, usize>,
    faults: &mut Faults<'_>,
) -> Vec<String> {
    let names = range::names(path, text, faults);
    if faults.spares(path)
        && let Some(bad) = names.iter().find(|name| !nodeconf::names::is_label(name))
    {
        check_name(path, bad, "node", faults);
    }
    if let Some((name, first)) = names.iter().find_map(|name| Some((name, seen.get(name)?))) {
        faults.add(path, format!("`{name}` is already the name of nodes[{first}]"));
    }
    for name in &names {
        seen.entry(name.clone()).or_insert(entry);
    }
    names
}

/// Reports what is not an RFC 1123 label.
pub(super) fn check_name(path: &Path, name: &str, kind: &str, faults: &mut Faults<'_>) {
    if nodeconf::names::is_label(name) {
        return;
    }
    let message = format!("`{name}` cannot name a {kind}");
    faults.advise(path, message, "use 1 to 63 of a-z, 0-9 and `-`, with no `-` at the ends");
}

fn labels(path: &Path, labels: &BTreeMap<String, String>, faults: &mut Faults<'_>) -> Vec<String> {
    for (key, value) in labels {
        let here = path.key(key);
        if !is_label_key(key) {
            faults.add(&here, format!("`{key}` is not a Kubernetes label"));
        } else if is_reserved(key) {
            faults.advise(
                &here,
                "a node may not give itself this label: kubelet would refuse to start",
                "use a prefix of your own, or `kubectl label` afterwards",
            );
        }
        if !value.is_empty() && !is_label_value(value) {
            faults.add(&here, "not a label value: at most 63 of A-Z, a-z, 0-9, `-`, `_` and `.`");
        }
    }
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect()
}

fn taints(path: &Path, taints: &[String], faults: &mut Faults<'_>) -> Vec<String> {
    for (i, taint) in taints.iter().enumerate() {
        let good = taint.rsplit_once(':').is_some_and(|(pair, effect)| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            is_label_key(key)
                && (value.is_empty() || is_label_value(value))
                && ["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect)
        });
        if !good {
            let help = "write key=value:NoSchedule, or another effect: PreferNoSchedule, NoExecute";
            faults.advise(&path.index(i), format!("`{taint}` is not a taint"), help);
        }
    }
    taints.to_vec()
}

/// Kubernetes docs, Labels and Selectors, Syntax and character set.
fn is_label_key(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let domain = |p: &str| p.len() <= 253 && p.split('.').all(nodeconf::names::is_label);
    prefix.is_none_or(domain) && is_label_value(name)
}

fn is_label_value(value: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let outer = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = value.as_bytes();
    bytes.len() <= 63
        && bytes.iter().copied().all(inner)
        && outer(bytes.first())
        && outer(bytes.last())
}

/// Prefixes kubelet refuses in `--node-labels` (NodeRestriction, kubelet options validation).
fn is_reserved(key: &str) -> bool {
    let Some((prefix, _)) = key.split_once('/') else { return false };
    let within = |domain: &str| prefix == domain || prefix.ends_with(&format!(".{domain}"));
    let allowed = ["kubelet.kubernetes.io", "node.kubernetes.io"];
    let well_known = [
        "kubernetes.io/hostname",
        "kubernetes.io/arch",
        "kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "beta.kubernetes.io/instance-type",
    ];
    (within("kubernetes.io") || within("k8s.io"))
        && !allowed.iter().any(|domain| within(domain))
        && !well_known.contains(&key)
}
