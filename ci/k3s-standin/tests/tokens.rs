//! Tokens that are replaced, as K3s's sources and those who tried it have it (rancher/rke2 issue
//! 5785; K3s `pkg/server/handlers/token.go`, `pkg/cluster/bootstrap.go`).

mod host;

use std::fs;
use std::time::{Duration, SystemTime};

use host::Host;

/// K3s takes a file for newer from this many seconds on.
const SKEW: Duration = Duration::from_secs(4);

fn server(name: &str) -> Host {
    Host::new(name)
}

fn configure(host: &Host, way: &str, server: &str, agent: &str) {
    host.configure(&format!("{way}\ntoken: {server}\nagent-token: {agent}\n"));
}

fn restart(host: &mut Host) {
    host.stop();
    host.start("server");
    host.is_ready();
}

fn passwd(host: &Host) -> String {
    let text = fs::read_to_string(host.data("server/cred/passwd")).unwrap();
    let mut words: Vec<&str> = text.lines().filter_map(|line| line.split(',').next()).collect();
    words.sort_unstable();
    words.join(" ")
}

fn rotate(host: &Host, old: &str, new: &str) {
    let words = ["token", "rotate", "--server", &host.url(), "--new-token", new];
    let out = host.command(&words).env("K3S_TOKEN", old).output().unwrap();
    let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    assert!(out.status.success() && said.contains("restart k3s nodes with new token"), "{said}");
}

#[test]
fn an_agent_token_that_the_datastore_does_not_know_stops_the_next_start() {
    let mut one = server("node1");
    configure(&one, "cluster-init: true", "s3cret", "ag3nt");
    one.start("server");
    one.is_ready();
    std::thread::sleep(SKEW);
    configure(&one, "cluster-init: true", "s3cret", "n3w");
    restart(&mut one);
    assert_eq!(passwd(&one), "n3w s3cret");
    one.stop();
    let said = one.fails(1);
    assert!(said.contains("server/cred/passwd newer than datastore and could cause"), "{said}");
    // The way out that K3s names; `token rotate` then takes the file into the datastore.
    fs::remove_file(one.data("server/cred/passwd")).unwrap();
    one.start("server");
    one.is_ready();
    rotate(&one, "s3cret", "other");
    assert_eq!(passwd(&one), "n3w other");
    let token = fs::read_to_string(one.data("server/token")).unwrap();
    assert!(token.ends_with("::server:other\n"), "{token}");
    one.stop();
    assert!(one.fails(1).contains("encrypted with different token"));
    configure(&one, "cluster-init: true", "other", "n3w");
    for _ in 0..2 {
        one.start("server");
        one.is_ready();
        std::thread::sleep(SKEW);
        one.stop();
    }
}

#[test]
fn other_servers_take_both_tokens_at_their_next_start() {
    let mut one = server("node1");
    configure(&one, "cluster-init: true", "s3cret", "ag3nt");
    one.start("server");
    one.is_ready();
    let mut two = server("node2");
    let join = format!("server: {}", one.url());
    configure(&two, &join, "s3cret", "ag3nt");
    two.start("server");
    two.is_ready();
    std::thread::sleep(SKEW);
    configure(&one, "cluster-init: true", "s3cret", "n3w");
    restart(&mut one);
    rotate(&one, "s3cret", "other");
    let written = fs::metadata(one.data("server/cred/passwd")).unwrap().modified().unwrap();
    // Nobody has started anew: the old one opens both, the new one neither.
    let mut three = server("node3");
    for (token, opens) in [("s3cret", true), ("other", false)] {
        configure(&three, &format!("server: {}", two.url()), token, "ag3nt");
        let out = three.command(&["token", "rotate", "--server", &two.url(), "--token", token]);
        let mut out = out;
        let said = out.args(["--new-token", "other"]).output().unwrap();
        assert_eq!(said.status.success(), opens, "{said:?}");
    }
    configure(&one, "cluster-init: true", "other", "n3w");
    restart(&mut one);
    configure(&two, &join, "other", "n3w");
    restart(&mut two);
    two.says("Successfully reconciled with remote datastore");
    assert_eq!(passwd(&two), "n3w other");
    let taken = fs::metadata(two.data("server/cred/passwd")).unwrap().modified().unwrap();
    let seconds = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert!(seconds(taken) <= seconds(written) + 2, "it has the datastore's time");
    std::thread::sleep(SKEW);
    restart(&mut two);
    // A card of before.
    configure(&three, &join, "s3cret", "ag3nt");
    assert!(three.fails(1).contains("/v1-k3s/server-bootstrap: 401 Unauthorized"));
    configure(&three, &join, "other", "n3w");
    three.start("server");
    three.is_ready();
}

/// K3s asks SQLite first of all at its start, as it does any database (`storageBootstrap`).
#[test]
fn a_single_server_has_the_same_rules() {
    let mut one = server("node1");
    configure(&one, "", "s3cret", "ag3nt");
    one.start("server");
    one.is_ready();
    rotate(&one, "s3cret", "other");
    one.stop();
    // With the old token nothing is written: neither the passwords nor the token.
    assert!(one.fails(1).contains("encrypted with different token"));
    assert_eq!(passwd(&one), "ag3nt other");
    let token = fs::read_to_string(one.data("server/token")).unwrap();
    assert!(token.ends_with("::server:other\n"), "{token}");
    // A new agent token that only the configuration has stops the next start but one, until the
    // passwords are written where servers share them: `token rotate` does, the same token or not.
    std::thread::sleep(SKEW);
    configure(&one, "", "other", "n3w");
    one.start("server");
    one.is_ready();
    one.stop();
    assert!(one.fails(1).contains("server/cred/passwd newer than datastore"));
    fs::remove_file(one.data("server/cred/passwd")).unwrap();
    one.start("server");
    one.is_ready();
    rotate(&one, "other", "other");
    std::thread::sleep(SKEW);
    for _ in 0..2 {
        restart(&mut one);
        assert_eq!(passwd(&one), "n3w other");
    }
}
