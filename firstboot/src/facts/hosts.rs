//! `/etc/hosts` (hosts(5)).

/// Whether some line gives `name` an address.
#[must_use]
pub fn names(hosts: &str, name: &str) -> bool {
    hosts.lines().any(|line| {
        let line = line.split('#').next().unwrap_or_default();
        line.split_whitespace().skip(1).any(|word| word == name)
    })
}

/// The file with Debian's line for the machine's own name, replacing the one that was there.
#[must_use]
pub fn with_own_name(hosts: &str, name: &str) -> String {
    let mut out: String = hosts
        .lines()
        .filter(|line| line.split_whitespace().next() != Some("127.0.1.1"))
        .flat_map(|line| [line, "\n"])
        .collect();
    out.push_str("127.0.1.1\t");
    out.push_str(name);
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const PI: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n\n\
                      127.0.1.1\t\traspberrypi # old\n";

    #[test]
    fn the_own_name_replaces_the_old_one() {
        assert!(names(PI, "raspberrypi") && !names(PI, "old") && !names(PI, "node1"));
        let new = with_own_name(PI, "node1");
        assert!(
            names(&new, "node1") && names(&new, "ip6-localhost") && !names(&new, "raspberrypi")
        );
        assert_eq!(with_own_name(&new, "node1"), new);
    }
}
