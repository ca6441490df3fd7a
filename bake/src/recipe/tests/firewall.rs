//! What nft and iptables-restore say of the openings, and what they come to.

use std::process::Command;

use super::fixtures::{RELEASES, release};
use super::plans::{DATABASE, ETCD, plan};
use super::{bake, text};
use crate::fs::root::Root;

fn baked(name: &str, yaml: &str, node: &str) -> Root {
    let mut root = release(name);
    bake(&mut root, &plan(yaml, node, &["cluster.load_balancer={provider: none}"]));
    root
}

/// Runs `program` in a network namespace of its own on a file of `rules`.
fn accepts(program: &str, arguments: &[&str], rules: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules");
    std::fs::write(&file, rules).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", program]).args(arguments).arg(&file);
    let out = command.output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{program}: {said}; ci/install-deps installs it\n{rules}");
}

#[test]
fn nft_accepts_the_openings_of_every_role() {
    for (yaml, node) in [(ETCD, "node2"), (ETCD, "worker1"), (DATABASE, "db")] {
        accepts("nft", &["-c", "-f"], &text(&baked("bookworm", yaml, node), "/etc/nftables.conf"));
    }
}

#[test]
fn iptables_accepts_the_openings_of_ufw() {
    for (yaml, node) in [(ETCD, "node2"), (ETCD, "worker1"), (DATABASE, "db")] {
        let root = baked("noble", yaml, node);
        for file in ["/etc/ufw/user.rules", "/etc/ufw/before.rules"] {
            accepts("iptables-restore", &["--test"], &text(&root, file));
        }
    }
}

#[test]
fn only_servers_reach_etcd_and_the_database() {
    let rules = text(&baked("bookworm", ETCD, "node2"), "/etc/nftables.conf");
    for needed in [
        "add set inet filter bake_servers { type ipv4_addr; }\n",
        "add element inet filter bake_servers { 192.168.24.11, 192.168.24.13 }\n",
        "input ip saddr @bake_servers tcp dport 2379-2380 accept\n",
        "input ip saddr @bake_servers ip protocol 112 accept\n",
        "input tcp dport 16444 accept\n",
        "input udp dport 8472 accept\n",
    ] {
        assert_eq!(rules.matches(needed).count(), 1, "{needed}{rules}");
    }
    assert_eq!((rules.matches("2379").count(), rules.matches("protocol 112").count()), (1, 1));
    let rules = text(&baked("bookworm", DATABASE, "db"), "/etc/nftables.conf");
    assert!(rules.contains("bake_servers { 192.168.24.11, 192.168.24.12 }"), "{rules}");
    assert!(rules.contains("input ip saddr @bake_servers tcp dport 5432 accept"), "{rules}");
    assert_eq!(rules.matches("5432").count(), 1, "{rules}");
    assert!(!rules.contains("8472"), "{rules}");
}

#[test]
fn an_image_without_a_firewall_gets_none() {
    for (name, _) in RELEASES {
        let root = baked(name, ETCD, "node1");
        for file in ["/etc/nftables.conf", "/etc/ufw/user.rules"] {
            let there = |root: &Root| root.lstat(file.as_bytes()).unwrap().is_some();
            assert_eq!(there(&root), there(&release(name)), "{name}: {file}");
        }
    }
}
