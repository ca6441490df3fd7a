use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::desk::{Desk, PROFILE, openssl};

/// What kubectl would see, by another parser of YAML, which K3s's and kubectl's agree with.
fn read(desk: &Desk, name: &str) -> Value {
    let script = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let out =
        Command::new("python3").args(["-c", script]).arg(desk.path(name)).output().expect("python");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

/// Writes the three files a kubeconfig holds and returns their paths: CA, certificate, key.
fn unpack(desk: &Desk, config: &Value) -> [String; 3] {
    let decode = |value: &Value, name: &str| {
        let encoded = desk.put("encoded", value.as_str().unwrap());
        let out = Command::new("base64").args(["-d", &encoded]).output().unwrap();
        assert!(out.status.success());
        desk.put(name, &String::from_utf8(out.stdout).unwrap())
    };
    let user = &config["users"][0]["user"];
    [
        decode(&config["clusters"][0]["cluster"]["certificate-authority-data"], "ca.crt"),
        decode(&user["client-certificate-data"], "user.crt"),
        decode(&user["client-key-data"], "user.key"),
    ]
}

/// openssl as a server that asks for a client's certificate, ended when dropped.
struct Server(Child, u16);

impl Server {
    fn start(certificate: &str, key: &str, clients: &str) -> Self {
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-www", "-Verify", "1"])
            .args(["-verify_return_error", "-cert", certificate, "-key", key])
            .args(["-CAfile", clients])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next().expect("a line that says where it listens").unwrap();
            if let Some(place) = line.strip_prefix("ACCEPT ") {
                break place.rsplit(':').next().unwrap().parse().unwrap();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Self(child, port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn curl(port: u16, ca: &str, more: &[&str]) -> bool {
    let url = format!("https://127.0.0.1:{port}/");
    let out = Command::new("curl")
        .args(["-sS", "--noproxy", "*", "-m", "10", "-o", "/dev/null", "--cacert", ca, &url])
        .args(more)
        .output()
        .expect("curl");
    out.status.success()
}

#[test]
fn an_administrators_kubeconfig_works_where_k3s_would_serve() {
    let desk = Desk::new(PROFILE);
    let said = desk.good("kubeconfig", &[]);
    assert!(said.contains("https://192.168.24.40:16443"), "{said}");
    let mode = fs::metadata(desk.path("edge.kubeconfig")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let config = read(&desk, "edge.kubeconfig");
    assert_eq!(config["clusters"][0]["cluster"]["server"], "https://192.168.24.40:16443");
    assert_eq!(config["current-context"], config["contexts"][0]["name"]);
    assert_eq!(config["contexts"][0]["context"]["user"], config["users"][0]["name"]);
    assert_eq!(config["contexts"][0]["context"]["cluster"], config["clusters"][0]["name"]);

    let [ca, certificate, key] = unpack(&desk, &config);
    let secrets = desk.secrets();
    let authorities = &secrets["pki"]["k3s"];
    let clients = desk.put("client-ca.crt", authorities["client"]["certificate"].as_str().unwrap());
    let line = ["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", &clients];
    openssl(&[&line[..], &[&certificate]].concat());
    let line = ["x509", "-noout", "-subject", "-startdate", "-nameopt", "RFC2253", "-in"];
    let seen = openssl(&[&line[..], &[&certificate]].concat());
    assert_eq!(
        seen,
        "subject=CN=system:admin,O=system:masters\nnotBefore=Jan  1 00:00:00 2000 GMT\n"
    );
    let year = |days: u64| (days * 86_400).to_string();
    let ends = |days: u64| {
        let line = ["x509", "-noout", "-checkend", &year(days), "-in", &certificate];
        Command::new("openssl").args(line).output().unwrap().status.success()
    };
    assert!(ends(364) && !ends(366));

    let (serving, serving_key) = desk.serving(&authorities["server"], "IP:127.0.0.1");
    let server = Server::start(&serving, &serving_key, &clients);
    assert!(curl(server.1, &ca, &["--cert", &certificate, "--key", &key]));
    assert!(!curl(server.1, &ca, &[]), "nobody without a certificate");
    assert!(!curl(server.1, &clients, &["--cert", &certificate, "--key", &key]));
    let other = Desk::new(PROFILE);
    other.good("kubeconfig", &[]);
    let [other_ca, other_certificate, other_key] = unpack(&other, &read(&other, "edge.kubeconfig"));
    assert!(!curl(server.1, &ca, &["--cert", &other_certificate, "--key", &other_key]));
    assert!(!curl(server.1, &other_ca, &["--cert", &certificate, "--key", &key]));
}

#[test]
fn a_server_ca_of_the_roots_is_trusted_the_day_the_cas_are_replaced() {
    let desk = Desk::new(PROFILE);
    desk.good("kubeconfig", &[]);
    let [ca, certificate, key] = unpack(&desk, &read(&desk, "edge.kubeconfig"));
    let secrets = desk.secrets();
    let clients = secrets["pki"]["k3s"]["client"]["certificate"].as_str().unwrap();
    let clients = desk.put("client-ca.crt", clients);
    let (serving, serving_key) = desk.serving(&secrets["pki"]["root"], "IP:127.0.0.1");
    let server = Server::start(&serving, &serving_key, &clients);
    assert!(curl(server.1, &ca, &["--cert", &certificate, "--key", &key]));
}

#[test]
fn a_dash_is_no_file() {
    let desk = Desk::new(PROFILE);
    let (status, said) = desk.bad("kubeconfig", &["--out", "-"]);
    assert!(status == 2 && said.contains("./-"), "{status}: {said}");
    assert!(!desk.path("-").exists() && !desk.path("edge.secrets.json").exists());
    desk.good("kubeconfig", &["--out", "./-"]);
    assert!(desk.path("-").exists());
}

#[test]
fn another_user_has_its_own_name_groups_and_days() {
    let desk = Desk::new(PROFILE);
    let line = ["--user", "jane", "--group", "dev", "--group", "edge:ops", "--days", "30"];
    let json = desk.good("kubeconfig", &[&line[..], &["--out", "jane.yaml", "--json"]].concat());
    let report: Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    assert_eq!(report["groups"], serde_json::json!(["dev", "edge:ops"]));
    assert!(!json.contains("PRIVATE KEY") && !json.contains("client-key-data"));
    let [_, certificate, key] = unpack(&desk, &read(&desk, "jane.yaml"));
    let line = ["x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in", &certificate];
    assert_eq!(openssl(&line), "subject=CN=jane,O=edge:ops,O=dev\n");
    assert_eq!(
        openssl(&["x509", "-noout", "-pubkey", "-in", &certificate]),
        openssl(&["pkey", "-pubout", "-in", &key])
    );
    let ends = |days: u64| {
        let line = ["x509", "-noout", "-checkend", &(days * 86_400).to_string(), "-in"];
        Command::new("openssl").args(line).arg(&certificate).output().unwrap().status.success()
    };
    assert!(ends(29) && !ends(31));
}

#[test]
fn nothing_is_overwritten_and_bad_requests_are_named() {
    let desk = Desk::new(PROFILE);
    desk.good("kubeconfig", &[]);
    let before = fs::read(desk.path("edge.kubeconfig")).unwrap();
    let (status, said) = desk.bad("kubeconfig", &[]);
    assert!(status == 4 && said.contains("--force"), "{status}: {said}");
    assert_eq!(fs::read(desk.path("edge.kubeconfig")).unwrap(), before);
    desk.good("kubeconfig", &["--force"]);
    assert_ne!(fs::read(desk.path("edge.kubeconfig")).unwrap(), before);
    let long = "x".repeat(65);
    for (line, what) in [
        (&["--server", "http://10.0.0.1"][..], "https"),
        (&["--server", "10.0.0.1:6443"], "--server"),
        (&["--user", &long], "1 to 64 characters"),
        (&["--user", ""], "1 to 64 characters"),
        (&["--group", "dev"], "--user"),
        (&["--days", "0"], "0"),
    ] {
        let (status, said) = desk.bad("kubeconfig", &[line, &["--out", "new"]].concat());
        assert!(status == 2 && said.contains(what), "{line:?}: {status}: {said}");
        assert!(!desk.path("new").exists());
    }
}

#[test]
fn a_name_the_api_will_not_be_served_under_is_warned_of() {
    let desk = Desk::new(PROFILE);
    let warned = |url: &str| {
        let out = desk.bake("kubeconfig", &["--force", "--server", url]);
        assert!(out.status.success());
        String::from_utf8(out.stderr).unwrap().contains("tls-san")
    };
    assert!(warned("https://api.example.org"));
    assert!(!warned("https://192.168.24.12:6443"));
    assert!(!warned("https://node1:6443"));
}

#[test]
fn a_cluster_whose_address_nobody_knows_needs_one() {
    let single = "\
version: 1
cluster: {name: edge, topology: single}
image: ./base.img
k3s: {version: v1.36.5+k3s1}
network: {interface: eth0}
nodes: [{name: node1, role: server, address: dhcp}]
";
    let desk = Desk::new(single);
    let (status, said) = desk.bad("kubeconfig", &[]);
    assert!(status == 2 && said.contains("--server"), "{status}: {said}");
    desk.good("kubeconfig", &["--server", "https://node1:6443/"]);
    let config = read(&desk, "edge.kubeconfig");
    assert_eq!(config["clusters"][0]["cluster"]["server"], "https://node1:6443");
}
