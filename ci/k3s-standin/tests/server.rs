//! A single server behaves as the real one was seen to.

mod host;

use std::fs;

use host::Host;

fn single(more: &str) -> Host {
    let mut host = Host::new("Node1");
    host.configure(more);
    host.set("PING_MS", "1500");
    host.set("READY_MS", "2000");
    host.set("NODE_MS", "2500");
    host
}

#[test]
fn a_server_starts_in_order_and_a_restart_keeps_its_cluster() {
    let mut host = single("token: s3cret\n");
    host.start("server");
    host.waits_for(&["get", "--raw", "/ping"], "503: starting");
    host.waits_for(&["get", "--raw", "/ping"], "pong");
    host.is_ready();
    let table = host.waits_for(&["get", "nodes"], "node1            Ready");
    assert!(table.contains("v1.36.5+k3s1"), "{table}");
    let uid = host.waits_for(&["get", "--raw", "/api/v1/namespaces/kube-system"], "uid");
    let ca = fs::read(host.data("server/tls/server-ca.crt")).unwrap();
    let token = fs::read_to_string(host.data("server/node-token")).unwrap();
    assert!(token.starts_with("K10") && token.ends_with("::server:s3cret\n"), "{token}");

    host.stop();
    host.start("server");
    host.is_ready();
    let again = host.waits_for(&["get", "--raw", "/api/v1/namespaces/kube-system"], "uid");
    assert_eq!(again, uid);
    assert_eq!(fs::read(host.data("server/tls/server-ca.crt")).unwrap(), ca);

    // The full token pins this CA; another password does not open the data.
    host.stop();
    host.configure(&format!("token: {token}"));
    host.start("server");
    host.is_ready();
    host.stop();
    host.configure("token: other\n");
    assert!(host.fails(1).contains("encrypted with different token"));
}

#[test]
fn it_refuses_what_k3s_refuses() {
    let host = single("token: s3cret\n");
    host.write("sys/fs/cgroup/cgroup.controllers", "cpu pids\n");
    assert!(host.fails(1).contains("Failed to find memory cgroup"));
    host.write("sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
    host.configure("tls-sans: [a]\n");
    assert!(host.fails(1).contains("flag provided but not defined: -tls-sans"));
    host.configure("token: K10aa::server:s3cret\n");
    assert!(host.fails(1).contains("full token"));
}

#[test]
fn it_refuses_what_it_cannot_stand_in_for() {
    let host = single("cluster-reset: true\n");
    assert!(host.fails(1).contains("the stand-in has no cluster-reset"));
}
