//! What was promised stays promised.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use bootstrap::{Envelope, Reply, Verdict};
use firstboot::sys::{HttpsReply, Method, Real};
use firstboot::witness::Witnesses;
use nodeconf::paths;

use super::node::{Node, config, other, prepare};

fn verdict(reply: &HttpsReply) -> Verdict {
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    serde_json::from_slice::<Reply>(&reply.body).unwrap().verdict
}

#[test]
fn a_promise_survives_kill_9() {
    let mut node = Node::running();
    let card = node.card();
    assert_eq!(verdict(&node.ask(&prepare(&card, 7, other("node2"))).unwrap()), Verdict::Promised);
    node.kill();
    node.start();
    assert_eq!(node.card(), card, "the card stays the same");
    let earlier = verdict(&node.ask(&prepare(&card, 6, other("node3"))).unwrap());
    assert!(matches!(earlier, Verdict::Refused { .. }), "{earlier:?}");
    assert_eq!(verdict(&node.ask(&prepare(&card, 8, other("node3"))).unwrap()), Verdict::Promised);
}

/// Killed at any moment while it promises ever later ballots, it never goes back behind one.
#[test]
fn no_answered_promise_is_ever_lost() {
    let mut node = Node::running();
    let card = node.card();
    let client = node.authority.server("node2");
    let mut promised = 0;
    for life in 0..12_u64 {
        let pid = node.pid().to_string();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(40 + 23 * life));
            Command::new("kill").args(["-9", &pid]).status().unwrap();
        });
        let mut next = promised;
        while next < promised + 100_000 {
            next += 1;
            match node.ask_as(&prepare(&card, next, other("node2")), client.clone()) {
                Ok(reply) => assert_eq!(verdict(&reply), Verdict::Promised),
                Err(_) => break,
            }
        }
        promised = next - 1;
        killer.join().unwrap();
        node.kill();
        node.start();
        if promised > 0 {
            let earlier = prepare(&card, promised - 1, other("node3"));
            let earlier = verdict(&node.ask(&earlier).unwrap());
            assert!(matches!(earlier, Verdict::Refused { .. }), "{promised}: {earlier:?}");
        }
    }
    assert!(promised > 12, "only {promised} promises in 12 lives");
}

#[test]
fn the_client_of_the_other_servers_understands_it() {
    let node = Node::running();
    let own = config();
    let mut asker = own.clone();
    asker.node.name = "node2".into();
    let identity = node.authority.server("node2");
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("etc/bake/witness")).unwrap();
    for (path, bytes) in [
        (paths::WITNESS_CA, &node.authority.pem),
        (paths::WITNESS_CERT, &identity.chain),
        (paths::WITNESS_KEY, &identity.key),
    ] {
        fs::write(dir.path().join(path.trim_start_matches('/')), bytes).unwrap();
    }
    let sys = Real::below(dir.path());
    let nobody = ([127, 0, 0, 1], 1).into();
    let witnesses = Witnesses::load(&sys, &asker)
        .unwrap()
        .with_address("node1", node.address)
        .with_address("node2", nobody)
        .with_address("node3", nobody);
    let card = node.card();
    let envelopes: Vec<_> = ["node1", "node3", "node9", "node2"]
        .into_iter()
        .map(|to| Envelope { to: to.into(), request: prepare(&card, 3, other("node2")) })
        .collect();
    let heard = witnesses.ask_all(&sys, &envelopes);
    let names: Vec<&str> = heard.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["node1", "node3", "node9", "node2"]);
    assert_eq!(heard[0].1.as_ref().unwrap().verdict, Verdict::Promised);
    assert!(heard[1..].iter().all(|(_, reply)| reply.is_err()), "{heard:?}");
    assert_eq!(witnesses.ask(&sys, &envelopes[0]).unwrap().view.card, card);
}

#[test]
fn a_damaged_state_is_not_voted_on_nor_written_over() {
    let mut node = Node::running();
    let card = node.card();
    let request = prepare(&card, 1, other("node2"));
    assert_eq!(verdict(&node.ask(&request).unwrap()), Verdict::Promised);
    node.kill();
    let mut state = node.read(paths::WITNESS_STATE);
    let middle = state.len() / 2;
    state[middle] ^= 0x04;
    for damaged in [state, Vec::new(), b"{}".to_vec(), vec![0; 4096]] {
        node.write(paths::WITNESS_STATE, &damaged);
        node.start();
        let refused = node.ask(&request).unwrap();
        assert_eq!(refused.status, 503);
        assert!(String::from_utf8_lossy(&refused.body).contains("damaged"));
        let served = node.served();
        assert!(served.witness_trouble.unwrap().contains("damaged"));
        assert_eq!(node.read(paths::WITNESS_STATE), damaged);
        node.kill();
    }
    node.start();
    fs::remove_file(node.at(paths::WITNESS_STATE)).unwrap();
    assert_ne!(node.card(), card, "a removed state is a card that was flashed again");
    let mode = fs::metadata(node.at(paths::WITNESS_STATE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// With no room for a single byte it starts, says what is the matter, promises nothing, and goes on
/// by itself when there is room.
#[test]
fn a_full_card_is_a_reason_not_to_promise() {
    let mut node = Node::baked();
    let plain = node.command();
    let mut starved = Command::new("sh");
    starved
        .args(["-c", r#"trap "" XFSZ; ulimit -S -f 0; exec "$@""#, "sh"])
        .arg(plain.get_program())
        .args(plain.get_args())
        .stdout(std::process::Stdio::piped());
    node.start_as(starved);
    let served = node.served();
    assert!(served.witness_trouble.unwrap().contains(paths::WITNESS_STATE));
    assert!(!node.has(paths::WITNESS_STATE));
    let room = |size: &str| {
        let pid = node.pid().to_string();
        let limit = format!("--fsize={size}:");
        assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap().success());
    };
    room("unlimited");
    let card = node.card();
    assert_eq!(verdict(&node.ask(&prepare(&card, 3, other("node2"))).unwrap()), Verdict::Promised);
    let before = node.read(paths::WITNESS_STATE);
    room("0");
    let refused = node.ask(&prepare(&card, 4, other("node2"))).unwrap();
    assert_eq!(refused.status, 503);
    assert_eq!(node.read(paths::WITNESS_STATE), before);
    // What was not written was not promised.
    room("unlimited");
    let promised = verdict(&node.ask(&prepare(&card, 3, other("node3"))).unwrap());
    assert_eq!(promised, Verdict::Promised);
}

/// Baked anew without being emptied.
#[test]
fn a_later_incarnation_is_another_card_and_an_earlier_one_is_none() {
    let mut node = Node::running();
    let card = node.card();
    node.kill();
    let mut later = config();
    later.node.incarnation = 2;
    node.write(paths::NODE_CONFIG, later.to_json().as_bytes());
    node.start();
    let new = node.card();
    assert!(new.incarnation == 2 && new.nonce != card.nonce, "{new:?}");
    node.kill();
    node.write(paths::NODE_CONFIG, config().to_json().as_bytes());
    node.start();
    assert!(node.served().witness_trouble.unwrap().contains("incarnation 2"));
    assert_eq!(node.ask(&prepare(&card, 1, other("node2"))).unwrap().status, 503);
}

#[test]
fn there_is_one_witness_of_a_state() {
    let node = Node::running();
    let second = node.command().output().unwrap();
    assert_eq!(second.status.code(), Some(75));
    assert!(String::from_utf8_lossy(&second.stdout).contains("another witness"));
}

#[test]
fn a_card_that_was_not_baked_says_so() {
    let node = Node::baked();
    let certificate = node.read(paths::WITNESS_CERT);
    fs::remove_file(node.at(paths::WITNESS_CERT)).unwrap();
    let out = node.command().output().unwrap();
    assert_eq!(out.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&out.stdout).contains(paths::WITNESS_CERT));
    // Another node's key.
    node.write(paths::WITNESS_CERT, &certificate);
    node.write(paths::WITNESS_KEY, &node.authority.server("node1").key);
    assert_eq!(node.command().output().unwrap().status.code(), Some(78));
}

#[test]
fn the_state_of_the_node_is_told() {
    let node = Node::running();
    let served = node.served();
    assert_eq!((served.status.clone(), served.member, served.vip_held), (None, Some(false), false));
    assert_eq!(served.k3s_ready, Some(false));
    assert_eq!(served.card.nonce.len(), 16);
    assert!(served.unix > 1_600_000_000 && served.uptime > 0);
    node.write("/proc/net/fib_trie", b"|-- 192.168.24.40\n   /32 host LOCAL\n");
    fs::create_dir_all(node.at(paths::K3S_ETCD_WAL)).unwrap();
    node.write(
        paths::STATUS,
        br#"{"version":1,"firstboot":"0","cluster":"edge","cluster_id":"x",
        "node":"node1","role":"server","incarnation":1,"state":"waiting","step":"bootstrap",
        "since":"now","trouble":null,"last_error":null,"notes":[],"configuration_seconds":null,
        "installation_seconds":null,"steps":[]}"#,
    );
    let served = node.served();
    assert_eq!((served.member, served.vip_held), (Some(true), true));
    assert_eq!(served.status.unwrap().sentence(), "waiting in bootstrap");
    // With etcd's data there is nothing to found.
    let refused = verdict(&node.ask(&prepare(&node.card(), 1, other("node2"))).unwrap());
    assert!(matches!(refused, Verdict::Refused { .. }), "{refused:?}");
}

#[test]
fn an_agent_serves_its_state_and_has_no_vote() {
    let mut node = Node::baked();
    let mut agent = config();
    agent.node.name = "node4".into();
    agent.node.role = nodeconf::Role::Agent;
    agent.node.address = nodeconf::Address::Dhcp;
    agent.k3s.as_mut().unwrap().unit = paths::K3S_AGENT_UNIT.into();
    node.write(paths::NODE_CONFIG, agent.to_json().as_bytes());
    let own = node.authority.agent("node4");
    node.write(paths::WITNESS_CERT, &own.chain);
    node.write(paths::WITNESS_KEY, &own.key);
    node.start();
    let ask = |method, path| {
        let request = node.request(method, path, Some(node.authority.server("node1")));
        let name = config().witness_name("node4");
        node.send(&firstboot::sys::HttpsRequest { name, ..request }).unwrap().status
    };
    assert_eq!(ask(Method::Get, "/v1/status"), 200);
    assert_eq!(ask(Method::Get, "/v1/state"), 404);
    assert_eq!(ask(Method::Post, "/v1/prepare"), 404);
    assert!(!node.has(paths::WITNESS_STATE));
}
