//! K3s's configuration file as an ordered map.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value};

/// Content of `/etc/rancher/k3s/config.yaml`: flag names without dashes (K3s docs, configuration).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct K3sConfig(pub Map<String, Value>);

impl K3sConfig {
    /// Sets a key, replacing a value it had.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    /// Adds texts to a list; without any, the key is not made.
    pub fn extend<'a>(&mut self, key: &str, items: impl IntoIterator<Item = &'a str>) {
        self.append(key, items.into_iter().map(Value::from).collect());
    }

    /// Adds to a list what it does not hold yet; a single value becomes a list first.
    pub fn append(&mut self, key: &str, items: Vec<Value>) {
        if items.is_empty() {
            return;
        }
        let list = self.0.entry(key.to_owned()).or_insert_with(|| Value::Array(Vec::new()));
        if !list.is_array() {
            *list = Value::Array(vec![list.take()]);
        }
        if let Value::Array(list) = list {
            for item in items {
                if !list.contains(&item) {
                    list.push(item);
                }
            }
        }
    }

    /// YAML text. Strings are always quoted: K3s reads YAML 1.1, where a bare `off` is a boolean.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut text = String::new();
        for (key, value) in &self.0 {
            match value {
                Value::Array(items) if !items.is_empty() => {
                    let _ = writeln!(text, "{}:", quoted_unless_plain(key));
                    for item in items {
                        let _ = writeln!(text, "  - {item}");
                    }
                }
                // JSON is YAML's flow style, strings quoted.
                _ => {
                    let _ = writeln!(text, "{}: {value}", quoted_unless_plain(key));
                }
            }
        }
        text
    }
}

fn quoted_unless_plain(key: &str) -> String {
    let plain = key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && key.starts_with(|c: char| c.is_ascii_lowercase())
        && !matches!(key, "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null");
    if plain { key.to_owned() } else { Value::from(key).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_text_reads_back() {
        let mut config = K3sConfig::default();
        config.set("node-name", "off");
        config.set("selinux", true);
        config.set("v", 4);
        config.extend("tls-san", ["10.0.0.1", "a: \"b\" #c", "0o17", "1_000"]);
        config.append("tls-san", vec!["10.0.0.1".into(), 5.into()]);
        config.append("node-name", vec!["x".into()]);
        let text = config.to_yaml();
        let read: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(read, Value::Object(config.0), "{text}");
        assert!(text.contains("  - \"0o17\"\n"), "{text}");
    }
}
