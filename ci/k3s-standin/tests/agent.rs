//! Agents, and who may ask what of the API.

mod host;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use host::Host;

const SERVER: &str = "token: s3cret\nagent-token: ag3nt\n";

fn server(name: &str, more: &str) -> Host {
    let mut host = Host::new(name);
    host.configure(&format!("{SERVER}{more}"));
    host.set("GRACE_MS", "1500");
    host.set("HEARTBEAT_MS", "300");
    host
}

fn agent(name: &str, of: &Host) -> Host {
    let mut host = Host::new(name);
    let password = "k".repeat(32);
    host.write("etc/rancher/node/password", &format!("{password}\n"));
    host.configure(&format!(
        "token: ag3nt\nserver: {}\nnode-label: [zone=attic]\nnode-taint: [sd=slow:NoSchedule]\n",
        of.url()
    ));
    host.set("HEARTBEAT_MS", "300");
    host
}

/// The status code of a request, by curl: an independent client.
fn code(server: &Host, path: &str, args: &[&str]) -> String {
    let out = Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert"])
        .arg(server.data("server/tls/server-ca.crt"))
        .args(args)
        .arg(format!("{}{path}", server.url()))
        .output()
        .unwrap();
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn an_agent_joins_fails_over_and_keeps_its_name() {
    let mut one = server("node1", "cluster-init: true\n");
    one.start("server");
    one.is_ready();
    let mut two = server("node2", &format!("server: {}\n", one.url()));
    two.start("server");
    two.is_ready();
    let mut worker = agent("worker1", &one);
    worker.start("agent");
    let ready = |said: &str| {
        said.lines()
            .any(|l| l.starts_with("worker1 ") && l.contains(" Ready ") && l.contains("<none>"))
    };
    one.waits(&["get", "nodes"], "a ready agent", ready);
    let node = one.waits_for(&["get", "--raw", "/api/v1/nodes/worker1"], "worker1");
    assert!(node.contains("\"zone\":\"attic\"") && node.contains("NoSchedule"), "{node}");
    for file in ["client-kubelet.crt", "client-kubelet.key", "server-ca.crt", "client-ca.crt"] {
        assert!(worker.data(&format!("agent/{file}")).exists(), "{file}");
    }
    // Its certificate reads its own Node and no other.
    let crt = worker.data("agent/client-kubelet.crt").display().to_string();
    let key = worker.data("agent/client-kubelet.key").display().to_string();
    let known = ["--cert", &crt, "--key", &key];
    assert_eq!(code(&one, "/api/v1/nodes/worker1", &known), "200");
    assert_eq!(code(&one, "/api/v1/nodes/node1", &known), "403");
    assert_eq!(code(&one, "/api/v1/nodes", &known), "403");

    // The name belongs to whoever had it first.
    let mut twin = agent("worker1", &one);
    twin.write("etc/rancher/node/password", "another\n");
    twin.start("agent");
    twin.says("Node password rejected");
    twin.stop();

    // Silence shows; its return too. A deleted Node frees the name.
    worker.stop();
    one.waits(&["get", "nodes"], "a silent agent", |said| {
        said.lines().any(|l| l.starts_with("worker1 ") && l.contains("NotReady"))
    });
    assert!(one.kubectl(&["delete", "node", "worker1"]).status.success());
    twin.start("agent");
    one.waits(&["get", "nodes"], "the new agent", ready);

    // The server it was told is gone: it goes on with the other (two of two are needed to write,
    // so a third one joins first).
    let mut three = server("node3", &format!("server: {}\n", two.url()));
    three.start("server");
    three.is_ready();
    let list = twin.data("agent/etc/k3s-agent-load-balancer.json");
    let begun = Instant::now();
    while !fs::read_to_string(&list).is_ok_and(|text| text.contains(&three.address)) {
        assert!(begun.elapsed() < host::PATIENCE);
        std::thread::sleep(Duration::from_millis(50));
    }
    one.stop();
    two.waits(&["get", "nodes"], "a server lost", |said| {
        said.lines().any(|l| l.starts_with("node1 ") && l.contains("NotReady")) && ready(said)
    });
    // Also from a new start.
    twin.stop();
    twin.start("agent");
    std::thread::sleep(Duration::from_secs(2));
    two.waits(&["get", "nodes"], "the agent again", ready);
}

#[test]
fn who_may_ask_what() {
    let mut one = server("node1", "cluster-init: true\n");
    one.start("server");
    one.is_ready();
    let nobody = |path| code(&one, path, &[]);
    for (path, wanted) in [
        ("/ping", "200"),
        ("/cacerts", "200"),
        ("/readyz", "401"),
        ("/version", "401"),
        ("/api/v1/nodes", "401"),
        ("/v1-k3s/server-bootstrap", "403"),
        ("/v1-k3s/client-kubelet.crt", "403"),
        ("/db/info", "403"),
    ] {
        assert_eq!(nobody(path), wanted, "{path}");
    }
    let with = |user, path| code(&one, path, &["-u", user]);
    assert_eq!(with("server:s3cret", "/v1-k3s/server-bootstrap"), "200");
    assert_eq!(with("server:wrong", "/v1-k3s/server-bootstrap"), "401");
    assert_eq!(with("node:ag3nt", "/v1-k3s/server-bootstrap"), "403");
    assert_eq!(with("node:ag3nt", "/v1-k3s/config"), "200");
    assert_eq!(with("node:s3cret", "/v1-k3s/config"), "401");
    assert_eq!(with("server:s3cret", "/db/info"), "200");
    // A certificate of another authority is as good as none.
    let mut other = server("other", "");
    other.start("server");
    other.is_ready();
    let crt = other.data("server/tls/client-admin.crt").display().to_string();
    let key = other.data("server/tls/client-admin.key").display().to_string();
    assert_eq!(code(&one, "/readyz", &["--cert", &crt, "--key", &key]), "401");
    assert_eq!(code(&other, "/readyz", &["--cert", &crt, "--key", &key]), "200");
}

#[test]
fn an_agent_waits_for_its_server_and_minds_the_pin() {
    let mut one = server("node1", "");
    let mut worker = agent("worker1", &one);
    worker.start("agent");
    worker.says("failed to get CA certs");
    one.start("server");
    one.waits(&["get", "nodes"], "the agent", |said| said.contains("worker1 "));
    worker.stop();
    let pin = "00".repeat(32);
    worker.configure(&format!("token: K10{pin}::node:ag3nt\nserver: {}\n", one.url()));
    worker.start("agent");
    worker.says("token CA hash does not match");
}
