//! A board made of memory, whose power can be cut at any call.

#![allow(dead_code)] // each test crate uses its part of it

mod disk;
mod dpkg;
pub mod postgres;

use std::cell::{Cell, RefCell};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use firstboot::exit::Exit;
use firstboot::sys::{
    Command, CommandError, HttpsError, HttpsReply, HttpsRequest, Method, Priority, Space, Stat, Sys,
};
use nodeconf::paths;

pub use disk::{Disk, Loss};
use dpkg::Dpkg;
use postgres::Postgres;

pub const FLOOR: u64 = 1_790_000_000;
pub const SECRETS: &str = "{\"version\":1,\"server_token\":\"s3cret-token\"}\n";
const WANTS: &str = "/etc/systemd/system/multi-user.target.wants";

pub const CONFIG: &str = include_str!("node.json");

/// Thrown when the power goes.
#[derive(Debug)]
pub struct PowerCut;

/// Runs what ends early where the power goes; `None` if it did.
pub fn until_the_power_goes<T>(run: impl FnOnce() -> T) -> Option<T> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !info.payload().is::<PowerCut>() {
                loud(info);
            }
        }));
    });
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(value) => Some(value),
        Err(thrown) if thrown.is::<PowerCut>() => None,
        Err(thrown) => resume_unwind(thrown),
    }
}

/// An LED whose trigger can be chosen.
#[derive(Debug, Clone, Default)]
pub struct Led {
    trigger: Option<String>,
    on: String,
    /// What it was told to show, in order.
    pub shown: Vec<String>,
}

impl Led {
    fn write(&mut self, file: &str, text: &str) {
        match file {
            "trigger" => {
                self.trigger = Some(text.to_owned());
                self.shown.push(text.to_owned());
            }
            "delay_on" => text.clone_into(&mut self.on),
            "delay_off" => self.shown.push(format!("{}/{text}", self.on)),
            other => panic!("the LED has no {other}"),
        }
    }

    fn triggers(&self) -> String {
        let active = self.trigger.as_deref().unwrap_or("mmc0");
        "none timer heartbeat mmc0\n".replace(active, &format!("[{active}]"))
    }
}

/// The world around the disk.
#[derive(Debug, Clone)]
pub struct World {
    pub disk: Disk,
    pub boots: u32,
    pub uptime: Duration,
    pub clock: Duration,
    pub clock_can_be_set: bool,
    pub synchronises: bool,
    pub hostname: String,
    pub address: String,
    pub memory_cgroup: bool,
    pub swap: bool,
    pub space: Space,
    pub card_sectors: u64,
    /// Uptime from which the network is there; `None` if it never comes.
    pub network_at: Option<Duration>,
    pub arping_answers: bool,
    pub led: Option<Led>,
    pub dpkg: Dpkg,
    pub postgres: Postgres,
    /// Uptime at which K3s was started in this boot.
    pub k3s_at: Option<Duration>,
    pub k3s_dies: bool,
    pub locked_elsewhere: bool,
    /// Commands that changed something, in order, over all boots.
    pub effects: Vec<String>,
    pub said: Vec<(Priority, String)>,
    pub notified: Vec<String>,
}

#[derive(Debug)]
pub struct Fake {
    pub world: RefCell<World>,
    calls: Cell<u64>,
    cut_at: Cell<Option<u64>>,
    /// Calls that could change anything outside memory.
    pub writes: Cell<u64>,
}

impl Fake {
    /// A board as it first boots from a freshly baked card.
    pub fn new() -> Self {
        let mut disk = Disk::default();
        for (path, text, mode) in [
            (paths::NODE_CONFIG, CONFIG, 0o644),
            (paths::NODE_SECRETS, SECRETS, 0o600),
            (paths::K3S, "binary", 0o755),
            (paths::K3S_CONFIG, "node-name: node1\ntoken-file: /etc/x\n", 0o600),
            ("/etc/systemd/system/k3s.service", "[Service]\n", 0o644),
            ("/etc/hostname", "raspberrypi\n", 0o644),
            ("/etc/hosts", "127.0.0.1\tlocalhost\n127.0.1.1\t\traspberrypi\n", 0o644),
            ("/etc/machine-id", "0123456789abcdef0123456789abcdef\n", 0o444),
        ] {
            disk.place(path, text.as_bytes(), mode);
        }
        disk.place_link("/etc/alternatives/iptables", "/usr/sbin/iptables-legacy");
        let world = World {
            disk,
            boots: 1,
            uptime: Duration::from_secs(8),
            clock: Duration::from_secs(1_000_000),
            clock_can_be_set: true,
            synchronises: false,
            hostname: "raspberrypi".into(),
            address: "192.168.24.11".into(),
            memory_cgroup: true,
            swap: true,
            space: Space { total: 8 << 30, free: 4 << 30 },
            card_sectors: 16 << 20,
            network_at: Some(Duration::from_secs(15)),
            arping_answers: false,
            led: None,
            dpkg: Dpkg::default(),
            postgres: Postgres::default(),
            k3s_at: None,
            k3s_dies: false,
            locked_elsewhere: false,
            effects: Vec::new(),
            said: Vec::new(),
            notified: Vec::new(),
        };
        Self {
            world: RefCell::new(world),
            calls: Cell::new(0),
            cut_at: Cell::new(None),
            writes: Cell::new(0),
        }
    }

    /// A board that `change` made different before its first boot.
    pub fn with(change: impl FnOnce(&mut World)) -> Self {
        let fake = Self::new();
        change(&mut fake.world.borrow_mut());
        fake
    }

    /// Cuts the power at the `call`-th call from now.
    pub fn cut_at(&self, call: u64) {
        self.calls.set(0);
        self.cut_at.set(Some(call));
    }

    /// Leaves the power on.
    pub fn cut_never(&self) {
        self.cut_at.set(None);
    }

    /// Switches the board on again. K3s starts by itself where it is enabled; the clock of a
    /// board without one starts in the past again.
    pub fn reboot(&self, loss: Loss) {
        self.cut_at.set(None);
        let world = &mut *self.world.borrow_mut();
        world.disk.cut(loss);
        world.disk.forget(Path::new("/run"));
        world.boots += 1;
        world.uptime = Duration::from_secs(8);
        world.clock = Duration::from_secs(1_000_000);
        world.swap = false;
        let name = world.disk.read(Path::new("/etc/hostname")).unwrap_or_default();
        world.hostname = String::from_utf8_lossy(&name).trim().to_owned();
        if let Some(led) = &mut world.led {
            led.trigger = None;
        }
        world.boot_postgres();
        world.k3s_at = None;
        let enabled = |unit| world.disk.read_link(&Path::new(WANTS).join(unit)).is_ok();
        if enabled("k3s.service") || enabled("k3s-agent.service") {
            world.k3s_at = Some(Duration::from_secs(7));
        }
    }

    /// One run of firstboot.
    pub fn run(&self) -> Exit {
        firstboot::run::run(self)
    }

    /// Runs until the power goes at `call`; how it ended if that was before.
    pub fn cut(&self, call: u64) -> Option<Exit> {
        self.cut_at(call);
        let ended = until_the_power_goes(|| self.run());
        self.cut_never();
        ended
    }

    /// Runs as the unit does: again 10 s after every 75, at most `times` times.
    pub fn run_as_unit(&self, times: usize) -> Exit {
        let mut exit = self.run();
        for _ in 1..times {
            if exit != Exit::TryAgain {
                break;
            }
            self.pass(Duration::from_secs(10));
            exit = self.run();
        }
        exit
    }

    pub fn pass(&self, time: Duration) {
        let world = &mut *self.world.borrow_mut();
        world.uptime += time;
        world.clock += time;
    }

    pub fn file(&self, path: &str) -> Option<String> {
        let bytes = self.world.borrow().disk.read(Path::new(path)).ok()?;
        Some(String::from_utf8(bytes).unwrap())
    }

    pub fn said(&self, part: &str) -> bool {
        self.world.borrow().said.iter().any(|(_, line)| line.contains(part))
    }

    /// Every system call passes here; this is where the power may go.
    fn tick(&self) {
        self.pass(Duration::from_millis(1));
        self.calls.set(self.calls.get() + 1);
        if self.cut_at.get() == Some(self.calls.get()) {
            std::panic::panic_any(PowerCut);
        }
    }

    fn tick_write(&self) {
        self.writes.set(self.writes.get() + 1);
        self.tick();
    }
}

impl World {
    fn network_is_up(&self) -> bool {
        self.network_at.is_some_and(|at| self.uptime >= at)
    }

    /// For how long K3s has been running.
    fn k3s_age(&self) -> Option<Duration> {
        if self.k3s_dies {
            return None;
        }
        Some(self.uptime.saturating_sub(self.k3s_at?))
    }

    /// Files that kernel and daemons make up when they are read.
    fn made_up(&self, path: &str) -> Option<String> {
        let up = self.network_is_up();
        Some(match path {
            "/proc/sys/kernel/random/boot_id" => format!("boot-{}\n", self.boots),
            "/proc/sys/kernel/hostname" => format!("{}\n", self.hostname),
            "/proc/mounts" => "/dev/mmcblk0p2 / ext4 rw 0 0\n\
                               /dev/mmcblk0p1 /boot/firmware vfat rw 0 0\n"
                .into(),
            "/proc/swaps" => {
                let head = "Filename Type Size Used Priority\n";
                format!("{head}{}", if self.swap { "/var/swap file 1 0 -2\n" } else { "" })
            }
            "/sys/fs/cgroup/cgroup.controllers" => {
                format!("cpu io {}pids\n", if self.memory_cgroup { "memory " } else { "" })
            }
            "/sys/dev/block/179:2/partition" => "2\n".into(),
            "/sys/dev/block/179:2/start" => "1064960\n".into(),
            "/sys/dev/block/179:2/../size" => format!("{}\n", self.card_sectors),
            "/sys/class/leds/led0/trigger" => self.led.as_ref()?.triggers(),
            "/sys/class/net/eth0/carrier" => "1\n".into(),
            "/proc/net/route" => {
                let head = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU W I\n";
                let routes = "eth0 00000000 0118A8C0 0003 0 0 0 00000000 0 0 0\n\
                              eth0 0018A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n";
                format!("{head}{}", if up { routes } else { "" })
            }
            "/proc/net/fib_trie" => {
                let ours = format!("  |-- {}\n     /32 host LOCAL\n", self.address);
                let ours = if up { ours } else { String::new() };
                format!("Local:\n  |-- 127.0.0.1\n     /32 host LOCAL\n{ours}")
            }
            "/run/systemd/timesync/synchronized" if self.synchronises => String::new(),
            path if path.starts_with("/var/lib/rancher/k3s/server/tls/") => {
                (self.k3s_age()? >= Duration::from_secs(2)).then(|| "PEM".to_owned())?
            }
            _ => return None,
        })
    }

    fn systemctl(&mut self, args: &[&str]) -> Result<String, i32> {
        match args {
            ["enable", "--no-reload", unit] => {
                self.effects.push(format!("enable {unit}"));
                self.disk.link(&format!("{WANTS}/{unit}"), &format!("/etc/systemd/system/{unit}"));
                Ok(String::new())
            }
            ["start", "--no-block", unit] => {
                self.effects.push(format!("start {unit}"));
                self.k3s_at.get_or_insert(self.uptime);
                Ok(String::new())
            }
            ["stop", unit] => {
                self.effects.push(format!("stop {unit}"));
                self.k3s_at = None;
                Ok(String::new())
            }
            ["reset-failed", _] => Err(1),
            ["show", "--property=ActiveState,SubState,Job", _] => Ok(match self.k3s_at {
                Some(_) => "ActiveState=activating\nSubState=start\n".into(),
                None => "ActiveState=inactive\nSubState=dead\n".into(),
            }),
            ["show", "--property=NRestarts", _] => {
                let age = self.uptime.saturating_sub(self.k3s_at.unwrap_or(self.uptime));
                let restarts = if self.k3s_dies { age.as_secs() / 6 } else { 0 };
                Ok(format!("NRestarts={restarts}\n"))
            }
            _ => panic!("the fake knows no systemctl {args:?}"),
        }
    }
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Sys for Fake {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.tick();
        let world = self.world.borrow();
        match world.made_up(path.to_str().unwrap()) {
            Some(text) => Ok(text.into_bytes()),
            None => world.disk.read(path),
        }
    }

    fn read_head(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        self.tick();
        let mut bytes = self.world.borrow().disk.read(path)?;
        bytes.truncate(limit);
        Ok(bytes)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.tick();
        self.world.borrow().disk.list(path)
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        self.tick();
        self.world.borrow().disk.read_link(path)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.tick();
        let world = self.world.borrow();
        let timesync = if world.synchronises { "/run/systemd/timesync" } else { "/" };
        let dirs = ["/", "/boot/firmware", "/sys/class/net/eth0", timesync];
        let is_dir = dirs.iter().any(|dir| Path::new(dir) == path);
        let device = (179, 2);
        if is_dir || world.made_up(path.to_str().unwrap()).is_some() {
            return Ok(Stat { len: 0, mode: 0o755, is_dir, device });
        }
        if world.disk.is_dir(path) {
            return Ok(Stat { len: 0, mode: 0o755, is_dir: true, device });
        }
        let len = world.disk.read(path)?.len() as u64;
        Ok(Stat { len, mode: world.disk.mode(path)?, is_dir, device })
    }

    fn space(&self, _: &Path) -> io::Result<Space> {
        self.tick();
        Ok(self.world.borrow().space)
    }

    fn create(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        self.tick_write();
        self.world.borrow_mut().disk.create(path, &bytes[..bytes.len() / 2], mode)?;
        self.tick_write();
        self.world.borrow_mut().disk.create(path, bytes, mode)
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.tick_write();
        let world = &mut *self.world.borrow_mut();
        if path == Path::new("/proc/sys/kernel/hostname") {
            world.hostname = String::from_utf8_lossy(bytes).trim().to_owned();
            return Ok(());
        }
        if let (Ok(file), Some(led)) = (path.strip_prefix("/sys/class/leds/led0"), &mut world.led) {
            led.write(file.to_str().unwrap(), std::str::from_utf8(bytes).unwrap());
            return Ok(());
        }
        world.disk.overwrite(path, bytes)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.tick_write();
        self.world.borrow_mut().disk.sync_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.tick_write();
        self.world.borrow_mut().disk.sync_dir(path);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.tick_write();
        self.world.borrow_mut().disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.tick_write();
        self.world.borrow_mut().disk.remove(path)
    }

    fn remove_tree(&self, path: &Path) -> io::Result<()> {
        self.tick_write();
        if !self.world.borrow().disk.is_dir(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        while self.world.borrow_mut().disk.remove_one(path) {
            self.tick_write();
        }
        Ok(())
    }

    fn make_dirs(&self, _: &Path, _: u32) -> io::Result<()> {
        self.tick();
        Ok(())
    }

    fn lock(&self, _: &Path) -> io::Result<bool> {
        self.tick();
        Ok(!self.world.borrow().locked_elsewhere)
    }

    fn run(&self, command: &Command) -> Result<String, CommandError> {
        self.tick();
        let answers = [Self::package_program, Self::database_program];
        if let Some(answer) = answers.iter().find_map(|answer| answer(self, command)) {
            return answer;
        }
        let world = &mut *self.world.borrow_mut();
        let args: Vec<&str> = command.args.iter().map(String::as_str).collect();
        let failed = |code: i32| CommandError::Failed {
            line: command.line(),
            status: format!("exit status: {code}"),
            code: Some(code),
            stdout: String::new(),
            stderr: None,
        };
        match command.program {
            "systemctl" => world.systemctl(&args).map_err(failed),
            "swapoff" => {
                world.effects.push("swapoff".into());
                world.swap = false;
                Ok(String::new())
            }
            "timedatectl" => Ok("NTPSynchronized=no\n".into()),
            "arping" if world.arping_answers => Err(failed(1)),
            "arping" => Ok(String::new()),
            "journalctl" if world.k3s_dies => {
                Ok("time=\"x\" level=fatal msg=\"starting kubernetes: disk is on fire\"\n".into())
            }
            "journalctl" => Ok(String::new()),
            other => panic!("the fake has no {other}"),
        }
    }

    fn now(&self) -> Duration {
        self.tick();
        self.world.borrow().clock
    }

    fn set_clock(&self, to: Duration) -> io::Result<()> {
        self.tick();
        let world = &mut *self.world.borrow_mut();
        if !world.clock_can_be_set {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        world.clock = to;
        Ok(())
    }

    fn uptime(&self) -> Duration {
        self.tick();
        self.world.borrow().uptime
    }

    fn sleep(&self, time: Duration) {
        self.tick();
        self.pass(time);
    }

    fn https(&self, request: &HttpsRequest) -> Result<HttpsReply, HttpsError> {
        self.tick();
        let world = self.world.borrow();
        let age = world.k3s_age().ok_or(HttpsError::Unreachable("refused".into()))?.as_secs();
        if world.clock.as_secs() < FLOOR {
            return Err(HttpsError::Untimely("not valid yet".into()));
        }
        let reply = |status, body: &str| Ok(HttpsReply { status, body: body.into() });
        assert_eq!(request.address.to_string(), "127.0.0.1:6443");
        assert_eq!(request.method, Method::Get);
        match request.path.as_str() {
            "/ping" if age < 4 => reply(503, "starting"),
            "/ping" => reply(200, "pong"),
            "/readyz" if request.client.is_none() => reply(401, ""),
            "/readyz" if age < 5 => reply(500, "etcd is not ready"),
            "/readyz" => reply(200, "ok"),
            "/api/v1/nodes/node1" if request.client.is_none() => reply(401, ""),
            "/api/v1/nodes/node1" if age < 6 => reply(404, "{}"),
            "/api/v1/nodes/node1" => {
                let status = if age < 9 { "False" } else { "True" };
                let ready = format!(r#"{{"type":"Ready","status":"{status}"}}"#);
                reply(
                    200,
                    &format!(
                        r#"{{"metadata":{{"name":"node1"}},"status":{{"conditions":[{ready}]}}}}"#
                    ),
                )
            }
            other => panic!("the fake serves no {other}"),
        }
    }

    fn connect(&self, _: &str, _: Duration) -> io::Result<()> {
        self.tick();
        match self.world.borrow().postgres.listens() {
            true => Ok(()),
            false => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }

    fn say(&self, priority: Priority, line: &str) {
        self.tick();
        self.world.borrow_mut().said.push((priority, line.to_owned()));
    }

    fn notify(&self, state: &str) {
        self.tick();
        self.world.borrow_mut().notified.push(state.to_owned());
    }
}
