//! K3s's own settings: version, keys of `config.yaml`, environment.

use serde_json::Value;

use super::{Subnet, check_digest};
use crate::profile::faults::{Faults, did_you_mean};
use crate::profile::path::{Path, at};
use crate::profile::raw;

/// Keys of `config.yaml` that bake decides, with what to use instead.
const OWNED: [(&str, &str); 18] = [
    ("agent-token", "tokens come from the secrets file"),
    ("agent-token-file", "tokens come from the secrets file"),
    ("bind-address", "HAProxy and firstboot reach K3s on the node's own address"),
    ("cluster-init", "firstboot decides at run time who founds the cluster"),
    ("cluster-reset", "a reset is an action, not a setting: run it on the node"),
    ("cluster-reset-restore-path", "a restore is an action, not a setting: run it on the node"),
    ("config", "bake writes config.yaml where K3s looks for it"),
    ("data-dir", "bake writes below /var/lib/rancher/k3s"),
    ("datastore-endpoint", "set `cluster.datastore.endpoint`"),
    ("docker", "K3s's own containerd is used"),
    ("flannel-iface", "set `network.interface`, or `interface` of the node"),
    ("https-listen-port", "servers listen on 6443; the VIP has a port of its own"),
    ("node-ip", "set `address` of the node"),
    ("node-name", "set `name` of the node"),
    ("rootless", "the K3s service runs as root"),
    ("server", "agents join the VIP or the first server; servers find each other"),
    ("token", "tokens come from the secrets file"),
    ("token-file", "tokens come from the secrets file"),
];

/// Keys that `k3s agent` knows too (k3s agent --help); these reach every node.
const EVERYWHERE: [&str; 35] = [
    "airgap-extra-registry",
    "alsologtostderr",
    "container-runtime-endpoint",
    "debug",
    "default-runtime",
    "disable-apiserver-lb",
    "disable-default-registry-endpoint",
    "enable-pprof",
    "flannel-cni-conf",
    "flannel-conf",
    "image-credential-provider-bin-dir",
    "image-credential-provider-config",
    "image-service-endpoint",
    "kube-proxy-arg",
    "kubelet-arg",
    "lb-server-port",
    "log",
    "node-external-dns",
    "node-external-ip",
    "node-internal-dns",
    "node-label",
    "node-taint",
    "nonroot-devices",
    "pause-image",
    "prefer-bundled-bin",
    "private-registry",
    "protect-kernel-defaults",
    "resolv-conf",
    "selinux",
    "snapshotter",
    "v",
    "vmodule",
    "vpn-auth",
    "vpn-auth-file",
    "with-node-id",
];

/// Keys that only `k3s server` knows (k3s server --help); agents would refuse to start on them.
pub const SERVER_ONLY: [&str; 69] = [
    "advertise-address",
    "advertise-port",
    "cluster-cidr",
    "cluster-dns",
    "cluster-domain",
    "datastore-cafile",
    "datastore-certfile",
    "datastore-keyfile",
    "default-local-storage-path",
    "disable",
    "disable-agent",
    "disable-apiserver",
    "disable-cloud-controller",
    "disable-controller-manager",
    "disable-etcd",
    "disable-helm-controller",
    "disable-kube-proxy",
    "disable-network-policy",
    "disable-scheduler",
    "egress-selector-mode",
    "embedded-registry",
    "etcd-arg",
    "etcd-disable-snapshots",
    "etcd-expose-metrics",
    "etcd-s3",
    "etcd-s3-access-key",
    "etcd-s3-bucket",
    "etcd-s3-bucket-lookup-type",
    "etcd-s3-config-secret",
    "etcd-s3-endpoint",
    "etcd-s3-endpoint-ca",
    "etcd-s3-folder",
    "etcd-s3-insecure",
    "etcd-s3-proxy",
    "etcd-s3-region",
    "etcd-s3-retention",
    "etcd-s3-secret-key",
    "etcd-s3-session-token",
    "etcd-s3-skip-ssl-verify",
    "etcd-s3-timeout",
    "etcd-snapshot-compress",
    "etcd-snapshot-dir",
    "etcd-snapshot-name",
    "etcd-snapshot-reconcile-interval",
    "etcd-snapshot-retention",
    "etcd-snapshot-schedule-cron",
    "flannel-backend",
    "flannel-external-ip",
    "flannel-ipv6-masq",
    "helm-job-image",
    "kube-apiserver-arg",
    "kube-cloud-controller-manager-arg",
    "kube-controller-arg",
    "kube-controller-manager-arg",
    "kube-scheduler-arg",
    "secrets-encryption",
    "secrets-encryption-provider",
    "service-cidr",
    "service-node-port-range",
    "servicelb-namespace",
    "supervisor-metrics",
    "supervisor-port",
    "system-default-registry",
    "tls-san",
    "tls-san-security",
    "write-kubeconfig",
    "write-kubeconfig-group",
    "write-kubeconfig-mode",
    "write-kubeconfig-name",
];

pub fn check(raw: &raw::Profile, subnet: Option<Subnet>, faults: &mut Faults<'_>) {
    let path = at!("k3s");
    if !nodeconf::names::is_k3s_version(&raw.k3s.version) {
        let message = format!("`{}` is not a release of K3s", raw.k3s.version);
        let help = "write one such as v1.36.5+k3s1; channels move and are not accepted";
        faults.advise(&path.key("version"), message, help);
    }
    if let Some(digest) = &raw.k3s.sha256 {
        check_digest(&path.key("sha256"), digest, faults);
    }
    for (key, value) in &raw.k3s.config {
        check_key(&path.key("config").key(key), key, value, faults);
    }
    for (name, value) in &raw.k3s.env {
        check_variable(&path.key("env").key(name), name, value, faults);
    }
    check_networks(raw, subnet, faults);
}

fn check_key(path: &Path, key: &str, value: &Value, faults: &mut Faults<'_>) {
    if let Some((_, instead)) = OWNED.iter().find(|(owned, _)| *owned == key) {
        faults.advise(path, format!("bake decides `{key}` itself"), *instead);
        return;
    }
    if key.is_empty()
        || !key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    {
        let message = "not a key of config.yaml: flags without dashes in front, such as `tls-san`";
        faults.add(path, message);
        return;
    }
    if !(EVERYWHERE.contains(&key) || SERVER_ONLY.contains(&key)) {
        let known = EVERYWHERE.iter().chain(&SERVER_ONLY).copied();
        let guess = did_you_mean(key, known).map_or(String::new(), |guess| format!("; {guess}"));
        faults.warn(path, format!("`{key}` is no key of K3s that bake knows{guess}"));
    }
    let plain = |v: &Value| !v.is_object() && !v.is_array();
    let fits = match value {
        Value::Object(_) => false,
        Value::Array(items) => items.iter().all(plain),
        _ => true,
    };
    if !fits {
        faults.add(path, "K3s's keys hold a single value or a list of single values");
    }
}

fn check_variable(path: &Path, name: &str, value: &str, faults: &mut Faults<'_>) {
    let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !letters || name.is_empty() || name.as_bytes()[0].is_ascii_digit() {
        faults.add(path, "not the name of an environment variable");
    }
    if value.contains(['\n', '\r', '\0']) {
        faults.add(path, "the value of an environment variable is one line");
    }
    let Some(rest) = name.strip_prefix("K3S_") else { return };
    let key = match rest {
        "URL" => "server".to_owned(),
        "CONFIG_FILE" => "config".to_owned(),
        _ => rest.to_ascii_lowercase().replace('_', "-"),
    };
    if let Some((_, instead)) = OWNED.iter().find(|(owned, _)| *owned == key) {
        faults.advise(path, format!("bake decides `{name}` itself"), *instead);
    }
}

/// Pods, services and nodes must have networks of their own.
fn check_networks(raw: &raw::Profile, nodes: Option<Subnet>, faults: &mut Faults<'_>) {
    let mut known: Vec<(String, Subnet)> = Vec::new();
    if let Some(nodes) = nodes {
        known.push((format!("the nodes' network {nodes}"), nodes));
    }
    for (key, usual, what) in [
        ("cluster-cidr", "10.42.0.0/16", "the pods' network"),
        ("service-cidr", "10.43.0.0/16", "the services' network"),
    ] {
        let path = at!("k3s", "config", key);
        let Some(texts) = cidrs(raw.k3s.config.get(key), usual) else {
            faults.add(&path, format!("not a network: write one such as {usual}"));
            continue;
        };
        for text in texts.iter().filter(|t| !t.contains(':')) {
            let Some(net) = Subnet::parse(text) else {
                faults.add(&path, format!("`{text}` is not a network: write one such as {usual}"));
                continue;
            };
            if let Some((other, _)) = known.iter().find(|(_, other)| net.overlaps(*other)) {
                let help = format!("move it with `k3s.config.{key}`, or move the nodes");
                faults.advise(&path, format!("{what} {net} overlaps {other}"), help);
            }
            known.push((format!("{what} {net}"), net));
        }
    }
}

/// A CIDR key as K3s reads it: a list, or text with commas.
fn cidrs(value: Option<&Value>, usual: &str) -> Option<Vec<String>> {
    let split = |text: &str| text.split(',').map(|t| t.trim().to_owned()).collect();
    match value {
        None => Some(vec![usual.to_owned()]),
        Some(Value::String(text)) => Some(split(text)),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect()
        }
        Some(_) => None,
    }
}
