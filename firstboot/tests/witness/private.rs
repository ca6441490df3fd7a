//! What the witness has in memory, its key above all, stays there when it is killed.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use super::node::Node;

/// The same program, started where cores may be as large as they like.
fn with_cores(plain: &Command, folder: &std::path::Path) -> Command {
    // Who runs the tests in the background has them ignore SIGQUIT.
    let mut command = Command::new("env");
    command.args(["--default-signal", "sh", "-c", r#"ulimit -c unlimited; exec "$@""#, "sh"]);
    command.arg(plain.get_program()).args(plain.get_args()).current_dir(folder);
    command
}

/// Whether this machine dumps anything at all.
fn dumps(folder: &std::path::Path) -> bool {
    let mut abort = Command::new("sh");
    abort.args(["-c", "kill -ABRT $$"]);
    let ended = with_cores(&abort, folder).stderr(Stdio::null()).status().unwrap();
    assert_eq!(ended.signal(), Some(6));
    ended.core_dumped()
}

#[test]
fn it_leaves_no_core() {
    let folder = tempfile::tempdir().unwrap();
    if !dumps(folder.path()) {
        eprintln!("this machine dumps no cores: only the limits are looked at");
    }
    let cores = || std::fs::read_dir(folder.path()).unwrap().count();
    let before = cores();
    for signal in ["ABRT", "QUIT"] {
        let mut node = Node::baked();
        let mut command = with_cores(&node.command(), folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        node.start_as(command);
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", node.pid())).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
        // The limit binds no program that the kernel would give a core to, so it is not all that
        // there must be; raising it takes a privilege that not every root has.
        let pid = node.pid().to_string();
        let raise = ["--pid", &pid, "--core=unlimited:unlimited"];
        Command::new("prlimit").args(raise).stderr(Stdio::null()).status().unwrap();
        let ended = node.end(signal);
        assert!(ended.signal().is_some() && !ended.core_dumped(), "{signal}: {ended}");
        assert_eq!(cores(), before, "{signal}");
    }
}
