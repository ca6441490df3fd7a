//! K3s as far as it matters here, from what a real one was seen to do.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use firstboot::sys::{HttpsError, HttpsReply, HttpsRequest, Method};
use nodeconf::paths;
use serde_json::json;

use super::Town;
use super::net::reply;

/// From the start of K3s until it looks at its data.
const LOOKS: Duration = Duration::from_secs(1);
/// Until what it then writes is safe.
const SYNCS: Duration = Duration::from_millis(700);
/// Until a learner may vote.
const PROMOTION: Duration = Duration::from_secs(6);
const SERVES: Duration = Duration::from_secs(2);
const REGISTERS: Duration = Duration::from_secs(3);
const READY: Duration = Duration::from_secs(5);
/// `RestartSec` of the unit.
const RESTART: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Default)]
pub struct Etcd {
    members: BTreeMap<u32, Member>,
    nodes: BTreeMap<String, u32>,
}

#[derive(Debug, Clone)]
struct Member {
    name: String,
    board: usize,
    voting: bool,
}

/// Times are uptimes of the board.
#[derive(Debug, Clone, Default)]
pub struct Process {
    began: Option<Duration>,
    dead_until: Option<Duration>,
    restarts: u32,
    complaint: String,
    /// Cluster, member, since when.
    within: Option<(u32, u32, Duration)>,
    unsynced: bool,
}

impl Town {
    pub(super) fn pass_for_others(&self, me: usize, time: Duration) {
        for board in (0..self.boards.len()).filter(|&board| board != me) {
            if self.shared.borrow().powered[board] {
                self.boards[board].pass(time);
            }
        }
        // Calls take a millisecond; K3s need not be looked at after each of them.
        let uptime = self.boards[me].world.borrow().uptime;
        if uptime.as_millis().is_multiple_of(16) {
            self.live();
        }
    }

    pub(super) fn restarts(&self, board: usize) -> u32 {
        self.shared.borrow().processes[board].restarts
    }

    pub(super) fn complaint(&self, board: usize) -> String {
        match &self.shared.borrow().processes[board].complaint {
            complaint if complaint.is_empty() => String::new(),
            complaint => format!("time=\"1\" level=fatal msg=\"{complaint}\"\n"),
        }
    }

    /// Lets every K3s do what is due.
    pub fn live(&self) {
        for board in 0..self.boards.len() {
            if self.shared.borrow().powered[board] {
                self.live_one(board);
            }
        }
    }

    fn live_one(&self, board: usize) {
        let (uptime, started) = {
            let world = self.boards[board].world.borrow();
            (world.uptime, world.k3s_at)
        };
        let mut process = self.shared.borrow().processes[board].clone();
        if started.is_none() {
            self.shared.borrow_mut().processes[board] = Process::default();
            return;
        }
        if process.dead_until.is_some_and(|until| uptime < until) {
            return;
        }
        if process.dead_until.take().is_some() {
            process.restarts += 1;
            process.began = None;
        }
        let began = *process.began.get_or_insert(uptime);
        if uptime.saturating_sub(began) >= LOOKS
            && process.within.is_none()
            && let Err(complaint) = self.enter(board, &mut process, uptime)
        {
            process.complaint = complaint.into();
            process.dead_until = Some(uptime + RESTART);
        }
        if let Some((cluster, member, since)) = process.within {
            self.grow(board, &mut process, cluster, member, uptime.saturating_sub(since));
        }
        self.shared.borrow_mut().processes[board] = process;
    }

    /// What K3s does first: look for data, found, or join.
    fn enter(
        &self,
        board: usize,
        process: &mut Process,
        now: Duration,
    ) -> Result<(), &'static str> {
        if !self.plan.is_server(board) {
            let to = self.behind_vip(board).ok_or("failed to get CA certs: EOF")?;
            self.admits(board)?;
            let cluster = self.cluster_of(to).ok_or("failed to get CA certs: EOF")?;
            process.within = Some((cluster, 0, now));
            return Ok(());
        }
        if self.plan.topology == "external-datastore" {
            let shared = &mut *self.shared.borrow_mut();
            if !shared.datastore_up {
                return Err("building kine: dial tcp: connection refused");
            }
            shared.etcds.entry(0).or_default();
            process.within = Some((0, 0, now));
            return Ok(());
        }
        let decision = self.boards[board].file(paths::K3S_DECISION).unwrap_or_default();
        let founds = decision.contains("cluster-init: true");
        if let Some((cluster, member)) = self.log(board) {
            let known = self.shared.borrow().etcds[&cluster].members.contains_key(&member);
            // systemd's own restart of a founder that died may come before firstboot's word.
            if founds && process.restarts == 0 {
                self.violation(format!("board {board} was started to found and has data"));
            }
            process.within = known.then_some((cluster, member, now));
            return if known { Ok(()) } else { Err("this member was removed from the cluster") };
        }
        if founds {
            self.found(board, process, now);
            return Ok(());
        }
        if !decision.contains("server: ") {
            self.violation(format!("board {board} was started on its own"));
            return Err("started on its own");
        }
        self.join(board, process, now)
    }

    fn violation(&self, what: String) {
        self.shared.borrow_mut().violations.push(what);
    }

    fn found(&self, board: usize, process: &mut Process, now: Duration) {
        if let Some(other) = (0..self.boards.len()).find(|&other| self.data(other).is_some()) {
            self.violation(format!("board {board} founds while board {other} has data"));
        }
        let shared = &mut *self.shared.borrow_mut();
        shared.foundings += 1;
        let (cluster, member) = (shared.number(), shared.number());
        let etcd = shared.etcds.entry(cluster).or_default();
        let name = self.plan.name(board);
        etcd.members.insert(member, Member { name, board, voting: true });
        self.write_log(board, cluster, member);
        (process.within, process.unsynced) = (Some((cluster, member, now)), true);
    }

    fn join(&self, board: usize, process: &mut Process, now: Duration) -> Result<(), &'static str> {
        let to = self.behind_vip(board).ok_or("failed to get CA certs: EOF")?;
        self.admits(board)?;
        let cluster = self.cluster_of(to).ok_or("failed to get CA certs: EOF")?;
        let name = self.plan.name(board);
        let etcd = self.shared.borrow().etcds[&cluster].clone();
        let own = etcd.members.iter().find(|(_, m)| m.name == name).map(|(id, m)| (*id, m.voting));
        if own.is_some_and(|(_, voting)| voting) {
            return Err("duplicate node name found, please use a unique name for this node");
        }
        let mut voting = etcd.members.iter().filter(|(_, m)| m.voting);
        if !voting.all(|(id, m)| self.reaches(board, m.board) && self.is_up(cluster, *id, m)) {
            return Err("etcdserver: unhealthy cluster");
        }
        if etcd.members.values().any(|m| !m.voting && m.name != name) {
            self.shared.borrow_mut().crowded += 1;
            return Err("etcdserver: too many learner members in cluster");
        }
        let shared = &mut *self.shared.borrow_mut();
        let member = own.map_or_else(|| shared.number(), |(id, _)| id);
        let etcd = shared.etcds.get_mut(&cluster).unwrap();
        etcd.members.insert(member, Member { name, board, voting: false });
        self.write_log(board, cluster, member);
        (process.within, process.unsynced) = (Some((cluster, member, now)), true);
        Ok(())
    }

    fn admits(&self, board: usize) -> Result<(), &'static str> {
        match self.shared.borrow().wrong_token.contains(&board) {
            true => Err("https://192.168.24.10:16443/v1-k3s/server-bootstrap: 401 Unauthorized"),
            false => Ok(()),
        }
    }

    /// As etcd does it: complete and synced beside its place, then renamed; the name is safe later.
    fn write_log(&self, board: usize, cluster: u32, member: u32) {
        let disk = &mut self.boards[board].world.borrow_mut().disk;
        let text = format!("{cluster} {member}\n");
        let new = Path::new("/var/lib/rancher/k3s/server/db/etcd/member/wal.tmp");
        disk.create(new, text.as_bytes(), 0o700).unwrap();
        disk.sync_file(new).unwrap();
        disk.rename(new, Path::new(paths::K3S_ETCD_WAL)).unwrap();
    }

    /// The cluster and the member of the data on the board.
    fn log(&self, board: usize) -> Option<(u32, u32)> {
        let text = self.boards[board].file(paths::K3S_ETCD_WAL)?;
        let (cluster, member) = text.trim().split_once(' ')?;
        Some((cluster.parse().ok()?, member.parse().ok()?))
    }

    /// What happens while K3s runs.
    fn grow(&self, board: usize, process: &mut Process, cluster: u32, member: u32, age: Duration) {
        if process.unsynced && age >= SYNCS {
            let disk = &mut self.boards[board].world.borrow_mut().disk;
            disk.sync_dir(Path::new(paths::K3S_ETCD_WAL).parent().unwrap());
            process.unsynced = false;
        }
        if self.shared.borrow().etcds[&cluster].members.get(&member).is_some_and(|m| !m.voting)
            && age >= PROMOTION
        {
            let etcds = &mut self.shared.borrow_mut().etcds;
            etcds.get_mut(&cluster).unwrap().members.get_mut(&member).unwrap().voting = true;
        }
        if !self.plan.is_server(board) && age >= SERVES {
            let disk = &mut self.boards[board].world.borrow_mut().disk;
            for file in ["client-kubelet.crt", "client-kubelet.key"] {
                disk.place(&format!("{}/agent/{file}", paths::K3S_DATA), b"kubelet", 0o600);
            }
        }
        if age >= REGISTERS && self.works(cluster) {
            let shared = &mut *self.shared.borrow_mut();
            let etcd = shared.etcds.get_mut(&cluster).unwrap();
            let learner = etcd.members.get(&member).is_some_and(|m| !m.voting);
            if !learner && !etcd.nodes.contains_key(&self.plan.name(board)) {
                shared.numbers += 1;
                etcd.nodes.insert(self.plan.name(board), shared.numbers);
            }
        }
    }

    fn is_up(&self, cluster: u32, member: u32, of: &Member) -> bool {
        let shared = self.shared.borrow();
        let within = shared.processes[of.board].within;
        shared.powered[of.board] && within.is_some_and(|(c, m, _)| (c, m) == (cluster, member))
    }

    /// Whether the cluster takes changes: a majority of its voting members is up.
    fn works(&self, cluster: u32) -> bool {
        let etcd = self.shared.borrow().etcds[&cluster].clone();
        if cluster == 0 {
            return self.shared.borrow().datastore_up;
        }
        let voting: Vec<_> = etcd.members.iter().filter(|(_, m)| m.voting).collect();
        let up = voting.iter().filter(|(id, m)| self.is_up(cluster, **id, m)).count();
        up > voting.len() / 2
    }

    fn cluster_of(&self, board: usize) -> Option<u32> {
        Some(self.shared.borrow().processes[board].within?.0)
    }

    /// For how long the K3s of a board has been within its cluster, as a full member.
    fn serving(&self, board: usize) -> Option<(u32, Duration)> {
        let shared = self.shared.borrow();
        let (cluster, member, since) = shared.processes[board].within?;
        let learner = shared.etcds[&cluster].members.get(&member).is_some_and(|m| !m.voting);
        let age = self.boards[board].world.borrow().uptime.saturating_sub(since);
        (!learner && age >= SERVES && shared.powered[board]).then_some((cluster, age))
    }

    pub(super) fn serves(&self, board: usize) -> bool {
        self.serving(board).is_some()
    }

    pub(super) fn api(
        &self,
        board: usize,
        request: &HttpsRequest,
    ) -> Result<HttpsReply, HttpsError> {
        if self.boards[board].world.borrow().k3s_at.is_none() {
            return Err(HttpsError::Unreachable("connection refused".into()));
        }
        let Some((cluster, _)) = self.serving(board) else { return reply(503, "starting") };
        if request.path == "/ping" {
            return reply(200, "pong");
        }
        if request.client.is_none() {
            return reply(401, "");
        }
        if !self.works(cluster) {
            return reply(500, "etcdserver: no leader");
        }
        if request.path == "/readyz" {
            return reply(200, "ok");
        }
        let name = request.path.strip_prefix("/api/v1/nodes/").expect("no other path is asked");
        let uid = self.shared.borrow().etcds[&cluster].nodes.get(name).copied();
        let Some(uid) = uid else { return reply(404, "{}") };
        let of = (0..self.boards.len()).find(|&board| self.plan.name(board) == name).unwrap();
        if request.method == Method::Delete {
            let etcds = &mut self.shared.borrow_mut().etcds;
            let etcd = etcds.get_mut(&cluster).unwrap();
            etcd.nodes.remove(name);
            etcd.members.retain(|_, member| member.name != name);
            return reply(200, "{}");
        }
        let up = self.shared.borrow().processes[of].within.is_some_and(|(c, _, since)| {
            let age = self.boards[of].world.borrow().uptime.saturating_sub(since);
            c == cluster && age >= READY
        });
        let labels = match self.plan.is_server(of) && cluster != 0 {
            true => json!({"node-role.kubernetes.io/etcd": "true"}),
            false => json!({}),
        };
        let ready = json!({"type": "Ready", "status": if up { "True" } else { "False" }});
        let node = json!({"metadata": {"name": name, "uid": uid.to_string(), "labels": labels},
            "status": {"conditions": [ready]}});
        reply(200, node.to_string())
    }

    /// Every server is a voting member of the one cluster, and nobody else is; every board has its
    /// Node.
    pub(super) fn assert_members(&self, context: &str) {
        let cluster = self.cluster_of(0).unwrap_or_else(|| panic!("{context}: no cluster"));
        let shared = self.shared.borrow();
        let etcd = &shared.etcds[&cluster];
        let names: Vec<String> = (0..self.boards.len()).map(|b| self.plan.name(b)).collect();
        let nodes: Vec<String> = etcd.nodes.keys().cloned().collect();
        assert_eq!(nodes, names, "{context}");
        if cluster != 0 {
            let mut members: Vec<String> = etcd.members.values().map(|m| m.name.clone()).collect();
            members.sort();
            assert_eq!(members, names[..self.plan.servers], "{context}");
            assert!(etcd.members.values().all(|m| m.voting), "{context}: {etcd:?}");
        }
        for board in 0..self.boards.len() {
            let within = shared.processes[board].within.map(|(cluster, ..)| cluster);
            assert_eq!(within, Some(cluster), "{context}: board {board}");
        }
    }
}
