//! The real binary below a directory that stands for a board, with the stand-in K3s answering
//! over real TLS. Only systemctl is a script.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Once;
use std::time::{Duration, Instant};

use nodeconf::paths;

/// Starts, watches and enables the stand-in as systemd would, below `$BAKE_ROOT`.
const SYSTEMCTL: &str = r#"#!/bin/sh
set -eu
pid=$BAKE_ROOT/run/k3s.pid
echo "$*" >>"$BAKE_ROOT/run/systemctl.log"
case $1 in
enable)
    mkdir -p "$BAKE_ROOT/etc/systemd/system/multi-user.target.wants"
    ln -sf ../k3s.service "$BAKE_ROOT/etc/systemd/system/multi-user.target.wants/k3s.service" ;;
start)
    K3S_STANDIN_ROOT=$BAKE_ROOT K3S_STANDIN_PING_MS=1500 K3S_STANDIN_READY_MS=2000 \
        K3S_STANDIN_NODE_MS=4000 "$BAKE_ROOT/usr/local/bin/k3s" server \
        >/dev/null 2>>"$BAKE_ROOT/run/k3s.log" </dev/null &
    echo $! >"$pid" ;;
show)
    if [ -e "$pid" ] && kill -0 "$(cat "$pid")" 2>/dev/null; then state=active; else state=inactive; fi
    printf 'ActiveState=%s\nSubState=running\nNRestarts=0\n' $state ;;
reset-failed) exit 1 ;;
*) echo "no $1 here" >&2; exit 1 ;;
esac
"#;

/// A directory that looks like a freshly booted board.
struct Board {
    root: tempfile::TempDir,
    port: u16,
}

impl Board {
    fn new() -> Self {
        let board = Self { root: tempfile::tempdir().unwrap(), port: free_port() };
        let hex = "0123456789abcdef0123456789abcdef";
        let route = "I D G F R U M M M W I\neth0 00000000 0118A8C0 3 0 0 0 00000000 0 0 0\n\
                     eth0 0018A8C0 00000000 1 0 0 0 00FFFFFF 0 0 0\n";
        for (path, text) in [
            ("/etc/hostname", "raspberrypi\n"),
            ("/etc/hosts", "127.0.0.1\tlocalhost\n"),
            ("/etc/machine-id", hex),
            ("/etc/systemd/system/k3s.service", "[Service]\n"),
            // As long as the new name, since a kernel file is not truncated when it is written.
            ("/proc/sys/kernel/hostname", "other\n"),
            ("/proc/sys/kernel/random/boot_id", "boot-1\n"),
            ("/proc/mounts", "/dev/mmcblk0p1 /boot/firmware vfat rw 0 0\n"),
            ("/proc/swaps", "Filename Type Size Used Priority\n"),
            ("/proc/net/route", route),
            ("/proc/net/fib_trie", "|-- 192.168.24.11\n   /32 host LOCAL\n"),
            ("/sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n"),
            ("/sys/class/net/eth0/carrier", "1\n"),
            ("/run/systemd/timesync/synchronized", ""),
            ("/boot/firmware/config.txt", "\n"),
            ("/var/lib/dpkg/status", ""),
            (paths::NODE_SECRETS, "{\"version\":1,\"server_token\":\"s3cret-token\"}\n"),
            (paths::K3S_TOKEN, "s3cret-token\n"),
        ] {
            board.write(path, text);
        }
        board.write(paths::NODE_CONFIG, include_str!("fake/node.json"));
        board.write(
            paths::K3S_CONFIG,
            &format!(
                "node-name: node1\nnode-ip: 192.168.24.11\nbind-address: 127.0.0.1\n\
                 https-listen-port: {}\ntoken-file: {}\n",
                board.port,
                paths::K3S_TOKEN
            ),
        );
        board.write("/usr/bin/systemctl", SYSTEMCTL);
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(board.at("/usr/bin/systemctl"), executable).unwrap();
        fs::create_dir_all(board.at("/usr/local/bin")).unwrap();
        symlink(stand_in(), board.at(paths::K3S)).unwrap();
        fs::create_dir_all(board.at("/etc/alternatives")).unwrap();
        symlink("/usr/sbin/iptables-legacy", board.at("/etc/alternatives/iptables")).unwrap();
        board
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    fn firstboot(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firstboot"));
        command.arg("--root").arg(self.root.path()).args(args).output().unwrap()
    }

    fn runs_to(&self, status: i32) -> String {
        let out = self.firstboot(&["run"]);
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        let k3s = fs::read_to_string(self.at("/run/k3s.log")).unwrap_or_default();
        assert_eq!(out.status.code(), Some(status), "{said}\n{k3s}");
        said
    }

    fn stop_k3s(&self) {
        if let Ok(pid) = fs::read_to_string(self.at("/run/k3s.pid")) {
            let _ = Command::new("kill").arg(pid.trim()).status();
            let _ = fs::remove_file(self.at("/run/k3s.pid"));
        }
    }

    fn systemctl(&self, args: &[&str]) {
        let mut command = Command::new(self.at("/usr/bin/systemctl"));
        assert!(command.args(args).env("BAKE_ROOT", self.root.path()).status().unwrap().success());
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.stop_k3s();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The stand-in, built beside the binary under test, once. Cargo's own variables are kept from
/// the inner cargo: build scripts that watch them would run again every time.
fn stand_in() -> PathBuf {
    static BUILT: Once = Once::new();
    let program = Path::new(env!("CARGO_BIN_EXE_firstboot")).with_file_name("k3s-standin");
    // nextest runs what was just built for the whole workspace; building one package of it again
    // has other features of the same crates, and takes minutes.
    if std::env::var_os("NEXTEST").is_some() && program.exists() {
        return program;
    }
    BUILT.call_once(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "k3s-standin"]);
        build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let ours = ["CARGO_HOME", "CARGO_TARGET_DIR"].contains(&name.as_str());
            if name.starts_with("CARGO") && !ours {
                build.env_remove(name);
            }
        }
        assert!(build.status().unwrap().success());
    });
    program
}

#[test]
fn a_board_goes_from_power_on_to_ready_and_stays() {
    let board = Board::new();
    let said = board.runs_to(0);
    assert!(said.contains("confirm: K3s is starting"), "{said}");
    assert!(said.contains("is not Ready: Ready is False"), "{said}");
    assert!(!said.contains("s3cret"));

    assert_eq!(board.read("/etc/hostname"), "node1\n");
    assert_eq!(board.read("/proc/sys/kernel/hostname"), "node1\n");
    assert!(!board.at(paths::NODE_SECRETS).exists(), "sealed");
    assert_eq!(fs::metadata(board.at(paths::LEDGER)).unwrap().permissions().mode() & 0o777, 0o600);
    let log = board.read("/boot/firmware/bake-firstboot.log");
    assert!(log.ends_with("== now: done: the node is Ready\r\n"), "{log}");

    let status = board.firstboot(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["state"], "done");
    assert_eq!(status["node"], "node1");
    assert!(status["installation_seconds"].as_f64().unwrap() >= 2.0);
    let text = String::from_utf8(board.firstboot(&["status"]).stdout).unwrap();
    assert!(text.starts_with("node node1 of cluster home\ndone: the node is Ready"), "{text}");

    // The board reboots: firstboot has nothing to do, and does not wait for K3s, which is not up.
    let ledger = board.read(paths::LEDGER);
    board.stop_k3s();
    board.write("/proc/sys/kernel/random/boot_id", "boot-2\n");
    let calls = board.read("/run/systemctl.log");
    assert_eq!(board.runs_to(0), "");
    assert_eq!(board.read("/run/systemctl.log"), calls, "systemctl is not even asked");
    assert_eq!(board.read(paths::LEDGER), ledger);
}

#[test]
fn a_server_with_another_ca_is_not_believed() {
    let board = Board::new();
    board.runs_to(0);
    // Someone else's server, on our port, with a CA of its own.
    let other = Board::new();
    other.write(
        paths::K3S_CONFIG,
        &board.read(paths::K3S_CONFIG).replace(&format!("{}", other.port), &board.port.to_string()),
    );
    board.stop_k3s();
    std::thread::sleep(Duration::from_millis(100));
    other.systemctl(&["start"]);
    let begun = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", board.port)).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", other.read("/run/k3s.log"));
        std::thread::sleep(Duration::from_millis(50));
    }
    let sys = firstboot::sys::Real::below("/");
    let ca = fs::read(board.at("/var/lib/rancher/k3s/server/tls/server-ca.crt")).unwrap();
    let address = ([127, 0, 0, 1], board.port).into();
    let request = firstboot::sys::HttpsRequest::get(address, "/ping", ca);
    let refused = firstboot::sys::Sys::https(&sys, &request).unwrap_err();
    assert!(matches!(refused, firstboot::sys::HttpsError::Untrusted(_)), "{refused:?}");
}

#[test]
fn the_api_is_asked_and_told() {
    use firstboot::kube::{Api, ApiError};
    let board = Board::new();
    board.runs_to(0);
    let sys = firstboot::sys::Real::below("/");
    let file =
        |name: &str| fs::read(board.at("/var/lib/rancher/k3s/server/tls").join(name)).unwrap();
    let stranger = Api::at(([127, 0, 0, 1], board.port).into(), file("server-ca.crt"));
    assert_eq!(stranger.ping(&sys), Ok(true));
    assert!(matches!(stranger.is_ready(&sys), Err(ApiError::Status { status: 401 | 403, .. })));
    let admin =
        firstboot::sys::Identity { chain: file("client-admin.crt"), key: file("client-admin.key") };
    let api = stranger.by(admin);
    assert_eq!(api.is_ready(&sys), Ok(true));
    let nodes = api.nodes(&sys).unwrap();
    assert_eq!(nodes.len(), 1, "{nodes:?}");
    let node = api.node(&sys, &nodes[0].name).unwrap().unwrap();
    assert_eq!(node, nodes[0]);
    assert!(node.ready.is_ok() && !node.uid.is_empty(), "{node:?}");
    assert_eq!(api.node(&sys, "nobody"), Ok(None));
    // Another node of the same name stays.
    let earlier = firstboot::kube::Node { uid: "earlier".into(), ..node.clone() };
    assert_eq!(api.delete_node(&sys, &earlier), Ok(()));
    assert_eq!(api.node(&sys, &node.name).unwrap().unwrap().uid, node.uid);
    assert_eq!(api.leave_finalizers(&sys, &earlier, &["example.org/x"]), Ok(()));
    assert_eq!(api.node(&sys, &node.name).unwrap().unwrap().finalizers, node.finalizers);
    assert_eq!(api.counts_member(&sys, &node.name, None), Ok(None), "it has no etcd");
    assert_eq!(api.delete_node(&sys, &node), Ok(()));
    let after = api.node(&sys, &node.name).unwrap();
    assert!(after.is_none_or(|after| after.uid != node.uid || after.deleting));
}

#[test]
fn check_config_tells_every_fault() {
    let board = Board::new();
    let out = board.firstboot(&["check-config"]);
    assert!(out.status.success());
    let broken = board.read(paths::NODE_CONFIG).replace("\"prefix\": 24", "\"prefix\": 99");
    board.write(paths::NODE_CONFIG, &broken);
    let out = board.firstboot(&["check-config"]);
    assert_eq!(out.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&out.stderr).contains("prefix"));
}

#[test]
fn usage_errors_are_not_runs() {
    let out = Command::new(env!("CARGO_BIN_EXE_firstboot")).arg("walk").output().unwrap();
    assert_eq!(out.status.code(), Some(64));
}
