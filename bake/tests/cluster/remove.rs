use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nodeconf::paths::VIP_PORT;
use serde_json::{Value, json};

use super::desk::{Desk, PROFILE, isolated};
use super::double::Double;
use super::status::node;

/// An API that deletes as K3s's does: what a Node still waits for is in its finalizers.
struct Api {
    desk: Desk,
    nodes: Arc<Mutex<Vec<Value>>>,
    asked: Arc<Mutex<Vec<String>>>,
    _double: Double,
}

/// What becomes of a deleted Node.
#[derive(Clone, Copy, PartialEq)]
enum Deleting {
    AtOnce,
    OwnFinalizerStays,
    EtcdStays,
}

fn api(nodes: Vec<Value>, deleting: Deleting) -> Api {
    let desk = Desk::new(PROFILE);
    desk.good("kubeconfig", &[]);
    let secrets = desk.secrets();
    let k3s = &secrets["pki"]["k3s"];
    let (certificate, key) = desk.serving(&k3s["server"], "IP:192.168.24.40");
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    let nodes = Arc::new(Mutex::new(nodes));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (state, log) = (nodes.clone(), asked.clone());
    let answer = move |method: &str, path: &str, body: &str| {
        let mut nodes = state.lock().unwrap();
        let Some(name) = path.strip_prefix("/api/v1/nodes/") else {
            assert_eq!((method, path), ("GET", "/api/v1/nodes"));
            return (200, json!({"items": *nodes}).to_string());
        };
        let found = nodes.iter().position(|n| n["metadata"]["name"] == name);
        let Some(i) = found else {
            return (404, json!({"kind": "Status", "message": "not found"}).to_string());
        };
        if method == "GET" {
            return (200, nodes[i].to_string());
        }
        assert_eq!(method, "DELETE");
        log.lock().unwrap().push(format!("{name} {body}"));
        let body: Value = serde_json::from_str(body).unwrap();
        if body["preconditions"]["uid"] != nodes[i]["metadata"]["uid"] {
            return (409, json!({"kind": "Status", "message": "uid differs"}).to_string());
        }
        let mut finalizers = vec!["wrangler.cattle.io/node"];
        match deleting {
            Deleting::AtOnce => {
                nodes.remove(i);
                return (200, json!({"kind": "Status", "status": "Success"}).to_string());
            }
            Deleting::OwnFinalizerStays => {}
            Deleting::EtcdStays => finalizers.push("wrangler.cattle.io/managed-etcd-controller"),
        }
        nodes[i]["metadata"]["deletionTimestamp"] = json!("2026-11-22T06:00:00Z");
        nodes[i]["metadata"]["finalizers"] = json!(finalizers);
        (200, nodes[i].to_string())
    };
    let at = (Ipv4Addr::new(192, 168, 24, 40), VIP_PORT).into();
    let clients = k3s["client"]["certificate"].as_str().unwrap();
    let double = Double::start(at, (&read(&certificate), &read(&key)), clients, Arc::new(answer));
    Api { desk, nodes, asked, _double: double }
}

fn three(ready: [bool; 3]) -> Vec<Value> {
    let server = |i: u8| node(&format!("node{i}"), 10 + i, true, ready[usize::from(i) - 1]);
    vec![server(1), server(2), server(3), node("worker1", 77, false, true)]
}

#[test]
fn a_node_goes_and_what_follows_is_said() {
    if !isolated() {
        return;
    }
    let api = api(three([true; 3]), Deleting::AtOnce);
    let said = api.desk.good("remove", &["node3", "--dry-run"]);
    for what in ["delete the Node node3", "2 members remain, of which 0 may fail", "switch it off"]
    {
        assert!(said.contains(what), "{said}");
    }
    assert_eq!(*api.asked.lock().unwrap(), Vec::<String>::new());
    let said = api.desk.good("remove", &["node3"]);
    assert!(said.contains("node3: removed, and out of etcd"), "{said}");
    assert_eq!(api.nodes.lock().unwrap().len(), 3);
    assert!(api.asked.lock().unwrap()[0].contains("uid-node3"));
    // Again: there is nothing left to do.
    let said = api.desk.good("remove", &["node3"]);
    assert!(said.contains("no such node"), "{said}");
    let said = api.desk.good("remove", &["worker1", "--json"]);
    let report: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!((&report["gone"], &report["left_etcd"]), (&json!(true), &json!(false)));
    let (status, said) = api.desk.bad("remove", &["nobody"]);
    assert!(status == 2 && said.contains("node1"), "{said}");
}

#[test]
fn what_would_lose_the_quorum_is_refused_unless_forced() {
    if !isolated() {
        return;
    }
    let api = api(three([true, true, false]), Deleting::AtOnce);
    let (status, said) = api.desk.bad("remove", &["node1"]);
    assert!(status == 4 && said.contains("only 1 would be Ready"), "{status}: {said}");
    assert_eq!(api.nodes.lock().unwrap().len(), 4);
    // The dead one may go.
    api.desk.good("remove", &["node3"]);
    api.desk.good("remove", &["node1", "--force"]);
    let (status, said) = api.desk.bad("remove", &["node2"]);
    assert!(status == 4 && said.contains("last member"), "{status}: {said}");
}

#[test]
fn finalizers_are_not_waited_for_beyond_the_time() {
    if !isolated() {
        return;
    }
    let start = Instant::now();
    let own = api(three([true; 3]), Deleting::OwnFinalizerStays);
    let said = own.desk.good("remove", &["node3", "--timeout", "2"]);
    assert!(said.contains("out of etcd; its Node goes once wrangler.cattle.io/node"), "{said}");
    drop(own);
    let etcd = api(three([true; 3]), Deleting::EtcdStays);
    let (status, said) = etcd.desk.bad("remove", &["node3", "--timeout", "2"]);
    assert!(status == 1 && said.contains("etcd has not let it go"), "{status}: {said}");
    // Without it: a minute each.
    assert!(start.elapsed() < Duration::from_secs(100));
}

#[test]
fn without_an_api_nothing_is_done_and_it_is_said_where_was_asked() {
    if !isolated() {
        return;
    }
    let desk = Desk::new(PROFILE);
    desk.good("kubeconfig", &[]);
    let (status, said) = desk.bad("remove", &["node3"]);
    assert!(status == 1 && said.contains("192.168.24.40:16443"), "{status}: {said}");
    assert!(said.contains("192.168.24.13:6443"), "{said}");
}
