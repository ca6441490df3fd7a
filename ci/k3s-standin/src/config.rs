//! `config.yaml`, `config.yaml.d/*.yaml` in the order of their names, then flags; the last wins,
//! and `key+` appends (K3s docs, configuration).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{Fatal, rooted};

/// Keys that both `k3s server` and `k3s agent` know (K3s docs); each refuses to start with any other.
const BOTH: &[&str] = &[
    "airgap-extra-registry",
    "alsologtostderr",
    "bind-address",
    "container-runtime-endpoint",
    "data-dir",
    "debug",
    "default-runtime",
    "disable-apiserver-lb",
    "docker",
    "enable-pprof",
    "flannel-cni-conf",
    "flannel-conf",
    "flannel-iface",
    "image-service-endpoint",
    "kube-proxy-arg",
    "kubelet-arg",
    "lb-server-port",
    "log",
    "node-external-dns",
    "node-external-ip",
    "node-internal-dns",
    "node-ip",
    "node-label",
    "node-name",
    "node-taint",
    "nonroot-devices",
    "pause-image",
    "prefer-bundled-bin",
    "private-registry",
    "protect-kernel-defaults",
    "resolv-conf",
    "rootless",
    "selinux",
    "server",
    "snapshotter",
    "token",
    "token-file",
    "v",
    "vmodule",
    "vpn-auth",
    "with-node-id",
];

/// Keys that only `k3s server` knows.
const SERVER: &[&str] = &[
    "advertise-address",
    "advertise-port",
    "agent-token",
    "agent-token-file",
    "cluster-cidr",
    "cluster-dns",
    "cluster-domain",
    "cluster-init",
    "cluster-reset",
    "cluster-reset-restore-path",
    "datastore-cafile",
    "datastore-certfile",
    "datastore-endpoint",
    "datastore-keyfile",
    "default-local-storage-path",
    "disable",
    "disable-agent",
    "disable-cloud-controller",
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
    "etcd-snapshot-compress",
    "etcd-snapshot-dir",
    "etcd-snapshot-name",
    "etcd-snapshot-retention",
    "etcd-snapshot-schedule-cron",
    "flannel-backend",
    "flannel-external-ip",
    "flannel-ipv6-masq",
    "helm-job-image",
    "https-listen-port",
    "kine-tls",
    "kube-apiserver-arg",
    "kube-controller-manager-arg",
    "kube-scheduler-arg",
    "secrets-encryption",
    "secrets-encryption-provider",
    "service-cidr",
    "service-node-port-range",
    "servicelb-namespace",
    "supervisor-metrics",
    "system-default-registry",
    "tls-san",
    "tls-san-security",
    "write-kubeconfig",
    "write-kubeconfig-group",
    "write-kubeconfig-mode",
    "write-kubeconfig-name",
];

/// The verb that is configured.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `k3s server`.
    #[default]
    Server,
    /// `k3s agent`.
    Agent,
}

/// Every setting, as a list of its values.
#[derive(Debug, Default)]
pub struct Config {
    verb: Verb,
    values: BTreeMap<String, Vec<String>>,
}

impl Config {
    /// Reads files, then flags.
    pub fn load(verb: Verb, args: &[String]) -> Result<Self, Fatal> {
        let mut config = Self { verb, values: BTreeMap::new() };
        let main = rooted("/etc/rancher/k3s/config.yaml");
        let mut files = vec![main.clone()];
        files.extend(drop_ins(&main.with_extension("yaml.d"))?);
        for file in files {
            config.read(&file)?;
        }
        config.flags(args)?;
        for (key, env) in [
            ("token", "K3S_TOKEN"),
            ("token-file", "K3S_TOKEN_FILE"),
            ("agent-token", "K3S_AGENT_TOKEN"),
            ("server", "K3S_URL"),
            ("datastore-endpoint", "K3S_DATASTORE_ENDPOINT"),
            ("datastore-cafile", "K3S_DATASTORE_CAFILE"),
            ("datastore-certfile", "K3S_DATASTORE_CERTFILE"),
            ("datastore-keyfile", "K3S_DATASTORE_KEYFILE"),
            ("node-name", "K3S_NODE_NAME"),
        ] {
            if let Ok(value) = std::env::var(env) {
                config.values.entry(key.into()).or_insert_with(|| vec![value]);
            }
        }
        Ok(config)
    }

    fn read(&mut self, file: &Path) -> Result<(), Fatal> {
        let Ok(text) = fs::read_to_string(file) else { return Ok(()) };
        let bad = |e: String| format!("{}: {e}", file.display());
        let map: BTreeMap<String, Value> = match text.trim().is_empty() {
            true => BTreeMap::new(),
            false => serde_saphyr::from_str(&text).map_err(|e| bad(e.to_string()))?,
        };
        for (key, value) in map {
            self.set(&key, values(&value).map_err(bad)?)?;
        }
        Ok(())
    }

    fn flags(&mut self, args: &[String]) -> Result<(), Fatal> {
        let mut given: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut args = args.iter().peekable();
        while let Some(arg) = args.next() {
            let flag = arg.strip_prefix("--").ok_or(format!("unexpected argument {arg}"))?;
            let (key, value) = match flag.split_once('=') {
                Some((key, value)) => (key, value.to_owned()),
                None => match args.next_if(|next| !next.starts_with("--")) {
                    Some(value) => (flag, value.clone()),
                    None => (flag, "true".to_owned()),
                },
            };
            given.entry(key.to_owned()).or_default().push(value);
        }
        given.into_iter().try_for_each(|(key, values)| self.set(&key, values))
    }

    fn set(&mut self, key: &str, mut values: Vec<String>) -> Result<(), Fatal> {
        let (name, append) = match key.strip_suffix('+') {
            Some(name) => (name, true),
            None => (key, false),
        };
        let servers = self.verb == Verb::Server && SERVER.contains(&name);
        if !servers && !BOTH.contains(&name) {
            return Err(format!("flag provided but not defined: -{name}"));
        }
        let slot = self.values.entry(name.to_owned()).or_default();
        match append {
            true => slot.append(&mut values),
            false => *slot = values,
        }
        Ok(())
    }

    /// The last value of a setting.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key)?.last().map(String::as_str)
    }

    /// All values of a setting, commas taken apart.
    pub fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.values.get(key).into_iter().flatten().flat_map(|value| value.split(','))
    }

    /// Whether a switch is on.
    pub fn is_on(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value == "true")
    }

    /// A path that is set, or its default.
    pub fn path(&self, key: &str, default: &str) -> PathBuf {
        self.get(key).map_or_else(|| rooted(default), PathBuf::from)
    }
}

fn drop_ins(dir: &Path) -> Result<Vec<PathBuf>, Fatal> {
    let Ok(entries) = fs::read_dir(dir) else { return Ok(Vec::new()) };
    let mut files = entries
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| e.to_string())?;
    files.retain(|file| file.extension().is_some_and(|e| e == "yaml" || e == "yml"));
    files.sort();
    Ok(files)
}

fn values(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::Array(items) => {
            Ok(items.iter().map(values).collect::<Result<Vec<_>, _>>()?.concat())
        }
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Bool(_) | Value::Number(_) => Ok(vec![value.to_string()]),
        Value::Null => Ok(Vec::new()),
        Value::Object(_) => Err("a map where a value belongs".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(yaml: &str) -> Result<Config, Fatal> {
        let mut config = Config::default();
        let map: BTreeMap<String, Value> = serde_saphyr::from_str(yaml).unwrap();
        for (key, value) in map {
            config.set(&key, values(&value)?)?;
        }
        Ok(config)
    }

    #[test]
    fn the_last_wins_and_plus_appends() {
        let mut c =
            config("tls-san: [a, b]\nhttps-listen-port: 7443\ncluster-init: true\n").unwrap();
        c.set("tls-san+", vec!["c".into()]).unwrap();
        c.flags(&["--https-listen-port".into(), "8443".into(), "--debug".into()]).unwrap();
        assert_eq!(c.all("tls-san").collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(c.get("https-listen-port"), Some("8443"));
        assert!(c.is_on("cluster-init") && c.is_on("debug"));
    }

    #[test]
    fn unknown_keys_are_fatal_as_in_k3s() {
        let error = config("tls-sans: [a]\n").unwrap_err();
        assert_eq!(error, "flag provided but not defined: -tls-sans");
    }
}
