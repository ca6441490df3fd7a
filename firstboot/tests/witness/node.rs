//! A node's witness as a process of its own, and everybody who may ask it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use bootstrap::{Ballot, Card, Config, Nonce, Request, Seen};
use firstboot::sys::{HttpsError, HttpsReply, HttpsRequest, Identity, Method, Real, Sys};
use nodeconf::status::Served;
use nodeconf::{NodeConfig, paths};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

const CONFIG: &str = r#"{
  "version": 2,
  "cluster": {
    "name": "edge", "id": "6f1c2a52-7f0e-4d57-9d3c-2f4a1b0c9e77", "topology": "embedded-etcd",
    "vip": {"address": "192.168.24.40", "port": 16443, "provider": "keepalived"},
    "servers": [{"name": "node1", "address": "192.168.24.11"},
                {"name": "node2", "address": "192.168.24.12"},
                {"name": "node3", "address": "192.168.24.13"}],
    "datastore": null, "bootstrap": "majority", "failover": "default"
  },
  "node": {
    "name": "node1", "role": "server", "interface": "eth0", "incarnation": 1,
    "address": {"static": {"address": "192.168.24.11", "prefix": 24, "gateway": null, "dns": []}}
  },
  "k3s": {"version": "v1.36.5+k3s1", "unit": "k3s.service"},
  "system": {
    "boot_mount": null, "clock_floor": 1790000000, "time_wait": 5,
    "iptables": "legacy", "swap": "off", "memory_cgroup": true, "root_growth": true
  },
  "packages": []
}"#;

/// A CA of witnesses.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: Vec<u8>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem().into_bytes();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn issue(&self, name: &str, purposes: &[ExtendedKeyUsagePurpose]) -> Identity {
        self.issue_from(name, purposes, 2000)
    }

    fn issue_from(&self, name: &str, purposes: &[ExtendedKeyUsagePurpose], year: i32) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(year, 1, 1);
        params.extended_key_usages = purposes.to_vec();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { chain: certificate.pem().into_bytes(), key: key.serialize_pem().into_bytes() }
    }

    pub fn server(&self, name: &str) -> Identity {
        use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
        self.issue(&config().witness_name(name), &[ServerAuth, ClientAuth])
    }

    /// A server's certificate that is valid from that year on.
    pub fn server_from(&self, name: &str, year: i32) -> Identity {
        use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
        self.issue_from(&config().witness_name(name), &[ServerAuth, ClientAuth], year)
    }

    pub fn agent(&self, name: &str) -> Identity {
        self.issue(&config().witness_name(name), &[ExtendedKeyUsagePurpose::ServerAuth])
    }

    pub fn operator(&self) -> Identity {
        self.issue("operator.bake.internal", &[ExtendedKeyUsagePurpose::ClientAuth])
    }
}

/// The configuration of `node1`, which every test has as its witness.
pub fn config() -> NodeConfig {
    NodeConfig::parse(CONFIG.as_bytes()).unwrap()
}

/// `node1`: a directory that stands for its card, and its witness.
pub struct Node {
    root: tempfile::TempDir,
    pub authority: Authority,
    child: Option<Child>,
    pub address: SocketAddr,
}

impl Node {
    /// A freshly baked card; nothing runs yet.
    pub fn baked() -> Self {
        let authority = Authority::new();
        let own = authority.server("node1");
        let node = Self {
            root: tempfile::tempdir().unwrap(),
            authority,
            child: None,
            address: ([127, 0, 0, 1], 0).into(),
        };
        node.write(paths::NODE_CONFIG, config().to_json().as_bytes());
        node.write(paths::WITNESS_CA, &node.authority.pem);
        node.write(paths::WITNESS_CERT, &own.chain);
        node.write(paths::WITNESS_KEY, &own.key);
        fs::create_dir_all(node.at(paths::STATE_DIR)).unwrap();
        node
    }

    /// A node whose witness runs.
    pub fn running() -> Self {
        let mut node = Self::baked();
        node.start();
        node
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    pub fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.at(path)).unwrap()
    }

    /// The binary under test, or the static one that `BAKE_TEST_FIRSTBOOT` names.
    pub fn command(&self) -> Command {
        let built = || env!("CARGO_BIN_EXE_firstboot").into();
        let mut command =
            Command::new(std::env::var_os("BAKE_TEST_FIRSTBOOT").unwrap_or_else(built));
        command.arg("--root").arg(self.root.path());
        command.args(["witness", "--listen", "127.0.0.1:0"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        command
    }

    pub fn start(&mut self) {
        let command = self.command();
        self.start_as(command);
    }

    /// Starts the witness by this command and waits until it says where it listens.
    pub fn start_as(&mut self, mut command: Command) {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().expect("the witness says where it listens").unwrap();
        self.address = line.rsplit_once(" on ").expect(&line).1.parse().unwrap();
        // Its journal must be read, or it would stand still.
        std::thread::spawn(move || lines.for_each(drop));
        self.child = Some(child);
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Sends it a signal that ends it, and says how it ended.
    pub fn end(&mut self, signal: &str) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        child.wait().unwrap()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub fn request(&self, method: Method, path: &str, client: Option<Identity>) -> HttpsRequest {
        HttpsRequest {
            method,
            name: config().witness_name("node1"),
            client,
            ..HttpsRequest::get(self.address, path, self.authority.pem.clone())
        }
    }

    pub fn send(&self, request: &HttpsRequest) -> Result<HttpsReply, HttpsError> {
        Real::below("/").https(request)
    }

    pub fn served(&self) -> Served {
        let request = self.request(Method::Get, "/v1/status", Some(self.authority.operator()));
        let reply = self.send(&request).unwrap();
        assert_eq!(reply.status, 200);
        serde_json::from_slice(&reply.body).unwrap()
    }

    /// The card as the witness tells it.
    pub fn card(&self) -> Card {
        let card = self.served().card;
        Card::new(&card.name, card.incarnation, card.nonce.parse().unwrap())
    }

    /// Asks as the server that the request is from.
    pub fn ask(&self, request: &Request) -> Result<HttpsReply, HttpsError> {
        let client = self.authority.server(&request.from().name);
        self.ask_as(request, client)
    }

    pub fn ask_as(&self, request: &Request, client: Identity) -> Result<HttpsReply, HttpsError> {
        let body = serde_json::to_vec(request).unwrap();
        let post = self.request(Method::Post, request.path(), Some(client));
        self.send(&HttpsRequest { body, timeout: Duration::from_secs(20), ..post })
    }

    /// Whether `path` is there.
    pub fn has(&self, path: &str) -> bool {
        Path::new(&self.at(path)).exists()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

/// A card of another server.
pub fn other(name: &str) -> Card {
    Card::new(name, 1, Nonce(0x1111_2222_3333_4444))
}

/// A request for a promise.
pub fn prepare(to: &Card, round: u64, founder: Card) -> Request {
    Request::Prepare {
        electorate: Config::of(&config()).electorate,
        to: to.clone(),
        ballot: Ballot { round, founder },
        seen: Seen::default(),
    }
}
