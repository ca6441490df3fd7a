//! What keepalived and HAProxy themselves say of their configurations.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nodeconf::paths;

use super::fixtures::release;
use super::plans::{DATABASE, ETCD, plan};
use super::recipe_for;
use crate::recipe::{Action, Source};

/// The text the recipe of a node writes to `path`.
fn written(yaml: &str, node: &str, path: &str) -> Option<String> {
    let recipe = recipe_for(&release("bookworm"), &plan(yaml, node, &[]));
    recipe.edits.iter().find_map(|edit| match &edit.action {
        Action::Write { path: at, source: Source::Bytes(bytes), .. } if at == path => {
            Some(String::from_utf8(bytes.clone()).unwrap())
        }
        _ => None,
    })
}

fn accepted(program: &str, args: &[&str], file: &Path) {
    let out = Command::new(program)
        .args(args)
        .arg(file)
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}; ci/install-deps installs it"));
    let said = [out.stdout, out.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(out.status.success(), "{program}: {said}\n{}", fs::read_to_string(file).unwrap());
    assert!(!said.to_lowercase().contains("warning"), "{program} warns: {said}");
}

#[test]
fn haproxy_accepts_its_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.crt");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-keyout", "/dev/null", "-subj", "/CN=test", "-out"])
        .arg(&ca)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for (yaml, node) in [(ETCD, "node2"), (DATABASE, "node1")] {
        let text = written(yaml, node, paths::HAPROXY_CONFIG).unwrap();
        let file = folder.path().join("haproxy.cfg");
        fs::write(&file, text.replace(paths::API_CA, ca.to_str().unwrap())).unwrap();
        accepted("/usr/sbin/haproxy", &["-c", "-f"], &file);
    }
}

#[test]
fn keepalived_accepts_its_configuration() {
    // Where script security lets a script be: nobody but root may write to any folder above it.
    let script = Path::new("/usr/bin/true");
    let folder = tempfile::tempdir().unwrap();
    for (yaml, node) in [(ETCD, "node1"), (ETCD, "node3"), (DATABASE, "node2")] {
        let text = written(yaml, node, paths::KEEPALIVED_CONFIG).unwrap();
        let file = folder.path().join("keepalived.conf");
        let text = text.replace(nodeconf::vip::ALIVE, script.to_str().unwrap());
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        accepted("/usr/sbin/keepalived", &["--config-test", "-f"], &file);
    }
}

#[test]
fn every_server_knows_every_other_and_nobody_else_is_involved() {
    let text = written(ETCD, "node2", paths::KEEPALIVED_CONFIG).unwrap();
    assert!(text.contains("unicast_src_ip 192.168.24.12\n"), "{text}");
    assert!(text.contains("        192.168.24.11\n        192.168.24.13\n"), "{text}");
    assert!(text.contains("priority 204\n"), "{text}");
    let text = written(ETCD, "node2", paths::HAPROXY_CONFIG).unwrap();
    assert_eq!(text.matches(":6443\n").count(), 3, "{text}");
    for (yaml, node) in [(ETCD, "worker1"), (DATABASE, "db")] {
        assert_eq!(written(yaml, node, paths::KEEPALIVED_CONFIG), None);
        assert_eq!(written(yaml, node, paths::HAPROXY_CONFIG), None);
    }
}
