//! The systemd unit and the exit statuses agree, on every systemd from Buster's on.

use std::collections::BTreeMap;

use firstboot::UNIT;
use firstboot::exit::Exit;

fn settings() -> BTreeMap<&'static str, &'static str> {
    UNIT.lines()
        .filter(|line| !line.starts_with(['#', '[']))
        .filter_map(|line| line.split_once('='))
        .collect()
}

#[test]
fn restarts_follow_the_exit_statuses() {
    let settings = settings();
    let never: Vec<u8> = settings["RestartPreventExitStatus"]
        .split_whitespace()
        .map(|status| status.parse().unwrap())
        .collect();
    for exit in [Exit::Broken, Exit::ConfigWrong] {
        assert!(never.contains(&(exit as u8)), "{exit:?} must not be run again");
    }
    // on-failure: every status but 0, unless prevented (systemd.service(5)).
    assert_eq!(settings["Restart"], "on-failure");
    assert!(!never.contains(&(Exit::TryAgain as u8)));
    assert_eq!(Exit::Converged as u8, 0);
    assert!(!settings.contains_key("SuccessExitStatus"));
}

#[test]
fn a_board_is_never_given_up() {
    assert_eq!(settings()["StartLimitIntervalSec"], "0");
}

#[test]
fn the_oldest_systemd_understands_it() {
    let settings = settings();
    // Restart= with Type=oneshot came in 244; Buster has 241. Type=exec came in 240.
    assert_eq!(settings["Type"], "exec");
    // Settings newer than 241 would be ignored there with a warning at every boot.
    for newer in ["RestrictSUIDSGID", "ProtectClock", "ProtectProc", "ProtectKernelLogs"] {
        assert!(!settings.contains_key(newer), "{newer}");
    }
}

#[test]
fn it_runs_the_binary_where_bake_puts_it() {
    let line = format!("{} run", nodeconf::paths::FIRSTBOOT);
    assert_eq!(settings()["ExecStart"], line);
}

/// systemd's own opinion, where the machine has it.
#[test]
fn systemd_verifies_it() {
    let dir = tempfile::tempdir().unwrap();
    let binary = dir.path().join("firstboot");
    std::fs::write(&binary, "#!/bin/sh\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&binary, mode).unwrap();
    let file = dir.path().join(nodeconf::paths::FIRSTBOOT_UNIT);
    let unit = UNIT.replace(nodeconf::paths::FIRSTBOOT, binary.to_str().unwrap());
    std::fs::write(&file, unit).unwrap();
    let out = std::process::Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .arg(&file)
        .output()
        .expect("systemd-analyze is in package systemd");
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && said.is_empty(), "{said}");
}
