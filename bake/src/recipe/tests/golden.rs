//! What each release gets, as `--dry-run` prints it.

use std::fmt::Write;

use super::fixtures::{RELEASES, release};
use super::plans::{DATABASE, ETCD, SINGLE, plan};
use super::recipe_for;
use crate::profile::NodePlan;
use crate::recipe::Topic;

fn printed(release_name: &str, plan: &NodePlan) -> String {
    let recipe = recipe_for(&release(release_name), plan);
    let mut text = String::new();
    let mut topic = None;
    for edit in &recipe.edits {
        if topic != Some(edit.topic) {
            let _ = writeln!(text, "{}:", edit.topic);
            topic = Some(edit.topic);
        }
        // What firstboot brings and reads is held by its own tests.
        let _ = match edit.topic {
            Topic::Firstboot => writeln!(text, "  {edit}"),
            _ => writeln!(text, "  {edit:#}"),
        };
    }
    for note in &recipe.notes {
        let _ = writeln!(text, "note: {note}");
    }
    for warning in &recipe.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}

#[test]
fn a_single_server_on_every_release() {
    for (name, _) in RELEASES {
        insta::assert_snapshot!(
            format!("single-{name}"),
            printed(name, &plan(SINGLE, "node1", &[]))
        );
    }
}

#[test]
fn every_role_on_one_release() {
    for (role, yaml, node) in [
        ("etcd-server", ETCD, "node2"),
        ("agent", ETCD, "worker1"),
        ("database-server", DATABASE, "node1"),
        ("database", DATABASE, "db"),
    ] {
        insta::assert_snapshot!(
            format!("role-{role}"),
            printed("bookworm", &plan(yaml, node, &[]))
        );
    }
}

#[test]
fn the_same_wireless_network_for_every_manager() {
    let wifi = ["system.wifi={ssid: Field Lab, psk: correct horse, country: DE}"];
    for name in ["buster", "bookworm", "trixie", "noble"] {
        let text = printed(name, &plan(SINGLE, "node1", &wifi));
        assert!(!text.contains("correct horse"), "a secret is printed: {text}");
        let lines: Vec<&str> = text
            .lines()
            .filter(|l| {
                l.contains("i-Fi")
                    || l.contains("wlan")
                    || l.contains("regdom")
                    || l.contains("NetworkManager.state")
            })
            .collect();
        insta::assert_snapshot!(format!("wifi-{name}"), lines.join("\n"));
    }
}
