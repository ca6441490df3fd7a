//! Whole clusters with embedded etcd, against what was seen of a real K3s.

mod host;

use std::fs;
use std::time::{Duration, Instant};

use host::Host;

const TOKEN: &str = "token: s3cret\n";

fn founder(name: &str) -> Host {
    let host = Host::new(name);
    host.configure(&format!("{TOKEN}cluster-init: true\n"));
    host
}

fn joiner(name: &str, of: &Host) -> Host {
    let host = Host::new(name);
    host.configure(&format!("{TOKEN}server: {}\n", of.url()));
    host
}

fn members(host: &Host) -> String {
    let out = host.command(&["debug", "members"]).output().unwrap();
    String::from_utf8(out.stdout).unwrap()
}

fn cluster_id(host: &Host) -> String {
    let out = host.command(&["debug", "cluster-id"]).output().unwrap();
    let id = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success() && id.len() > 8, "{id}");
    id
}

/// What etcd's own tool says, with the client certificate that K3s keeps for etcd.
fn etcdctl(host: &Host, args: &[&str]) -> String {
    let tls = host.data("server/tls/etcd");
    let out = std::process::Command::new("etcdctl")
        .env("ETCDCTL_API", "3")
        .arg(format!("--endpoints=https://{}:2379", host.address))
        .arg(format!("--cacert={}", tls.join("server-ca.crt").display()))
        .arg(format!("--cert={}", tls.join("client.crt").display()))
        .arg(format!("--key={}", tls.join("client.key").display()))
        .args(args)
        .output()
        .unwrap();
    String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
}

/// Three servers, the second and third started at once.
fn three() -> [Host; 3] {
    let mut one = founder("node1");
    one.start("server");
    one.is_ready();
    let mut two = joiner("node2", &one);
    let mut three = joiner("node3", &one);
    two.start("server");
    three.start("server");
    two.is_ready();
    three.is_ready();
    [one, two, three]
}

#[test]
fn three_form_lose_quorum_and_recover() {
    let [one, mut two, mut three] = three();
    one.waits(&["get", "nodes"], "three nodes", |said| said.matches(" Ready ").count() == 3);
    let id = cluster_id(&one);
    assert_eq!((cluster_id(&two), cluster_id(&three)), (id.clone(), id.clone()));
    // The oracle: etcd's own tool sees three voting members of that cluster.
    let list = etcdctl(&one, &["member", "list"]);
    assert_eq!(list.matches("started").count(), 3, "{list}");
    assert_eq!(list.matches(", false").count(), 3, "{list}");
    let status = etcdctl(&three, &["endpoint", "status", "-w", "json"]);
    let decimal = u64::from_str_radix(id.trim(), 16).unwrap();
    assert!(status.contains(&format!("\"cluster_id\":{decimal}")), "{status} {id}");
    // Nodes carry what K3s gives them.
    let node = one.waits_for(&["get", "--raw", "/api/v1/nodes/node2"], "etcd.k3s.cattle.io");
    for part in ["node-role.kubernetes.io/etcd", "node-role.kubernetes.io/control-plane"] {
        assert!(node.contains(part), "{node}");
    }

    // A Node that etcd's controller has not marked yet is deleted without its member.
    one.waits_for(&["get", "--raw", "/api/v1/nodes/node3"], "finalizers");

    // Two of three gone: /ping still answers, the API does not.
    two.stop();
    three.stop();
    one.waits(&["get", "--raw", "/readyz"], "500", |said| said.contains("500: [-]etcd failed"));
    assert_eq!(String::from_utf8_lossy(&one.kubectl(&["get", "--raw", "/ping"]).stdout), "pong");
    // A lost one comes back with its data, where its server is dead and it may found.
    two.configure(&format!("{TOKEN}cluster-init: true\nserver: https://{}:1\n", one.address));
    two.start("server");
    one.is_ready();
    two.is_ready();
    assert_eq!(cluster_id(&two), id);
    one.waits(&["get", "nodes"], "a node lost", |said| {
        said.lines().any(|line| line.starts_with("node3") && line.contains("NotReady"))
    });
    // No member is admitted while a voting one is away.
    let mut four = joiner("node4", &one);
    four.start("server");
    four.says("unhealthy cluster");
    // Deleting the dead node's Node removes its member, and then the next may join.
    let begun = Instant::now();
    assert!(one.kubectl(&["delete", "node", "node3"]).status.success());
    while members(&one).contains("node3") {
        assert!(begun.elapsed() < host::PATIENCE, "{}", members(&one));
        std::thread::sleep(Duration::from_millis(20));
    }
    four.is_ready();
    assert_eq!(cluster_id(&four), id);

    // The removed one learns it from its old peers, and does not serve; next time it is new.
    three.start("server");
    three.says("please restart k3s to rejoin");
    three.waits_for(&["get", "--raw", "/ping"], "503: starting");
    let begun = Instant::now();
    while !three.data("server/db/etcd/tombstone").exists() {
        assert!(begun.elapsed() < host::PATIENCE);
        std::thread::sleep(Duration::from_millis(20));
    }
    three.stop();
    three.configure(&format!("{TOKEN}cluster-init: true\n"));
    assert!(three.fails(1).contains("removed from"));
    three.configure(&format!("{TOKEN}server: {}\n", one.url()));
    three.start("server");
    three.is_ready();
    assert_eq!(cluster_id(&three), id);
}

#[test]
fn a_new_card_with_cluster_init_founds_a_second_cluster() {
    let mut one = founder("node1");
    one.start("server");
    one.is_ready();
    let (id, tls) = (cluster_id(&one), one.data("server/tls"));
    let uid = one.waits_for(&["get", "--raw", "/api/v1/namespaces/kube-system"], "uid");
    let mut again = founder("node1");
    for name in ["server-ca", "client-ca", "request-header-ca", "etcd/server-ca", "etcd/peer-ca"] {
        for kind in ["crt", "key"] {
            let file = format!("{name}.{kind}");
            again.write(
                &format!("var/lib/rancher/k3s/server/tls/{file}"),
                &fs::read_to_string(tls.join(&file)).unwrap(),
            );
        }
    }
    again.start("server");
    again.is_ready();
    let ca = |host: &Host| fs::read(host.data("server/tls/server-ca.crt")).unwrap();
    assert_eq!(ca(&one), ca(&again));
    assert_ne!(cluster_id(&again), id);
    let other = again.waits_for(&["get", "--raw", "/api/v1/namespaces/kube-system"], "uid");
    assert_ne!(uid, other);
}

/// Makes the authorities of a cluster with openssl, beginning `later` (faketime's words).
fn place_authorities(host: &Host, later: &str) {
    for name in ["server-ca", "client-ca", "request-header-ca", "etcd/server-ca", "etcd/peer-ca"] {
        let file = |kind| host.data(&format!("server/tls/{name}.{kind}")).display().to_string();
        fs::create_dir_all(host.data("server/tls/etcd")).unwrap();
        let subject = format!("/CN={}", name.replace('/', "-"));
        let done = std::process::Command::new("faketime")
            .args(["-f", later, "openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-days", "9"])
            .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", &subject])
            .args(["-keyout", &file("key"), "-out", &file("crt")])
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

#[test]
fn a_clock_before_the_authority_heals_by_itself() {
    let mut one = founder("node1");
    place_authorities(&one, "+12s"); // what is seen before they begin has to be seen in this time
    one.start("server");
    one.waits_for(&["get", "--raw", "/ping"], "x509: certificate has expired or is not yet valid");
    let two = joiner("node2", &one);
    assert!(two.fails(1).contains("failed to get CA certs: https://"), "503 to all");
    one.is_ready();
    // A joiner whose clock is late ends.
    let late = std::process::Command::new("faketime")
        .args(["-f", "-2d", env!("CARGO_BIN_EXE_k3s-standin"), "server"])
        .env("K3S_STANDIN_ROOT", two.root.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&late.stderr).into_owned();
    assert_eq!(late.status.code(), Some(1), "{said}");
    assert!(said.contains("CA cert validation failed") && said.contains("not yet valid"), "{said}");
    // Placed authorities stay as they are.
    assert!(fs::read_to_string(one.data("server/tls/server-ca.key")).unwrap().contains("PRIVATE"));
}

#[test]
fn joiners_are_refused_as_k3s_refuses() {
    let mut one = founder("node1");
    one.set("PING_MS", "3000");
    one.start("server");
    let two = joiner("node2", &one);
    // Nobody listens yet, or answers 503: either ends the joiner.
    assert!(two.fails(1).contains("failed to get CA certs"));
    one.is_ready();
    two.configure(&format!("token: wrong\nserver: {}\n", one.url()));
    assert!(two.fails(1).contains("/v1-k3s/server-bootstrap: 401 Unauthorized"));
    assert!(!two.data("server").exists(), "a refused joiner leaves nothing");
    let pin = "00".repeat(32);
    two.configure(&format!("token: K10{pin}::server:s3cret\nserver: {}\n", one.url()));
    let said = two.fails(1);
    assert!(said.contains("token CA hash does not match the Cluster CA certificate hash: 0000"));
    two.configure(&format!("server: {}\n", one.url()));
    assert!(two.fails(1).contains("K3S_TOKEN is required to join a cluster"));
    // A name that a member has already.
    let twin = joiner("node1", &one);
    assert!(twin.fails(1).contains("duplicate node name found"));
    // The full token does.
    let token = fs::read_to_string(one.data("server/node-token")).unwrap();
    let mut two = joiner("node2", &one);
    two.configure(&format!("token: {token}server: {}\n", one.url()));
    two.start("server");
    two.is_ready();
}

#[test]
fn an_old_k3s_ends_when_another_is_joining() {
    let mut one = founder("node1");
    // Nobody is promoted in this test: the first learner stays one.
    one.set("MANAGE_MS", "60000");
    one.start("server");
    one.is_ready();
    let mut two = joiner("node2", &one);
    two.start("server");
    let begun = Instant::now();
    while !members(&one).contains("\"isLearner\":true") {
        assert!(begun.elapsed() < host::PATIENCE, "{}", two.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    two.waits_for(&["get", "--raw", "/ping"], "503: starting");
    let mut three = joiner("node3", &one);
    three.set("GENERATION", "old");
    let said = three.fails(1);
    assert!(said.contains("ETCD join failed: etcdserver: too many learner members in cluster"));
}

#[test]
fn killed_at_any_moment_the_founder_recovers_and_etcd_dies_with_it() {
    let mut one = founder("node1");
    // The moment between the making of etcd's log and its first entry has a test of its own.
    for after in [300, 600, 1200] {
        one.start("server");
        std::thread::sleep(Duration::from_millis(after));
        one.stop();
    }
    one.start("server");
    one.is_ready();
    let id = cluster_id(&one);
    let begun = Instant::now();
    std::net::TcpStream::connect((one.address.as_str(), 2379)).expect("etcd runs");
    one.stop();
    while std::net::TcpStream::connect((one.address.as_str(), 2379)).is_ok() {
        assert!(begun.elapsed() < host::PATIENCE, "etcd outlived its parent");
    }
    // With data nothing else counts.
    one.configure(&format!("{TOKEN}cluster-init: true\nserver: https://{}:1\n", one.address));
    one.start("server");
    one.is_ready();
    assert_eq!(cluster_id(&one), id);
}

/// How many records etcd's log has; three are written when it is made.
fn records(host: &Host) -> usize {
    let file = "server/db/etcd/member/wal/0000000000000000-0000000000000000.wal";
    let Ok(log) = fs::read(host.data(file)) else { return 0 };
    let (mut at, mut count) = (0, 0);
    while let Some(length) = log.get(at..at + 8).filter(|bytes| **bytes != [0; 8]) {
        let length = usize::from_le_bytes(length.try_into().unwrap()) & 0x00ff_ffff_ffff_ffff;
        (at, count) = (at + 8 + length.next_multiple_of(8), count + 1);
    }
    count
}

/// Starts a server and kills it as soon as its etcd has a log. Whether that was before its first
/// entry: it takes a few milliseconds, and a busy machine may miss them.
fn is_killed_unborn(host: &mut Host) -> bool {
    host.start("server");
    let begun = Instant::now();
    while !host.data("server/db/etcd/member/wal").exists() {
        assert!(begun.elapsed() < host::PATIENCE, "{}", host.log());
    }
    host.stop();
    std::thread::sleep(Duration::from_millis(100));
    records(host) == 3
}

#[test]
fn killed_before_its_first_entry_a_founder_waits_for_ever() {
    let unborn = (0..30).find_map(|_| {
        let mut host = founder("node1");
        is_killed_unborn(&mut host).then_some(host)
    });
    let mut one = unborn.expect("etcd was killed between its log and its first entry");
    one.start("server");
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(records(&one), 3, "it elected itself: {}", one.log());
    one.waits(&["get", "--raw", "/readyz"], "503 or 500", |said| said.contains("50"));
    one.stop();
    // Without what it left, it founds.
    fs::remove_dir_all(one.data("server/db/etcd/member")).unwrap();
    one.start("server");
    one.is_ready();
    // A learner killed at that moment is told by its leader how to go on.
    let mut others = Vec::new();
    let hit = (2..8).any(|number| {
        let mut host = joiner(&format!("node{number}"), &one);
        let hit = is_killed_unborn(&mut host);
        host.start("server");
        host.is_ready();
        assert_eq!(cluster_id(&host), cluster_id(&one));
        others.push(host);
        hit
    });
    assert!(hit, "no joiner's etcd was killed between its log and its first entry");
}
