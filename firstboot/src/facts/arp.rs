//! Who answers ARP, from what arping(8) of iputils prints.

use std::collections::BTreeSet;

/// Hardware addresses of those that answered, in lower case:
/// `Unicast reply from 192.168.24.40 [B8:27:EB:01:02:03]  0.783ms`.
#[must_use]
pub fn answering(printed: &str) -> BTreeSet<String> {
    printed
        .lines()
        .filter(|line| line.contains(" reply from "))
        .filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_ascii_lowercase()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_machine_once() {
        let printed = "ARPING 10.9.0.40 from 10.9.0.11 eth0\n\
                       Unicast reply from 10.9.0.40 [B8:27:EB:01:02:03]  0.783ms\n\
                       Unicast reply from 10.9.0.40 [B8:27:EB:01:02:03]  0.701ms\n\
                       Broadcast reply from 10.9.0.40 [02:00:00:00:00:01] to x  1ms\n\
                       Sent 1 probes (1 broadcast(s))\nReceived 2 response(s)\n";
        let found: Vec<String> = answering(printed).into_iter().collect();
        assert_eq!(found, ["02:00:00:00:00:01", "b8:27:eb:01:02:03"]);
        assert!(answering("ARPING 10.9.0.40 from 10.9.0.11 eth0\n").is_empty());
    }
}
