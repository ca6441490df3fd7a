//! What K3s and its unit say.

use std::collections::BTreeMap;

/// Value of a top-level scalar key of K3s's `config.yaml`, which `bake` writes one a line.
#[must_use]
pub fn config_value<'a>(yaml: &'a str, key: &str) -> Option<&'a str> {
    yaml.lines().find_map(|line| {
        let value = line.strip_prefix(key)?.strip_prefix(':')?.trim();
        Some(value.trim_matches(['"', '\'']))
    })
}

/// `Name=value` lines of `systemctl show`.
#[must_use]
pub fn properties(show: &str) -> BTreeMap<&str, &str> {
    show.lines().filter_map(|line| line.split_once('=')).collect()
}

/// The last thing K3s complained about, from its journal, fit for a report: short, on one line,
/// without anything that looks like a token.
#[must_use]
pub fn complaint(journal: &str) -> Option<String> {
    let line = journal
        .lines()
        .rev()
        .find(|line| line.contains("level=fatal"))
        .or_else(|| journal.lines().rev().find(|line| line.contains("level=error")))?;
    let message = line.split_once("msg=").map_or(line, |(_, message)| message);
    let message = message.trim().trim_matches('"').replace("\\\"", "'");
    let shown: Vec<&str> = message
        .split_whitespace()
        .map(|word| if looks_secret(word) { "[redacted]" } else { word })
        .collect();
    Some(shown.join(" ").chars().take(300).collect())
}

/// K3s tokens (`K10…::server:…`), URLs with credentials, `token=`, `password=`.
fn looks_secret(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    word.contains("K10")
        || word.contains("::")
        || lower.contains("token=")
        || lower.contains("password=")
        || word.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_of_the_configuration() {
        let yaml = "cluster-init: true\nhttps-listen-port: 7443\ndata-dir: \"/mnt/k3s\"\n\
                    tls-san:\n  - node1\n";
        assert_eq!(config_value(yaml, "https-listen-port"), Some("7443"));
        assert_eq!(config_value(yaml, "data-dir"), Some("/mnt/k3s"));
        assert_eq!(config_value(yaml, "https"), None);
    }

    #[test]
    fn complaints_are_short_and_hold_no_secret() {
        let journal = "time=\"1\" level=info msg=\"Starting k3s\"\n\
            time=\"2\" level=fatal msg=\"token \\\"K10abc::server:s3cret\\\" bad for \
            postgres://u:p@db/x\"\nk3s.service: Main process exited\n";
        let said = complaint(journal).unwrap();
        assert_eq!(said, "token [redacted] bad for [redacted]");
        assert_eq!(complaint("all is well\n"), None);
    }
}
