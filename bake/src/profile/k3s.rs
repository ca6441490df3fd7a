//! K3s's configuration file as an ordered map.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Content of `/etc/rancher/k3s/config.yaml`: flag names without dashes (K3s docs, configuration).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct K3sConfig(pub Map<String, Value>);

impl K3sConfig {
    /// Sets a key, replacing a value it had.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
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
    let plain = key.bytes().all(|b| b.is_ascii_lowercase() || b == b'-' || b == b'+')
        && key.starts_with(|c: char| c.is_ascii_lowercase())
        && !matches!(key, "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null");
    if plain { key.to_owned() } else { Value::from(key).to_string() }
}
