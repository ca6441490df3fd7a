//! K3s as far as it matters here, from what a real one was seen to do.

use std::collections::BTreeMap;
use std::time::Duration;

use firstboot::sys::{HttpsError, HttpsReply, HttpsRequest, Method};
use nodeconf::paths;
use serde_json::{Value, json};

use super::Town;
use super::net::reply;

/// From the start of K3s until it looks at its data.
const LOOKS: Duration = Duration::from_secs(1);
/// From the making of etcd's log to its first entry.
const BORN: Duration = Duration::from_millis(400);
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
    nodes: BTreeMap<String, Node>,
}

#[derive(Debug, Clone)]
struct Node {
    uid: u32,
    /// What holds it, once it is being deleted.
    finalizers: Option<Vec<String>>,
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
    /// Since when it has run on a log without an entry.
    unborn: Option<Duration>,
    /// etcd waits for ever.
    stuck: bool,
    registered: bool,
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
        if self.shared.borrow_mut().fills.remove(&board) {
            self.boards[board].world.borrow_mut().disk.full = true;
        }
        if uptime.saturating_sub(began) >= LOOKS
            && process.within.is_none()
            && !process.stuck
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
        if self.is_unborn(board) {
            if process.restarts == 0 {
                self.violation(format!("board {board} was started on an empty log"));
            }
            // A learner is told by its leader how to go on; alone, etcd never elects itself.
            process.stuck = founds;
        }
        if process.stuck {
            return Ok(());
        }
        if let Some((cluster, member)) = self.log(board) {
            let known = self.shared.borrow().etcds[&cluster].members.contains_key(&member);
            // systemd's own restart of a founder that died may come before firstboot's word.
            process.unborn = self.is_unborn(board).then_some(now);
            if founds && process.restarts == 0 {
                self.violation(format!("board {board} was started to found and has data"));
            }
            process.within = known.then_some((cluster, member, now));
            return if known { Ok(()) } else { Err("this member was removed from the cluster") };
        }
        if founds {
            self.has_room(board)?;
            self.found(board, process, now);
            return Ok(());
        }
        if !decision.contains("server: ") {
            self.violation(format!("board {board} was started on its own"));
            return Err("started on its own");
        }
        self.join(board, process, now)
    }

    fn has_room(&self, board: usize) -> Result<(), &'static str> {
        match self.boards[board].world.borrow().disk.full {
            true => Err("etcd: write /var/lib/rancher/k3s/server/db/etcd: no space left on device"),
            false => Ok(()),
        }
    }

    pub(super) fn violation(&self, what: String) {
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
        self.make_log(board, cluster, member);
        (process.within, process.unsynced) = (Some((cluster, member, now)), true);
        process.unborn = Some(now);
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
        // The cluster counts it as a learner already.
        self.has_room(board)?;
        self.make_log(board, cluster, member);
        (process.within, process.unsynced) = (Some((cluster, member, now)), true);
        process.unborn = Some(now);
        Ok(())
    }

    fn admits(&self, board: usize) -> Result<(), &'static str> {
        match self.shared.borrow().wrong_token.contains(&board) {
            true => Err("https://192.168.24.10:16443/v1-k3s/server-bootstrap: 401 Unauthorized"),
            false => Ok(()),
        }
    }

    /// What happens while K3s runs.
    fn grow(&self, board: usize, process: &mut Process, cluster: u32, member: u32, age: Duration) {
        if process.unsynced && age >= SYNCS {
            self.sync_log(board);
            process.unsynced = false;
        }
        if process.unborn.is_some() {
            if self.shared.borrow_mut().killed_unborn.remove(&board) {
                let (restarts, now) = (process.restarts, self.boards[board].world.borrow().uptime);
                let dead_until = Some(now + RESTART);
                *process = Process { restarts, dead_until, ..Process::default() };
                return;
            }
            if age < BORN {
                return;
            }
            let other = (0..self.boards.len()).find_map(|other| self.data(other));
            if other.is_some_and(|other| other != cluster) {
                self.violation(format!("board {board} founds beside cluster {other:?}"));
            }
            self.write_first_entry(board);
            process.unborn = None;
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
            // The kubelet registers once, and takes a Node that it finds for its own.
            process.registered |= etcd.nodes.contains_key(&self.plan.name(board));
            if !learner && !process.registered && !etcd.nodes.contains_key(&self.plan.name(board)) {
                shared.numbers += 1;
                let node = Node { uid: shared.numbers, finalizers: None };
                etcd.nodes.insert(self.plan.name(board), node);
                process.registered = true;
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
        if request.path == "/db/info" {
            return self.db_info(cluster);
        }
        let name = request.path.strip_prefix("/api/v1/nodes/").expect("no other path is asked");
        let node = self.shared.borrow().etcds[&cluster].nodes.get(name).cloned();
        let Some(node) = node else { return reply(404, "{}") };
        let of = (0..self.boards.len()).find(|&board| self.plan.name(board) == name).unwrap();
        match request.method {
            Method::Delete => return self.delete_node(cluster, name),
            Method::Patch => {
                let patch: Value = serde_json::from_slice(&request.body).unwrap();
                assert_eq!(patch["metadata"]["uid"], node.uid.to_string());
                let left = patch["metadata"]["finalizers"].as_array().unwrap().iter();
                let left = left.map(|f| f.as_str().unwrap().to_owned()).collect();
                return self.hold_node(cluster, name, left);
            }
            Method::Get | Method::Post => {}
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
        let mut shown = json!({"metadata": {"name": name, "uid": node.uid.to_string(),
            "labels": labels}, "status": {"conditions": [ready]}});
        if let Some(finalizers) = node.finalizers {
            shown["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
            shown["metadata"]["finalizers"] = finalizers.into();
        }
        reply(200, shown.to_string())
    }

    /// Takes the member out of etcd within the same moment, unless it is held; the Node goes, unless
    /// something holds it.
    fn delete_node(&self, cluster: u32, name: &str) -> Result<HttpsReply, HttpsError> {
        let held = self.shared.borrow().finalizers.clone();
        if !self.shared.borrow().members_held {
            let etcds = &mut self.shared.borrow_mut().etcds;
            let members = &mut etcds.get_mut(&cluster).unwrap().members;
            members.retain(|_, member| member.name != name);
        }
        self.hold_node(cluster, name, held)
    }

    fn hold_node(
        &self,
        cluster: u32,
        name: &str,
        finalizers: Vec<String>,
    ) -> Result<HttpsReply, HttpsError> {
        let etcds = &mut self.shared.borrow_mut().etcds;
        let etcd = etcds.get_mut(&cluster).unwrap();
        let member = etcd.members.values().any(|member| member.name == name);
        let node = etcd.nodes.get_mut(name).unwrap();
        let holds = |f: &Vec<String>| f.iter().any(|f| f.contains("managed-etcd"));
        // It would never be removed.
        let forgotten =
            member && node.finalizers.as_ref().is_some_and(holds) && !holds(&finalizers);
        match finalizers.is_empty() {
            true => drop(etcd.nodes.remove(name)),
            false => node.finalizers = Some(finalizers),
        }
        if forgotten {
            self.shared.borrow_mut().violations.push(format!("{name}'s member is forgotten"));
        }
        reply(200, "{}")
    }

    /// What K3s before the hang was mended tells anybody, and later ones only members.
    fn db_info(&self, cluster: u32) -> Result<HttpsReply, HttpsError> {
        let shared = self.shared.borrow();
        if !shared.db_info {
            return reply(403, "");
        }
        let member = |member: &Member| {
            let url = format!("https://{}:2380", self.plan.address(member.board));
            json!({"name": format!("{}-0a1b2c3d", member.name), "peerURLs": [url]})
        };
        let members: Vec<Value> = shared.etcds[&cluster].members.values().map(member).collect();
        reply(200, json!({"members": members}).to_string())
    }

    /// K3s gets to do what it did not, and whatever held the Node of the board lets it go.
    pub fn let_go(&self, board: usize) {
        let name = self.plan.name(board);
        let shared = &mut *self.shared.borrow_mut();
        for etcd in shared.etcds.values_mut() {
            if shared.members_held {
                etcd.members.retain(|_, member| member.name != name);
            }
            etcd.nodes.remove(&name);
        }
        shared.members_held = false;
        shared.finalizers.clear();
    }

    /// Every server is a voting member of the one cluster.
    pub fn assert_members_vote(&self, context: &str) {
        let cluster = self.cluster_of(0).unwrap_or_else(|| panic!("{context}: no cluster"));
        let etcd = self.shared.borrow().etcds[&cluster].clone();
        assert_eq!(etcd.members.len(), self.plan.servers, "{context}: {etcd:?}");
        assert!(etcd.members.values().all(|m| m.voting), "{context}: {etcd:?}");
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
