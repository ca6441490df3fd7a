//! Who else answers for the shared address, with real machines, ARP and arping: network namespaces
//! on a bridge, below a user namespace of its own.

mod below;

use std::fs;
use std::process::{Child, Command, Stdio};

use below::Board;
use firstboot::finding::Finding;
use nodeconf::paths;

const INSIDE: &str = "BAKE_TEST_IN_NAMESPACE";

/// The services run; arping is the real one.
const SYSTEMCTL_DOUBLE: &str = "#!/bin/sh\necho ActiveState=active\n";
const ARPING: &str = "#!/bin/sh\nexec arping \"$@\"\n";

fn sh(script: &str) {
    let out = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(out.status.success(), "{script}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Another machine on the network.
struct Machine(Child);

impl Machine {
    fn new(number: u8) -> Self {
        let mut sleep = Command::new("unshare");
        sleep.args(["--net", "sleep", "600"]).stdin(Stdio::null());
        let machine = Self(sleep.spawn().unwrap());
        let pid = machine.0.id();
        // Its namespace is there once the program in it runs.
        sh(&format!(
            "until [ \"$(cat /proc/{pid}/comm)\" = sleep ]; do sleep 0.01; done\n\
             ip link add port{number} type veth peer name eth0 netns {pid}\n\
             ip link set port{number} master eth0 up"
        ));
        machine.run(&format!("ip link set eth0 address 02:00:00:00:00:{number} up"));
        machine.run(&format!("ip address add 192.168.24.{number}/24 dev eth0"));
        machine
    }

    fn run(&self, script: &str) {
        sh(&format!("nsenter --net=/proc/{}/ns/net sh -ec '{script}'", self.0.id()));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Both services run.
fn board() -> Board {
    let board = Board::new();
    board.write(paths::HAPROXY_CONFIG, "# Written by bake\n");
    board.write(paths::KEEPALIVED_CONFIG, "# Written by bake\n");
    board.program("systemctl", SYSTEMCTL_DOUBLE);
    board.program("arping", ARPING);
    let wants = board.at("/etc/systemd/system/multi-user.target.wants");
    fs::create_dir_all(&wants).unwrap();
    for unit in ["haproxy.service", "keepalived.service"] {
        std::os::unix::fs::symlink("/lib", wants.join(unit)).unwrap();
    }
    board
}

fn finds_nobody(board: &Board, who: &str) {
    assert_eq!(board.check(), Finding::Met, "{who}");
}

fn finds(board: &Board, hardware: &str, who: &str) {
    match board.check() {
        Finding::Blocked(condition) => {
            assert!(condition.what.contains(hardware), "{who}: {condition:?}");
        }
        other => panic!("{who}: {other:?}"),
    }
}

#[test]
fn only_a_stranger_is_taken_for_one() {
    if std::env::var_os(INSIDE).is_none() {
        let mut inside = Command::new("unshare");
        inside.args(["--map-root-user", "--net"]).arg(std::env::current_exe().unwrap());
        inside
            .args(["--exact", "only_a_stranger_is_taken_for_one", "--nocapture"])
            .env(INSIDE, "1");
        let out = inside.output().unwrap();
        let said = [out.stdout, out.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(out.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    sh("ip link set lo up; ip link add eth0 type bridge forward_delay 0; ip link set eth0 up\n\
        ip address add 192.168.24.11/24 dev eth0");
    let (node2, _node3) = (Machine::new(12), Machine::new(13));
    let board = board();
    finds_nobody(&board, "nobody has it");
    node2.run("ip address add 192.168.24.40/32 dev eth0");
    finds_nobody(&board, "another server has it");
    // Both answer; who is first is chance.
    let stranger = Machine::new(99);
    stranger.run("ip address add 192.168.24.40/32 dev eth0");
    finds(&board, "02:00:00:00:00:99", "a server and a stranger have it");
    node2.run("ip address del 192.168.24.40/32 dev eth0");
    finds(&board, "02:00:00:00:00:99", "a stranger has it");
    drop(stranger);
    // A router that answers for everybody: it has no address of its own in the way.
    let router = Machine::new(77);
    router.run(
        "ip link add other type bridge; ip link set other up; ip route flush dev eth0; \
         ip route add 192.168.24.0/24 dev other; echo 1 >/proc/sys/net/ipv4/conf/eth0/proxy_arp; \
         echo 0 >/proc/sys/net/ipv4/neigh/eth0/proxy_delay",
    );
    finds_nobody(&board, "a router answers for everybody");
    node2.run("ip address add 192.168.24.40/32 dev eth0");
    finds_nobody(&board, "a server has it, and a router answers for everybody");
}
