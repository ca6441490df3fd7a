//! Baking a baked image: the same again, something else, nothing left behind.

use nodeconf::paths;
use proptest::prelude::*;

use super::fixtures::{RELEASES, put, release};
use super::plans::{ETCD, SINGLE, plan};
use super::{bake, listing, text};
use crate::error::Error;
use crate::fs::Attributes;
use crate::provenance;
use crate::recipe::booted::begin_anew;
use crate::recipe::undo::undo;

#[test]
fn baking_again_changes_nothing() {
    for (name, _) in RELEASES {
        let mut root = release(name);
        let plan = plan(SINGLE, "node1", &[]);
        bake(&mut root, &plan);
        let once = listing(&root);
        bake(&mut root, &plan);
        assert_eq!(listing(&root), once, "{name}");
    }
}

#[test]
fn undoing_gives_the_base_back() {
    for (name, _) in RELEASES {
        let base = listing(&release(name));
        let mut root = release(name);
        bake(&mut root, &plan(SINGLE, "node1", &[]));
        let undone = undo(&mut root).unwrap().expect("a record");
        assert_eq!(undone.left, Vec::<String>::new(), "{name}");
        assert_eq!(listing(&root), base, "{name}");
        assert_eq!(undo(&mut root).unwrap(), None);
    }
}

#[test]
fn the_record_describes_the_image() {
    for (name, _) in RELEASES {
        let mut root = release(name);
        bake(&mut root, &plan(SINGLE, "node1", &[]));
        let record = provenance::read(&root).unwrap().expect("a record");
        assert_eq!(provenance::check(&root, &record).unwrap(), [], "{name}");
        let json = text(&root, nodeconf::paths::RECORD);
        for line in text(&root, provenance::SEALED).lines().filter(|l| l.contains('/')) {
            let digest = line.split('"').nth(3).unwrap();
            assert!(!json.contains(digest), "{name}: digest of a secret in the record: {line}");
        }
    }
}

#[test]
fn tampering_is_seen() {
    let mut root = release("bookworm");
    bake(&mut root, &plan(SINGLE, "node1", &[]));
    let record = provenance::read(&root).unwrap().unwrap();
    let file = |mode| Attributes { mode, uid: 0, gid: 0, mtime: 5 };
    put(&mut root, "/usr/local/bin/k3s", b"another K3s".to_vec(), file(0o755));
    put(&mut root, "/etc/rancher/k3s/server-token", b"another token".to_vec(), file(0o600));
    root.set_attributes(b"/etc/bake/secrets.json", file(0o644)).unwrap();
    root.remove_file(b"/usr/local/bin/kubectl").unwrap();
    let found = provenance::check(&root, &record).unwrap();
    let paths: Vec<&str> = found.iter().map(|m| m.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/etc/bake/secrets.json",
            "/etc/rancher/k3s/server-token",
            "/usr/local/bin/k3s",
            "/usr/local/bin/kubectl",
        ]
    );
}

#[test]
fn what_changed_since_stays() {
    let mut root = release("bookworm");
    let original = text(&root, "/boot/firmware/cmdline.txt");
    bake(&mut root, &plan(SINGLE, "node1", &[]));
    // As the first boot does: a new disk id, and no growth word.
    let booted = text(&root, "/boot/firmware/cmdline.txt")
        .replace("4f1a2b3c", "0badcafe")
        .replace(" init=/usr/lib/raspberrypi-sys-mods/firstboot", "");
    let file = Attributes { mode: 0o755, uid: 0, gid: 0, mtime: 7 };
    put(&mut root, "/boot/firmware/cmdline.txt", booted.clone().into_bytes(), file);
    put(&mut root, "/home/ops/notes", b"mine".to_vec(), file);
    let undone = undo(&mut root).unwrap().unwrap();
    assert_eq!(undone.left, ["/boot/firmware/cmdline.txt"]);
    assert_eq!(text(&root, "/home/ops/notes"), "mine");
    bake(&mut root, &plan(SINGLE, "node1", &[]));
    assert_eq!(text(&root, "/boot/firmware/cmdline.txt"), booted, "flags are there once");
    assert_ne!(booted, original);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However an image was baked before, baking it is the same as baking its base.
    #[test]
    fn history_does_not_show(
        name in prop::sample::select(RELEASES.map(|(name, _)| name).to_vec()),
        earlier in prop::collection::vec(0_usize..5, 1..4),
        last in 0_usize..5,
    ) {
        let plans = [
            plan(SINGLE, "node1", &[]),
            plan(SINGLE, "node1", &["system.wifi={ssid: a, psk: '12345678', country: GB}", "system.users=[]"]),
            plan(SINGLE, "node1", &["system.swap=keep", "system.iptables=bundled", "k3s.airgap=false"]),
            plan(ETCD, "node2", &[]),
            plan(ETCD, "worker1", &["system.timezone=Europe/Berlin"]),
        ];
        let mut fresh = release(name);
        bake(&mut fresh, &plans[last]);
        let mut used = release(name);
        for index in earlier {
            bake(&mut used, &plans[index]);
        }
        bake(&mut used, &plans[last]);
        prop_assert_eq!(listing(&used), listing(&fresh));
    }
}

#[test]
fn an_image_that_was_booted_begins_anew_as_the_same_node_only() {
    let mut root = release("bookworm");
    let plan = plan(SINGLE, "node1", &[]);
    bake(&mut root, &plan);
    let (cluster, node) = (plan.cluster.id.as_str(), "node1");
    assert_eq!(begin_anew(&mut root, cluster, node).unwrap(), None, "no board has booted from it");
    let file = Attributes { mode: 0o600, uid: 0, gid: 0, mtime: 5 };
    let ledger = format!(r#"{{"version":1,"cluster":"{cluster}","node":"{node}","done":{{}}}}"#);
    for (path, content) in [
        (paths::LEDGER, ledger.as_str()),
        (paths::WITNESS_STATE, "{}"),
        ("/var/lib/bake/other", "stays"),
    ] {
        put(&mut root, path, content.as_bytes().to_vec(), file);
    }
    for (cluster, node) in [(cluster, "node2"), ("another", node)] {
        let refused = begin_anew(&mut root, cluster, node).unwrap_err();
        assert!(matches!(refused, Error::Refused { .. }));
        assert!(refused.to_string().contains("it was node1 of the cluster"), "{refused}");
    }
    assert!(root.lstat(paths::LEDGER.as_bytes()).unwrap().is_some(), "a refusal changes nothing");
    assert!(begin_anew(&mut root, cluster, node).unwrap().is_some());
    for path in [paths::LEDGER, paths::WITNESS_STATE] {
        assert!(root.lstat(path.as_bytes()).unwrap().is_none(), "{path}");
    }
    assert_eq!(text(&root, "/var/lib/bake/other"), "stays");
    put(&mut root, paths::LEDGER, b"torn".to_vec(), file);
    assert!(begin_anew(&mut root, cluster, node).is_err());
}
