//! `bake secrets`, as people and scripts use it; age's own program judges what is written.

mod support;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use support::terminal::asked;

const PROFILE: &str = "\
version: 1
cluster: {name: edge, topology: external-datastore, vip: {address: 192.168.24.40, provider: kube-vip}}
image: ./base.img
k3s: {version: v1.36.5+k3s1, airgap: false}
network: {interface: eth0, prefix: 24, gateway: 192.168.24.1}
nodes:
  - {name: node1, role: server, address: 192.168.24.11}
  - {name: node2, role: server, address: 192.168.24.12}
  - {name: db1, role: database, address: 192.168.24.21}
  - {name: worker1, role: agent, address: 192.168.24.31}
";

struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(desk.path("edge.yaml"), PROFILE).unwrap();
        fs::write(desk.path("base.img"), "").unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bake"));
        let (first, rest) = arguments.split_at(arguments.len().min(2));
        command.args(first).args(["--profile", "./edge.yaml"]).args(rest).current_dir(&self.dir);
        command.env_remove("BAKE_AGE_IDENTITY").env_remove("BAKE_PASSPHRASE");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().unwrap()
    }

    fn done(&self, arguments: &[&str]) -> String {
        let out = self.run(arguments);
        assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    /// Exit status and what was said.
    fn refused(&self, arguments: &[&str]) -> (i32, String) {
        let out = self.run(arguments);
        let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
        assert!(!out.status.success(), "{arguments:?} was done: {said}");
        (out.status.code().unwrap(), said)
    }

    fn file(&self) -> String {
        fs::read_to_string(self.path("edge.secrets.json")).unwrap()
    }

    /// A key of age's own making; its recipient.
    fn key(&self, name: &str) -> String {
        let made = Command::new("age-keygen").arg("-o").arg(self.path(name)).output();
        assert!(made.expect("age-keygen (ci/install-deps installs it)").status.success());
        let text = fs::read_to_string(self.path(name)).unwrap();
        text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned()
    }

    fn age(&self, arguments: &[&str]) -> String {
        let out = Command::new("age").args(arguments).current_dir(&self.dir).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }
}

const SEALED: &str = "-----BEGIN AGE ENCRYPTED FILE-----";

#[test]
fn secrets_that_were_never_clear_text_are_used_and_read_by_age() {
    let desk = Desk::new();
    let (mine, other) = (desk.key("key.txt"), desk.key("other.txt"));
    let said = desk.done(&["secrets", "encrypt", "--recipient", &mine]);
    assert!(said.contains("new, encrypted for age1"), "{said}");
    assert!(desk.file().starts_with(SEALED));
    let (code, said) = desk.refused(&["secrets", "show"]);
    assert!(code == 2 && said.contains("--identity"), "{said}");
    let (code, said) = desk.refused(&["secrets", "show", "--identity", "other.txt"]);
    assert!(code == 2 && said.contains("none of the identities"), "{said}");
    // Every verb that needs the secrets opens them.
    desk.done(&["kubeconfig", "--identity=key.txt"]);
    assert!(desk.path("edge.kubeconfig").exists() && desk.file().starts_with(SEALED));
    let clear = desk.age(&["-d", "-i", "key.txt", "edge.secrets.json"]);
    let read: serde_json::Value = serde_json::from_str(&clear).unwrap();
    assert_eq!(read["recipients"], serde_json::json!([mine]));
    // Another recipient instead: the first one's key opens it no more.
    desk.done(&["secrets", "encrypt", "-r", &other, "--identity", "key.txt"]);
    desk.refused(&["secrets", "show", "--identity", "key.txt"]);
    let mut by_variable = desk.command(&["secrets", "show", "--json"]);
    let shown = by_variable.env("BAKE_AGE_IDENTITY", "other.txt").output().unwrap();
    assert!(shown.status.success());
    let before = fs::metadata(desk.path("edge.secrets.json")).unwrap();
    assert_eq!(before.permissions().mode() & 0o777, 0o600);
    desk.done(&["secrets", "decrypt", "--identity", "other.txt"]);
    let after: serde_json::Value = serde_json::from_str(&desk.file()).unwrap();
    assert_eq!(after["server_token"], read["server_token"]);
    let out = desk.run(&["secrets", "encrypt", "-r", &mine]);
    let warned = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success() && warned.contains("may still have the clear text"), "{warned}");
    let (code, said) = desk.refused(&["secrets", "encrypt", "-r", "age1nonsense"]);
    assert!(code == 2 && said.contains("is no recipient") || said.contains("--identity"), "{said}");
}

#[test]
fn passphrases_come_from_a_file_the_environment_or_a_terminal() {
    let desk = Desk::new();
    let with = |arguments: &[&str], input: &str| {
        let mut command = desk.command(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let made =
        with(&["secrets", "encrypt", "--passphrase", "--passphrase-fd", "0"], "correct horse\n");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(desk.file().starts_with(SEALED));
    let shown = with(&["secrets", "show", "--passphrase-fd", "0"], "correct horse\n");
    assert!(String::from_utf8_lossy(&shown.stdout).contains("encrypted with a passphrase"));
    let wrong = with(&["secrets", "show", "--passphrase-fd", "0"], "wrong pony\n");
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(wrong.status.code() == Some(2) && said.contains("wrong passphrase"), "{said}");
    assert!(!said.contains("wrong pony"));
    let variable =
        desk.command(&["secrets", "show"]).env("BAKE_PASSPHRASE", "correct horse").output();
    assert!(variable.unwrap().status.success());
    // A terminal of its own, whose echo is what `script` records.
    let ask = format!("{} secrets show --profile ./edge.yaml", env!("CARGO_BIN_EXE_bake"));
    let mut script = Command::new("script");
    script.current_dir(&desk.dir).env_remove("BAKE_PASSPHRASE");
    let (done, seen) = asked(script, &ask, "edge.secrets.json: ", "correct horse");
    assert!(done && seen.contains("passphrase of secrets file"), "{seen}");
    assert!(
        seen.contains("encrypted with a passphrase") && !seen.contains("correct horse"),
        "{seen}"
    );
}

#[test]
fn what_is_shown_and_exported_is_what_was_asked_for() {
    let desk = Desk::new();
    desk.done(&["kubeconfig"]);
    let token = serde_json::from_str::<serde_json::Value>(&desk.file()).unwrap()["agent_token"]
        .as_str()
        .unwrap()
        .to_owned();
    for arguments in [&["secrets", "show"][..], &["secrets", "show", "--redacted", "--json"]] {
        let said = desk.done(arguments);
        assert!(
            said.contains("node1") && !said.contains(&token) && !said.contains("PRIVATE"),
            "{said}"
        );
    }
    // Neither a file that others can read nor a terminal gets them by way of standard output.
    let export = ["secrets", "export", "--out", "-"];
    let certificate = ["--only", "pki.k3s.server.certificate"];
    for (mode, may) in [(0o644, false), (0o640, false), (0o600, true)] {
        let path = desk.path("out");
        let file = fs::File::create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        for arguments in [&export[..], &["secrets", "show", "--reveal=always"]] {
            let to = file.try_clone().unwrap();
            let out = desk.command(arguments).stdin(Stdio::null()).stdout(to).output().unwrap();
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            let written = fs::read_to_string(&path).unwrap().contains(&token);
            assert_eq!(
                (out.status.success(), written),
                (may, may),
                "{mode:o} {arguments:?}: {said}"
            );
            assert!(may || said.contains("others can read"), "{said}");
        }
    }
    let terminal = |arguments: &[&str]| {
        let bake = env!("CARGO_BIN_EXE_bake");
        let line = format!("{bake} {} --profile ./edge.yaml", arguments.join(" "));
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).current_dir(&desk.dir).stdin(Stdio::null());
        String::from_utf8_lossy(&script.output().unwrap().stdout).into_owned()
    };
    let said = terminal(&export);
    assert!(said.contains("is a terminal") && !said.contains(&token), "{said}");
    let said = terminal(&[&export[..], &certificate[..]].concat());
    assert!(said.contains("BEGIN CERTIFICATE"), "what is no secret is shown: {said}");
    assert!(terminal(&["secrets", "show", "--reveal"]).contains(&token));
    let (code, said) = desk.refused(&["secrets", "show", "--reveal"]);
    assert!(code == 4 && !said.contains(&token), "{said}");
    assert!(desk.done(&["secrets", "show", "--reveal=always"]).contains(&token));
    desk.done(&["secrets", "export", "--only", "agent_token", "--out", "token"]);
    assert_eq!(fs::read_to_string(desk.path("token")).unwrap(), format!("{token}\n"));
    assert_eq!(fs::metadata(desk.path("token")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        desk.refused(&["secrets", "export", "--only", "agent_token", "--out", "token"]).0,
        4
    );
    assert_eq!(desk.refused(&["secrets", "export", "--only", "agent", "--out", "x"]).0, 2);
    let mine = desk.key("key.txt");
    desk.done(&["secrets", "export", "--out", "backup.age", "-r", &mine]);
    assert_eq!(desk.age(&["-d", "-i", "key.txt", "backup.age"]), desk.file());
    desk.done(&["secrets", "export", "--out", "backup.json"]);
    assert_eq!(fs::read_to_string(desk.path("backup.json")).unwrap(), desk.file());
}

#[test]
fn a_rotation_is_finished_or_given_up_and_never_half_done() {
    let desk = Desk::new();
    desk.done(&["kubeconfig"]);
    let tokens = || {
        let all: serde_json::Value = serde_json::from_str(&desk.file()).unwrap();
        let text = |key: &str| all[key].as_str().unwrap().to_owned();
        [text("server_token"), text("agent_token"), text("database_password")]
    };
    let before = tokens();
    let said = desk.done(&["secrets", "rotate", "tokens", "--files", "new"]);
    let order = ["sh node1/apply.sh", "sh node2/apply.sh", "sh worker1/apply.sh", "--finish"];
    let places = order.map(|step| said.find(step).unwrap_or_else(|| panic!("{step}: {said}")));
    assert!(places.is_sorted(), "{said}");
    assert!(!before.iter().any(|secret| said.contains(secret.as_str())));
    assert_eq!(tokens(), before, "the old ones count");
    let read = |path: &str| {
        let path = desk.path(path);
        let found = fs::metadata(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(found.permissions().mode() & 0o777, 0o600);
        fs::read_to_string(path).unwrap()
    };
    assert_eq!(fs::metadata(desk.path("new/node1")).unwrap().permissions().mode() & 0o777, 0o700);
    let server = read("new/node1/etc/rancher/k3s/server-token");
    let agents = read("new/node2/etc/rancher/k3s/agent-token");
    let agent = read("new/worker1/etc/rancher/k3s/agent-token");
    assert!(!desk.path("new/worker1/etc/rancher/k3s/server-token").exists());
    assert!(!desk.path("new/db1").exists(), "it has no token");
    for node in ["node1", "node2", "worker1"] {
        let script = format!("new/{node}/apply.sh");
        let text = read(&script);
        let told = text.lines().find(|line| line.starts_with("node=")).unwrap();
        assert_eq!(told.contains(" first=yes "), node == "node1", "{told}");
        for secret in [&server, &agents, &agent] {
            let secret = secret.trim().rsplit(':').next().unwrap();
            assert!(!text.contains(secret), "no script has a secret in it");
        }
        let judged = Command::new("shellcheck").arg(desk.path(&script)).output();
        let judged = judged.expect("shellcheck (ci/install-deps installs it)");
        assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));
    }
    // Begun again: the same ones, and no other rotation beside it.
    desk.done(&["secrets", "rotate", "tokens", "--files", "again"]);
    assert_eq!(read("again/node1/etc/rancher/k3s/server-token"), server);
    assert_eq!(desk.refused(&["secrets", "rotate", "tokens", "--files", "again"]).0, 4);
    assert_eq!(desk.refused(&["secrets", "rotate", "database"]).0, 4);
    assert!(desk.done(&["secrets", "show"]).contains("rotation of the tokens is under way"));
    desk.done(&["secrets", "rotate", "--finish"]);
    let after = tokens();
    assert!(server.trim().ends_with(&format!("::server:{}", after[0])), "{server}");
    assert_eq!(agents.trim(), after[1]);
    assert!(agent.trim().ends_with(&format!("::node:{}", after[1])), "{agent}");
    assert!(after[0] != before[0] && after[1] != before[1] && after[2] == before[2]);
    assert_eq!(desk.refused(&["secrets", "rotate", "--finish"]).0, 2);
    desk.done(&["secrets", "rotate", "database", "--files", "base"]);
    let environment = read("base/node2/etc/systemd/system/k3s.service.env");
    let statement = read("base/db1/rotate.sql");
    assert!(!desk.path("base/worker1").exists());
    assert!(read("base/db1/apply.sh").contains("role=database"));
    desk.done(&["secrets", "rotate", "--abandon"]);
    assert_eq!(tokens(), after);
    let password = statement.rsplit('\'').nth(1).unwrap();
    assert!(
        environment.contains(&format!(":{password}@")) && password != after[2],
        "{environment}"
    );
    for (what, reason) in [("vrrp", "no image has one"), ("cas", "depends on them")] {
        let (code, said) = desk.refused(&["secrets", "rotate", what]);
        assert!(code == 4 && said.contains(reason), "{said}");
    }
}

/// Whether bake runs as process `id`, of which its user may see neither memory nor a dump; else why
/// not.
fn cannot_be_read(id: u32) -> Result<(), String> {
    let about = PathBuf::from(format!("/proc/{id}"));
    let status = fs::read_to_string(about.join("status")).unwrap();
    if !status.contains("Uid:\t65534") || !status.contains("Name:\tbake") {
        return Err(status);
    }
    if fs::metadata(about.join("mem")).unwrap().uid() != 0 {
        return Err("its user may read its memory".into());
    }
    let limits = fs::read_to_string(about.join("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    match core.split_whitespace().collect::<Vec<_>>()[4..6] {
        ["0", "0"] => Ok(()),
        _ => Err(core.into()),
    }
}

/// A process that waits for a passphrase, run by somebody who is not root.
#[test]
fn the_process_cannot_be_read() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let desk = Desk::new();
    let mine = desk.key("key.txt");
    desk.done(&["secrets", "encrypt", "-r", &mine]);
    let sealed = desk.age(&["-d", "-i", "key.txt", "edge.secrets.json"]);
    fs::write(desk.path("edge.secrets.json"), sealed).unwrap();
    let private =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    private(&desk.path("edge.secrets.json"), 0o600);
    let mut made = desk.command(&["secrets", "encrypt", "--passphrase"]);
    assert!(made.env("BAKE_PASSPHRASE", "correct horse").status().unwrap().success());
    private(desk.dir.path(), 0o755);
    private(&desk.path("edge.secrets.json"), 0o644);
    let program = desk.path("bake");
    fs::copy(env!("CARGO_BIN_EXE_bake"), &program).unwrap();
    let mut child = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .args(["secrets", "show", "--profile", "./edge.yaml", "--passphrase-fd", "0"])
        .current_dir(&desk.dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while let Err(why) = cannot_be_read(child.id()) {
        assert!(Instant::now() < until, "{why}");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.stdin.take().unwrap().write_all(b"correct horse\n").unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// A process that has the secrets in memory, and cannot get rid of them: its reader does not read.
#[test]
fn a_killed_process_leaves_no_core() {
    let desk = Desk::new();
    desk.done(&["kubeconfig"]);
    let secrets: serde_json::Value = serde_json::from_str(&desk.file()).unwrap();
    let token = secrets["server_token"].as_str().unwrap().as_bytes().to_vec();
    let folder = desk.path("cores");
    fs::create_dir(&folder).unwrap();
    let unlimited = |words: &[&str]| {
        // Who runs the tests in the background has them ignore SIGQUIT.
        let mut command = Command::new("env");
        command.args(["--default-signal", "sh", "-c", r#"ulimit -c unlimited; exec "$@""#, "sh"]);
        command.args(words);
        command.current_dir(&folder).stderr(Stdio::null());
        command
    };
    let cores = || fs::read_dir(&folder).unwrap().count();
    // The oracle for what this machine does: without it, only that nothing is there shows.
    let control = unlimited(&["sh", "-c", "kill -ABRT $$"]).status().unwrap();
    let dumps = control.core_dumped();
    let before = cores();
    for signal in ["ABRT", "QUIT"] {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(&[b'\n'; 63 * 1024]).unwrap();
        let bake = env!("CARGO_BIN_EXE_bake");
        let profile = desk.path("edge.yaml");
        let show = ["secrets", "show", "--reveal=always", "--profile", profile.to_str().unwrap()];
        let mut child = unlimited(&[&[bake], &show[..]].concat())
            .stdin(Stdio::null())
            .stdout(writer)
            .spawn()
            .unwrap();
        let mut held = false;
        for _ in 0..300 {
            std::thread::sleep(std::time::Duration::from_millis(100));
            held = in_memory(child.id(), &token);
            if held || !rustix::process::geteuid().is_root() {
                break;
            }
        }
        assert!(held || !rustix::process::geteuid().is_root(), "it has the token in memory");
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        let ended = child.wait().unwrap();
        drop(reader);
        assert!(ended.signal().is_some() && !ended.core_dumped(), "{signal}: {ended}");
        assert_eq!(cores(), before, "{signal}, where others dump: {dumps}");
    }
}

/// Whether these bytes are in a process's writable memory; only root may look.
fn in_memory(pid: u32, bytes: &[u8]) -> bool {
    use std::os::unix::fs::FileExt;
    let Ok(maps) = fs::read_to_string(format!("/proc/{pid}/maps")) else { return false };
    let Ok(memory) = fs::File::open(format!("/proc/{pid}/mem")) else { return false };
    maps.lines().filter(|line| line.contains(" rw")).any(|line| {
        let range = line.split(' ').next().unwrap_or_default().split_once('-').unwrap_or_default();
        let number = |text| u64::from_str_radix(text, 16).unwrap_or_default();
        let (from, to) = (number(range.0), number(range.1));
        let mut text = vec![0; usize::try_from(to - from).unwrap_or_default()];
        memory.read_exact_at(&mut text, from).is_ok()
            && text.windows(bytes.len()).any(|window| window == bytes)
    })
}
