//! The stand-in behaves as the real one was seen to, where our tests rely on it.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

struct Host {
    root: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

impl Host {
    fn new() -> Self {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let host = Self { root: tempfile::tempdir().unwrap(), port, child: None };
        host.write("sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
        host.configure("token: s3cret\n");
        host
    }

    fn configure(&self, more: &str) {
        let text = format!(
            "node-name: Node1\nbind-address: 127.0.0.1\nhttps-listen-port: {}\n{more}",
            self.port
        );
        self.write("etc/rancher/k3s/config.yaml", &text);
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn data(&self, path: &str) -> PathBuf {
        self.root.path().join("var/lib/rancher/k3s/server").join(path)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_k3s-standin"));
        command.args(args).env("K3S_STANDIN_ROOT", self.root.path());
        for (name, ms) in [("PING", "1500"), ("READY", "2000"), ("NODE", "2500")] {
            command.env(format!("K3S_STANDIN_{name}_MS"), ms);
        }
        command
    }

    fn start(&mut self) {
        let mut command = self.command(&["server"]);
        self.child = Some(command.stderr(Stdio::null()).spawn().unwrap());
    }

    /// Runs a server that must end by itself, and returns what it said.
    fn fails(&self) -> String {
        let out = self.command(&["server"]).output().unwrap();
        assert_eq!(out.status.code(), Some(1));
        String::from_utf8(out.stderr).unwrap()
    }

    fn kubectl(&self, args: &[&str]) -> Output {
        self.command(&[&["kubectl"], args].concat()).output().unwrap()
    }

    fn waits_for(&self, args: &[&str], part: &str) -> String {
        let begun = Instant::now();
        loop {
            let out = self.kubectl(args);
            let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
            if said.contains(part) {
                return said;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{said}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
    }
}

#[test]
fn a_server_starts_in_order_and_a_restart_keeps_its_cluster() {
    let mut host = Host::new();
    host.start();
    host.waits_for(&["get", "--raw", "/ping"], "503: starting");
    host.waits_for(&["get", "--raw", "/ping"], "pong");
    host.waits_for(&["get", "--raw", "/readyz"], "ok");
    let table = host.waits_for(&["get", "nodes"], "node1            Ready");
    assert!(table.contains("v1.36.5+k3s1"), "{table}");
    let uid = host.waits_for(&["get", "--raw", "/api/v1/namespaces/kube-system"], "uid");
    let ca = fs::read(host.data("tls/server-ca.crt")).unwrap();
    let token = fs::read_to_string(host.data("node-token")).unwrap();
    assert!(token.starts_with("K10") && token.ends_with("::server:s3cret\n"), "{token}");

    host.stop();
    host.start();
    host.waits_for(&["get", "--raw", "/readyz"], "ok");
    let again = host.waits_for(&["get", "--raw", "/api/v1/namespaces/kube-system"], "uid");
    assert_eq!(again, uid);
    assert_eq!(fs::read(host.data("tls/server-ca.crt")).unwrap(), ca);

    // The full token pins this CA; another password does not open the data.
    host.stop();
    host.configure(&format!("token: {token}"));
    host.start();
    host.waits_for(&["get", "--raw", "/ping"], "pong");
    host.stop();
    host.configure("token: other\n");
    assert!(host.fails().contains("encrypted with different token"));
}

#[test]
fn it_refuses_what_k3s_refuses() {
    let host = Host::new();
    host.write("sys/fs/cgroup/cgroup.controllers", "cpu pids\n");
    assert!(host.fails().contains("Failed to find memory cgroup"));
    host.write("sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
    host.configure("tls-sans: [a]\n");
    assert!(host.fails().contains("flag provided but not defined: -tls-sans"));
    host.configure("token: K10aa::server:s3cret\n");
    assert!(host.fails().contains("full token"));
}

#[test]
fn it_refuses_what_it_cannot_stand_in_for() {
    let host = Host::new();
    for line in ["server: https://10.0.0.1:6443", "cluster-init: true", "datastore-endpoint: x"] {
        host.configure(&format!("{line}\n"));
        assert!(host.fails().contains("the stand-in is a single server"), "{line}");
    }
}
