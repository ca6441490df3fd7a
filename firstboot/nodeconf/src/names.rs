//! Names of nodes and clusters.

/// Whether `name` is an RFC 1123 label: 1 to 63 of `a-z`, `0-9`, `-`, with no `-` at the ends.
/// Upper case is refused because Kubernetes node names have none.
#[must_use]
pub fn is_label(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// The DNS name in the certificate of a node's witness. It is never looked up: clients connect
/// to an address and expect this name, so that addresses may change.
#[must_use]
pub fn witness_name(node: &str, cluster_id: &str) -> String {
    format!("{node}.{cluster_id}.bake.internal")
}

/// Whether `name` can name a network interface: 1 to 15 printable ASCII bytes without `/`, `:`
/// and spaces, not `.` or `..` (Linux `dev_valid_name`).
#[must_use]
pub fn is_interface(name: &str) -> bool {
    (1..=15).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_graphic() && b != b'/' && b != b':')
        && name != "."
        && name != ".."
}

/// Whether `text` is a K3s release: `vX.Y.Z+k3sN`, optionally with `-rcN` before the `+`.
#[must_use]
pub fn is_k3s_version(text: &str) -> bool {
    let number = |s: &str| !s.is_empty() && s.len() <= 4 && s.bytes().all(|b| b.is_ascii_digit());
    let Some((kubernetes, k3s)) = text.strip_prefix('v').and_then(|t| t.split_once("+k3s")) else {
        return false;
    };
    let (kubernetes, candidate) = match kubernetes.split_once("-rc") {
        Some((version, n)) => (version, number(n)),
        None => (kubernetes, true),
    };
    let parts: Vec<&str> = kubernetes.split('.').collect();
    candidate && number(k3s) && parts.len() == 3 && parts.iter().all(|p| number(p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        for good in ["a", "node1", "0", "a-b", &"x".repeat(63)] {
            assert!(is_label(good), "{good}");
        }
        for bad in ["", "-a", "a-", "Node", "a.b", "a_b", "é", &"x".repeat(64)] {
            assert!(!is_label(bad), "{bad}");
        }
    }

    #[test]
    fn k3s_versions() {
        for good in ["v1.36.5+k3s1", "v1.21.14+k3s1", "v1.37.0-rc1+k3s2"] {
            assert!(is_k3s_version(good), "{good}");
        }
        for bad in ["1.36.5+k3s1", "v1.36+k3s1", "v1.36.5", "v1.36.5-k3s1", "v1.36.5+k3s", "stable"]
        {
            assert!(!is_k3s_version(bad), "{bad}");
        }
    }
}
