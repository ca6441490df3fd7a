//! One board of memory among others that answer as they are told to; its services remember what
//! they were started and reloaded with.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use firstboot::servers::Keeper;
use firstboot::sys::{
    Command, CommandError, HttpsError, HttpsReply, HttpsRequest, Priority, Space, Stat, Sys,
};
use firstboot::witness::{List, Progress};
use nodeconf::servers::{Changes, Introduction, Noted};
use nodeconf::vip::Shared;
use nodeconf::{NodeConfig, paths};
use serde_json::json;

use crate::fake::{CONFIG, Fake, Loss, PowerCut};

const WANTS: &str = "/etc/systemd/system/multi-user.target.wants";
const UNITS: [(&str, &str); 2] =
    [("haproxy.service", paths::HAPROXY_CONFIG), ("keepalived.service", paths::KEEPALIVED_CONFIG)];

/// How another server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Knows,
    Learns,
    Refuses,
    /// The machine is there, and nobody listens.
    Mute,
    Off,
}

#[derive(Debug)]
pub struct Street {
    pub board: Fake,
    config: NodeConfig,
    peers: RefCell<BTreeMap<String, Peer>>,
    asked: RefCell<BTreeMap<String, u32>>,
    holder: RefCell<Option<String>>,
    /// What each service that runs has read.
    running: RefCell<BTreeMap<&'static str, String>>,
    reloads: RefCell<u32>,
    refusing: RefCell<String>,
    rules: RefCell<String>,
}

impl Street {
    /// A card of `own` among `servers`, which all know each other, as it first boots with both
    /// packages installed.
    pub fn baked(servers: &[&str], own: &str) -> Self {
        let address = |name: &str| format!("192.168.24.1{}", name.trim_start_matches("node"));
        let mut json: serde_json::Value = serde_json::from_str(CONFIG).unwrap();
        json["cluster"]["topology"] = "embedded-etcd".into();
        json["cluster"]["vip"] =
            json!({"address": "192.168.24.40", "port": 16443, "provider": "keepalived"});
        let all = servers.iter().map(|name| json!({"name": name, "address": address(name)}));
        json["cluster"]["servers"] = all.collect::<Vec<_>>().into();
        json["node"]["name"] = own.into();
        json["node"]["address"]["static"]["address"] = address(own).into();
        let config = NodeConfig::parse(json.to_string().as_bytes()).unwrap();
        let board = Fake::with(|world| {
            world.address = address(own);
            world.network_at = Some(Duration::ZERO);
            let shared = Shared::of(&config, &config.cluster.servers).unwrap();
            for (path, text) in [
                (paths::HAPROXY_CONFIG, shared.haproxy()),
                (paths::KEEPALIVED_CONFIG, shared.keepalived()),
                (paths::WITNESS_CA, "CA".into()),
                (paths::WITNESS_CERT, "certificate".into()),
                (paths::WITNESS_KEY, "key".into()),
            ] {
                world.disk.place(path, text.as_bytes(), 0o600);
            }
            for (unit, _) in UNITS {
                world
                    .disk
                    .place_link(&format!("{WANTS}/{unit}"), &format!("/lib/systemd/system/{unit}"));
            }
        });
        let others = servers.iter().filter(|name| **name != own);
        let street = Self {
            board,
            peers: RefCell::new(others.map(|name| ((*name).to_owned(), Peer::Knows)).collect()),
            config,
            asked: RefCell::default(),
            holder: RefCell::default(),
            running: RefCell::default(),
            reloads: RefCell::default(),
            refusing: RefCell::default(),
            rules: RefCell::new("192.168.24.11".into()),
        };
        street.boot();
        street
    }

    /// systemd starts what is enabled and not held back.
    fn boot(&self) {
        self.running.borrow_mut().clear();
        for (unit, _) in UNITS {
            self.begin(unit);
        }
    }

    fn begin(&self, unit: &str) {
        let Some((unit, file)) = UNITS.iter().find(|(name, _)| *name == unit) else { return };
        if *unit == "keepalived.service" && self.board.file(paths::VIP_ADMITTED).is_none() {
            return;
        }
        let text = self.board.file(file).unwrap_or_default();
        self.running.borrow_mut().entry(unit).or_insert(text);
    }

    pub fn reboot(&self, loss: Loss) {
        self.board.reboot(loss);
        self.rules.replace("192.168.24.11".into());
        self.boot();
    }

    pub fn pass(&self, time: Duration) {
        self.board.pass(time);
    }

    /// A process of `firstboot servers`, for as many turns.
    pub fn keep(&self, turns: u32) {
        let mut keeper = Keeper::new(self, &self.config);
        for _ in 0..turns {
            keeper.turn();
            self.pass(Duration::from_millis(600));
        }
    }

    /// The same until the power goes at `call`; whether it came to its end.
    pub fn cut(&self, call: u64, turns: u32) -> bool {
        static QUIET: Once = Once::new();
        QUIET.call_once(|| {
            let loud = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                if !info.payload().is::<PowerCut>() {
                    loud(info);
                }
            }));
        });
        self.board.cut_at(call);
        let ended = catch_unwind(AssertUnwindSafe(|| self.keep(turns)));
        self.board.cut_never();
        match ended {
            Ok(()) => true,
            Err(thrown) if thrown.is::<PowerCut>() => false,
            Err(thrown) => resume_unwind(thrown),
        }
    }

    pub fn peers(&self, are: &[(&str, Peer)]) {
        self.peers.borrow_mut().extend(are.iter().map(|(name, peer)| ((*name).to_owned(), *peer)));
    }

    pub fn held_by(&self, hardware: Option<&str>) {
        self.holder.replace(hardware.map(str::to_owned));
    }

    /// What the witness would write.
    pub fn note(&self, changes: &Changes) {
        let bytes = List::file(changes).unwrap();
        self.board.world.borrow_mut().disk.place(paths::SERVERS, &bytes, 0o600);
    }

    pub fn refuse(&self, program: &str) {
        self.refusing.replace(program.to_owned());
    }

    pub fn runs(&self, unit: &str) -> bool {
        self.running.borrow().contains_key(unit)
    }

    pub fn asked(&self, name: &str) -> u32 {
        self.asked.borrow().get(name).copied().unwrap_or_default()
    }

    pub fn reloads(&self) -> u32 {
        *self.reloads.borrow()
    }

    pub fn rules(&self) -> String {
        self.rules.borrow().clone()
    }

    pub fn configs(&self) -> [String; 2] {
        UNITS.map(|(_, file)| self.board.file(file).unwrap())
    }

    pub fn loaded(&self) -> [String; 2] {
        UNITS.map(|(unit, _)| self.running.borrow().get(unit).cloned().unwrap_or_default())
    }

    /// What is told to others holds: who is told of as taken in gets adverts.
    pub fn assert_no_false_word(&self, context: &str) {
        let list = List::read(&self.board).unwrap();
        if Progress::read(&self.board).has_applied(&list) && !list.changes.0.is_empty() {
            let [haproxy, keepalived] = self.loaded();
            assert!(haproxy.contains("node4"), "{context}: HAProxy has not read it");
            let idle = !self.runs("keepalived.service");
            assert!(idle || keepalived.contains("192.168.24.14"), "{context}");
        }
    }

    fn hardware(name: &str) -> String {
        format!("02:00:00:00:00:0{}", name.trim_start_matches("node"))
    }

    fn arp(&self) -> String {
        let mut table = String::from("IP address HW type Flags HW address Mask Device\n");
        let mut entry = |address: &str, hardware: &str| {
            table += &format!("{address} 0x1 0x2 {hardware} * eth0\n");
        };
        for (name, peer) in &*self.peers.borrow() {
            if *peer != Peer::Off {
                let address = format!("192.168.24.1{}", name.trim_start_matches("node"));
                entry(&address, &Self::hardware(name));
            }
        }
        if let Some(hardware) = &*self.holder.borrow() {
            entry("192.168.24.40", hardware);
        }
        table
    }

    fn answer(&self, request: &HttpsRequest) -> Result<HttpsReply, HttpsError> {
        let name = request.name.split('.').next().unwrap().to_owned();
        *self.asked.borrow_mut().entry(name.clone()).or_default() += 1;
        assert_eq!(request.path, nodeconf::servers::INTRODUCE);
        let told: Introduction = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(told.name, self.config.node.name);
        let reply = |status, body: serde_json::Value| {
            Ok(HttpsReply { status, body: body.to_string().into_bytes() })
        };
        // Who came is well.
        match self.peers.borrow().get(&name).unwrap_or(&Peer::Knows) {
            Peer::Knows => reply(200, json!(Noted { applied: true, trouble: None })),
            Peer::Learns => {
                let trouble = Some("keepalived.service is activating".into());
                reply(200, json!(Noted { applied: false, trouble }))
            }
            Peer::Refuses => reply(404, json!({"error": "there is nothing under this path"})),
            Peer::Mute => Err(HttpsError::Unreachable("connection refused".into())),
            Peer::Off => {
                self.pass(Duration::from_secs(2));
                Err(HttpsError::Unreachable("timed out".into()))
            }
        }
    }

    fn systemctl(&self, args: &[&str]) -> String {
        match args {
            ["show", _, unit] if self.runs(unit) => "ActiveState=active\n".into(),
            ["show", ..] => "ActiveState=inactive\n".into(),
            ["reset-failed", _] => String::new(),
            ["start", "--no-block", unit] => {
                self.begin(unit);
                String::new()
            }
            ["stop", unit] => {
                self.running.borrow_mut().retain(|name, _| name != unit);
                String::new()
            }
            ["reload", unit] => {
                *self.reloads.borrow_mut() += 1;
                let (unit, file) = UNITS.iter().find(|(name, _)| name == unit).unwrap();
                let text = self.board.file(file).unwrap_or_default();
                self.running.borrow_mut().insert(unit, text);
                String::new()
            }
            _ => panic!("this street knows no systemctl {args:?}"),
        }
    }
}

impl Sys for Street {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path == Path::new("/proc/net/arp") {
            self.board.uptime();
            return Ok(self.arp().into_bytes());
        }
        self.board.read(path)
    }
    fn read_head(&self, path: &Path, most: usize) -> io::Result<Vec<u8>> {
        self.board.read_head(path, most)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.board.list(path)
    }
    fn remove_tree(&self, path: &Path) -> io::Result<()> {
        self.board.remove_tree(path)
    }
    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        self.board.read_link(path)
    }
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.board.stat(path)
    }
    fn space(&self, path: &Path) -> io::Result<Space> {
        self.board.space(path)
    }
    fn create(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        self.board.create(path, bytes, mode)
    }
    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.board.overwrite(path, bytes)
    }
    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.board.sync_file(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.board.sync_dir(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.board.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.board.remove(path)
    }
    fn make_dirs(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.board.make_dirs(path, mode)
    }
    fn lock(&self, path: &Path) -> io::Result<bool> {
        self.board.lock(path)
    }
    fn run(&self, command: &Command) -> Result<String, CommandError> {
        // The power may go before it, and after.
        self.board.uptime();
        let args: Vec<&str> = command.args.iter().map(String::as_str).collect();
        let failed = || CommandError::Failed {
            line: command.line(),
            status: "exit status: 1".into(),
            code: Some(1),
            stdout: String::new(),
            stderr: None,
        };
        let out = match (command.program, &*args) {
            ("systemctl", args) => Ok(self.systemctl(args)),
            ("haproxy" | "keepalived", _) if *self.refusing.borrow() == command.program => {
                Err(failed())
            }
            ("haproxy" | "keepalived", _) => Ok(String::new()),
            ("nft", ["list", "set", ..]) => Ok(String::new()),
            ("nft", [script]) => {
                self.rules.replace((*script).to_owned());
                Ok(String::new())
            }
            ("iptables" | "firewall-cmd", _) => Err(CommandError::Missing(command.program)),
            _ => panic!("this street has no {}", command.line()),
        };
        self.board.uptime();
        out
    }
    fn now(&self) -> Duration {
        self.board.now()
    }
    fn set_clock(&self, to: Duration) -> io::Result<()> {
        self.board.set_clock(to)
    }
    fn uptime(&self) -> Duration {
        self.board.uptime()
    }
    fn sleep(&self, time: Duration) {
        self.board.sleep(time);
    }
    fn https(&self, request: &HttpsRequest) -> Result<HttpsReply, HttpsError> {
        self.board.uptime();
        self.answer(request)
    }
    fn connect(&self, place: &str, _: Duration) -> io::Result<()> {
        assert_eq!(place, "192.168.24.40:16443");
        self.board.uptime();
        Err(io::ErrorKind::TimedOut.into())
    }
    fn say(&self, priority: Priority, line: &str) {
        self.board.say(priority, line);
    }
    fn notify(&self, state: &str) {
        self.board.notify(state);
    }
}
