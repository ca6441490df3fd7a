use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nodeconf::paths::{API_PORT, VIP_PORT, WITNESS_PORT};
use nodeconf::status::{Served, ServedCard, State, Status, StepStatus, Trouble};
use serde_json::{Value, json};

use super::desk::{Desk, PROFILE, isolated};
use super::double::Double;

pub fn node(name: &str, last: u8, server: bool, ready: bool) -> Value {
    let mut labels = json!({"kubernetes.io/hostname": name});
    if server {
        labels["node-role.kubernetes.io/control-plane"] = json!("true");
        labels["node-role.kubernetes.io/etcd"] = json!("true");
    }
    json!({
        "metadata": {"name": name, "uid": format!("uid-{name}"), "labels": labels},
        "spec": {},
        "status": {
            "conditions": [
                {"type": "MemoryPressure", "status": "False"},
                {"type": "Ready", "status": if ready { "True" } else { "Unknown" }},
            ],
            "addresses": [
                {"type": "Hostname", "address": name},
                {"type": "InternalIP", "address": format!("192.168.24.{last}")},
            ],
        },
    })
}

/// A standing cluster on loopback, with answers that a test may change.
struct Cluster {
    desk: Desk,
    served: Arc<Mutex<BTreeMap<&'static str, Served>>>,
    /// How often witnesses were asked.
    asked: Arc<AtomicUsize>,
    nodes: Arc<Mutex<Vec<Value>>>,
    doubles: BTreeMap<String, Double>,
}

const NAMES: [(&str, u8); 4] = [("node1", 11), ("node2", 12), ("node3", 13), ("worker1", 77)];

fn founder() -> ServedCard {
    ServedCard { name: "node2".into(), incarnation: 1, nonce: "0123456789abcdef".into() }
}

/// What a node says of itself that is through.
fn done(name: &str) -> Served {
    let step = |name: &str, seconds| StepStatus { name: name.into(), done: true, seconds };
    Served {
        status: Some(Status {
            node: name.into(),
            state: State::Done,
            since: "2026-11-22T06:00:00Z".into(),
            configuration_seconds: Some(0.4),
            installation_seconds: Some(31.5),
            steps: vec![step("identity", Some(0.1)), step("k3s", Some(31.5))],
            ..Status::default()
        }),
        card: ServedCard { name: name.into(), incarnation: 1, nonce: format!("{name:0>16}") },
        formed: (name != "worker1").then(founder),
        member: (name != "worker1").then_some(true),
        vip_held: name == "node1",
        k3s_ready: Some(true),
        unix: 1_795_000_000,
        uptime: 4000,
        ..Served::default()
    }
}

impl Cluster {
    fn standing() -> Self {
        let desk = Desk::new(PROFILE);
        desk.good("kubeconfig", &[]);
        let nodes = NAMES.map(|(name, last)| node(name, last, name != "worker1", true));
        let served = NAMES.map(|(name, _)| (name, done(name)));
        let mut cluster = Self {
            desk,
            served: Arc::new(Mutex::new(served.into())),
            asked: Arc::default(),
            nodes: Arc::new(Mutex::new(nodes.into())),
            doubles: BTreeMap::new(),
        };
        for (name, last) in NAMES {
            cluster.witness(name, last, name);
        }
        cluster.api(40, VIP_PORT);
        cluster
    }

    fn at(last: u8, port: u16) -> SocketAddr {
        (Ipv4Addr::new(192, 168, 24, last), port).into()
    }

    /// The witness at an address, with the certificate of `whose`.
    fn witness(&mut self, name: &'static str, last: u8, whose: &str) {
        let secrets = self.desk.secrets();
        let own = &secrets["nodes"][whose]["witness"];
        let clients = secrets["pki"]["witness_ca"]["certificate"].as_str().unwrap();
        let (served, asked) = (self.served.clone(), self.asked.clone());
        let answer = move |method: &str, path: &str, _: &str| {
            assert_eq!((method, path), ("GET", "/v1/status"));
            let said = serde_json::to_string(&served.lock().unwrap()[name]).unwrap();
            asked.fetch_add(1, Ordering::SeqCst);
            (200, said)
        };
        let identity = (own["certificate"].as_str().unwrap(), own["key"].as_str().unwrap());
        self.doubles.remove(name);
        let at = Self::at(last, WITNESS_PORT);
        self.doubles.insert(name.into(), Double::start(at, identity, clients, Arc::new(answer)));
    }

    fn api(&mut self, last: u8, port: u16) {
        let secrets = self.desk.secrets();
        let k3s = &secrets["pki"]["k3s"];
        let names = format!("IP:192.168.24.{last}");
        let (certificate, key) = self.desk.serving(&k3s["server"], &names);
        let read = |path: &str| std::fs::read_to_string(path).unwrap();
        let (certificate, key) = (read(&certificate), read(&key));
        let nodes = self.nodes.clone();
        let answer = move |method: &str, path: &str, _: &str| match (method, path) {
            ("GET", "/readyz") => (200, "ok".to_owned()),
            ("GET", "/api/v1/nodes") => (200, json!({"items": *nodes.lock().unwrap()}).to_string()),
            other => panic!("{other:?}"),
        };
        let clients = k3s["client"]["certificate"].as_str().unwrap();
        let double =
            Double::start(Self::at(last, port), (&certificate, &key), clients, Arc::new(answer));
        self.doubles.insert(format!("api{last}"), double);
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Served)) {
        change(self.served.lock().unwrap().get_mut(name).unwrap());
    }

    /// Exit status, the report, and how long it took.
    fn status(&self, more: &[&str]) -> (i32, Value, Duration) {
        let start = Instant::now();
        let out = self.desk.bake("status", &[&["--json"], more].concat());
        let text = String::from_utf8(out.stdout).unwrap();
        let first = text.lines().find(|line| line.contains("\"well\":")).unwrap_or_default();
        let report = serde_json::from_str(first).unwrap_or_else(|e| panic!("{e}: {text}"));
        (out.status.code().unwrap(), report, start.elapsed())
    }

    fn problems(&self) -> Vec<String> {
        let (code, report, _) = self.status(&["--timeout", "60"]);
        let problems: Vec<String> = serde_json::from_value(report["problems"].clone()).unwrap();
        assert_eq!(
            (code, &report["well"]),
            (i32::from(!problems.is_empty()), &json!(problems.is_empty()))
        );
        problems
    }
}

#[test]
fn a_standing_cluster_is_shown_whole() {
    if !isolated() {
        return;
    }
    let cluster = Cluster::standing();
    let text = cluster.desk.good("status", &["--timeout", "60"]);
    let id = cluster.desk.secrets()["id"].as_str().unwrap().to_owned();
    insta::assert_snapshot!(text.replace(&id, "[id]"));
    let (code, report, _) = cluster.status(&["--timeout", "60"]);
    assert_eq!((code, &report["well"]), (0, &json!(true)));
    assert_eq!(report["vip"]["holders"], json!(["node1"]));
    assert_eq!(report["etcd_members"], json!(["node1", "node2", "node3"]));
    assert_eq!(report["founder"]["name"], "node2");
    assert_eq!(report["nodes"][3]["address"], "192.168.24.77", "told by the API");
    let reachable = report["nodes"].as_array().unwrap().iter().all(|n| n["reachable"] == true);
    assert!(reachable && report["notes"] == json!([]));
}

#[test]
fn whatever_is_not_well_is_named() {
    if !isolated() {
        return;
    }
    let mut cluster = Cluster::standing();
    assert_eq!(cluster.problems(), Vec::<String>::new());
    let expect = |cluster: &Cluster, what: &[&str]| {
        let problems = cluster.problems();
        assert_eq!(problems.len(), what.len(), "{problems:?}");
        for (problem, what) in problems.iter().zip(what) {
            assert!(problem.contains(what), "{problem} does not say {what}");
        }
    };
    cluster.change("node3", |served| {
        let status = served.status.as_mut().unwrap();
        (status.state, status.step) = (State::Waiting, Some("network".into()));
        status.trouble = Some(Trouble {
            what: "no link on eth0".into(),
            remedy: "plug in the cable".into(),
            ..Trouble::default()
        });
    });
    expect(&cluster, &["node3: waiting in network: no link on eth0; plug in the cable"]);
    cluster.change("node3", |served| *served = done("node3"));
    cluster.change("node3", |served| served.status = None);
    expect(&cluster, &["node3: firstboot has not begun"]);
    cluster.change("node3", |served| *served = done("node3"));
    cluster.change("node3", |served| served.k3s_ready = Some(false));
    expect(&cluster, &["node3: K3s does not answer"]);
    cluster.change("node3", |served| *served = done("node3"));
    cluster.change("node3", |served| served.witness_trouble = Some("its disk is full".into()));
    expect(&cluster, &["node3: its witness cannot vote: its disk is full"]);
    cluster.change("node3", |served| *served = done("node3"));
    cluster.change("node3", |served| served.vip_held = true);
    expect(&cluster, &["node1 and node3 carry the shared address 192.168.24.40"]);
    cluster.change("node3", |served| served.vip_held = false);
    cluster.change("node1", |served| served.vip_held = false);
    expect(&cluster, &["nobody says that it carries"]);
    cluster.change("node1", |served| served.vip_held = true);
    cluster.change("node3", |served| served.formed.as_mut().unwrap().nonce = "x".into());
    expect(&cluster, &["different founders: node2 (0123456789abcdef), node2 (x)"]);
    cluster.change("node3", |served| *served = done("node3"));
    cluster.nodes.lock().unwrap()[3] = node("worker1", 77, false, false);
    expect(&cluster, &["worker1: the API has it as not Ready"]);
    cluster.nodes.lock().unwrap()[3] = node("worker1", 77, false, true);
    cluster.nodes.lock().unwrap().push(node("old", 14, true, false));
    expect(&cluster, &["not in the profile but a member: old"]);
    cluster.nodes.lock().unwrap().pop();
    // That a newer card lies ready is no trouble.
    let path = cluster.desk.path("edge.secrets.json");
    let mut secrets = cluster.desk.secrets();
    secrets["nodes"]["node1"]["inputs"] = json!("digest");
    secrets["nodes"]["node1"]["incarnation"] = json!(2);
    std::fs::write(&path, secrets.to_string()).unwrap();
    let (code, report, _) = cluster.status(&["--timeout", "60"]);
    assert_eq!(
        (code, &report["notes"]),
        (0, &json!(["node1 runs from its card 1, the newest that was baked is 2"]))
    );
    // Whoever answers at an address is not believed to be the node.
    cluster.witness("node2", 12, "node3");
    expect(&cluster, &["node2: not trusted: its certificate is another node's"]);
    cluster.witness("node2", 12, "node2");
    expect(&cluster, &[]);
}

#[test]
fn silent_nodes_delay_nobody_and_a_dead_address_hides_no_api() {
    if !isolated() {
        return;
    }
    let mut cluster = Cluster::standing();
    // One is off, one takes connections and says nothing.
    cluster.doubles.remove("node2");
    cluster.doubles.remove("node3");
    let _silent = TcpListener::bind(Cluster::at(13, WITNESS_PORT)).unwrap();
    let (code, report, took) = cluster.status(&["--timeout", "8"]);
    assert_eq!(code, 1);
    assert!(took < Duration::from_secs(30), "{took:?}");
    let silence =
        |i: usize| report["nodes"][i]["silence"]["why"].as_str().unwrap_or_default().to_owned();
    assert!(silence(1).contains("not reachable"), "{}", silence(1));
    assert_eq!(silence(2), "no answer in time");
    assert_eq!((silence(0), silence(3)), (String::new(), String::new()));
    assert_eq!(report["etcd_members"], json!(["node1", "node2", "node3"]));
    // The shared address is gone, a server still answers for itself.
    cluster.doubles.remove("api40");
    cluster.api(12, API_PORT);
    let (_, report, _) = cluster.status(&["--timeout", "8"]);
    assert_eq!(report["api"]["ready"], json!(false));
    assert_eq!(report["nodes"][3]["address"], "192.168.24.77");
    assert_eq!(report["nodes"][0]["kubernetes"], "ready");
}

#[test]
fn another_clusters_secrets_are_told_apart() {
    if !isolated() {
        return;
    }
    let cluster = Cluster::standing();
    std::fs::remove_file(cluster.desk.path("edge.secrets.json")).unwrap();
    let (status, said) = cluster.desk.bad("status", &[]);
    assert!(status == 2 && said.contains("--secrets"), "{said}");
    assert!(!cluster.desk.path("edge.secrets.json").exists(), "looking makes nothing");
    cluster.desk.good("kubeconfig", &["--force"]);
    let problems = cluster.problems();
    let node1 = problems.iter().find(|p| p.starts_with("node1:")).unwrap();
    assert!(node1.contains("its certificate is of another cluster"), "{problems:?}");
}

#[test]
fn a_boot_is_followed_until_all_is_well() {
    if !isolated() {
        return;
    }
    let cluster = Cluster::standing();
    cluster.change("node2", |served| {
        let status = served.status.as_mut().unwrap();
        (status.state, status.step) = (State::Working, Some("k3s".into()));
    });
    let out = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Everybody has been asked, so the first picture is of this moment.
            let all = || cluster.asked.load(Ordering::SeqCst) >= NAMES.len();
            let begun = Instant::now();
            while !all() && begun.elapsed() < Duration::from_secs(100) {
                std::thread::sleep(Duration::from_millis(10));
            }
            cluster.change("node2", |served| *served = done("node2"));
        });
        cluster.desk.bake("status", &["--watch", "--give-up", "120", "--timeout", "60"])
    });
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success(), "{text}");
    let lines: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).collect();
    let of = |name: &str| {
        let mine = lines.iter().filter_map(|l| l.split_once("s  ")).map(|(_, what)| what);
        mine.filter(|what| what.starts_with(name)).collect::<Vec<_>>()
    };
    assert_eq!(of("node2"), ["node2: working on k3s, Ready", "node2: done: the node is Ready"]);
    assert_eq!(of("node1").len(), 1, "what does not change is not repeated");
    assert!(text.contains("all is well"));
}

#[test]
fn watching_ends_when_it_is_told_to() {
    if !isolated() {
        return;
    }
    let cluster = Cluster::standing();
    cluster.change("node2", |served| served.status = None);
    let start = Instant::now();
    let out = cluster.desk.bake("status", &["--watch", "--give-up", "3"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[test]
fn on_a_terminal_the_picture_is_drawn_over() {
    if !isolated() {
        return;
    }
    let desk = Desk::new(PROFILE);
    desk.good("kubeconfig", &[]);
    let line = "bake status --profile ./edge.yaml --watch --give-up 10 --timeout 4";
    let line = line.replacen("bake", env!("CARGO_BIN_EXE_bake"), 1);
    let out = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .current_dir(desk.path(""))
        .output()
        .expect("script");
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(out.status.code(), Some(1), "{text}");
    let pictures: Vec<&str> = text.split("watching for").collect();
    assert!(pictures.len() > 2, "{text}");
    // Back by as many rows as the first picture took at 80 columns, and its last line.
    let first = pictures[0].split("cluster edge").last().unwrap().lines();
    let rows: usize = first.map(|line| line.len().div_ceil(80).max(1)).sum();
    assert!(pictures[1].contains(&format!("\x1b[{}F\x1b[J", rows + 1)), "{rows}: {text:?}");
}
