//! The systemd units and the exit statuses agree, on every systemd from Buster's on.

use std::collections::BTreeMap;

use firstboot::exit::Exit;
use firstboot::{SERVERS_UNIT, UNIT, WITNESS_UNIT};
use nodeconf::paths;

fn settings(unit: &'static str) -> BTreeMap<&'static str, &'static str> {
    unit.lines()
        .filter(|line| !line.starts_with(['#', '[']))
        .filter_map(|line| line.split_once('='))
        .collect()
}

fn never_restarted(settings: &BTreeMap<&str, &str>) -> Vec<u8> {
    let statuses = settings["RestartPreventExitStatus"].split_whitespace();
    statuses.map(|status| status.parse().unwrap()).collect()
}

#[test]
fn restarts_follow_the_exit_statuses() {
    let settings = settings(UNIT);
    let never = never_restarted(&settings);
    for exit in [Exit::Broken, Exit::ConfigWrong] {
        assert!(never.contains(&(exit as u8)), "{exit:?} must not be run again");
    }
    // on-failure: every status but 0, unless prevented (systemd.service(5)).
    assert_eq!(settings["Restart"], "on-failure");
    assert!(!never.contains(&(Exit::TryAgain as u8)));
    assert_eq!(Exit::Converged as u8, 0);
    assert!(!settings.contains_key("SuccessExitStatus"));
}

/// It never ends well: whatever ends it, it is started again, unless a person must act.
#[test]
fn the_witness_and_the_keeper_of_servers_come_back() {
    for unit in [WITNESS_UNIT, SERVERS_UNIT] {
        let settings = settings(unit);
        assert_eq!(settings["Restart"], "always");
        assert_eq!(never_restarted(&settings), [Exit::ConfigWrong as u8]);
    }
}

#[test]
fn a_board_is_never_given_up() {
    for unit in [UNIT, WITNESS_UNIT, SERVERS_UNIT] {
        assert_eq!(settings(unit)["StartLimitIntervalSec"], "0");
    }
}

/// For what they start too; the program itself cannot be dumped at all (`witness/private.rs`).
#[test]
fn nothing_of_theirs_is_dumped() {
    for unit in [UNIT, WITNESS_UNIT, SERVERS_UNIT] {
        assert_eq!(settings(unit)["LimitCORE"], "0");
    }
}

#[test]
fn the_oldest_systemd_understands_them() {
    for unit in [UNIT, WITNESS_UNIT, SERVERS_UNIT] {
        let settings = settings(unit);
        // Restart= with Type=oneshot came in 244; Buster has 241. Type=exec came in 240.
        assert_eq!(settings["Type"], "exec");
        // Settings newer than 241 would be ignored there with a warning at every boot.
        for newer in ["RestrictSUIDSGID", "ProtectClock", "ProtectProc", "ProtectKernelLogs"] {
            assert!(!settings.contains_key(newer), "{newer}");
        }
    }
}

#[test]
fn they_run_the_binary_where_bake_puts_it() {
    for (unit, verb) in [(UNIT, "run"), (WITNESS_UNIT, "witness"), (SERVERS_UNIT, "servers")] {
        let line = format!("{} {verb}", paths::FIRSTBOOT);
        assert_eq!(settings(unit)["ExecStart"], line);
    }
}

/// A list of allowed system calls would refuse those that a systemd older than the C library does
/// not know, and with the wrong error; a list of refused ones does not.
#[test]
fn the_witness_may_write_its_state_and_nothing_else() {
    let settings = settings(WITNESS_UNIT);
    assert_eq!(settings["ProtectSystem"], "strict");
    assert_eq!(settings["ReadWritePaths"], paths::STATE_DIR);
    assert_eq!(format!("/run/{}", settings["RuntimeDirectory"]), paths::RUNTIME_DIR);
    assert_eq!(settings["RuntimeDirectoryPreserve"], "yes", "firstboot's lock lies there too");
    assert!(settings["SystemCallFilter"].starts_with('~'));
}

/// It is up before firstboot asks it, and nothing else waits for it or is waited for.
#[test]
fn the_witness_does_not_delay_the_boot() {
    let settings = settings(WITNESS_UNIT);
    assert_eq!(settings["Before"], paths::FIRSTBOOT_UNIT);
    assert_eq!(settings["After"], "local-fs.target");
    for waiting in ["Requires", "Wants", "Requisite", "BindsTo"] {
        assert!(!settings.contains_key(waiting), "{waiting}");
    }
}

/// systemd's own opinion, where the machine has it.
#[test]
fn systemd_verifies_them() {
    let dir = tempfile::tempdir().unwrap();
    let binary = dir.path().join("firstboot");
    std::fs::write(&binary, "#!/bin/sh\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&binary, mode).unwrap();
    for (name, unit) in [
        (paths::FIRSTBOOT_UNIT, UNIT),
        (paths::WITNESS_UNIT, WITNESS_UNIT),
        (paths::SERVERS_UNIT, SERVERS_UNIT),
    ] {
        let file = dir.path().join(name);
        std::fs::write(&file, unit.replace(paths::FIRSTBOOT, binary.to_str().unwrap())).unwrap();
        let out = std::process::Command::new("systemd-analyze")
            .args(["verify", "--man=no", "--recursive-errors=no"])
            .arg(&file)
            .output()
            .expect("systemd-analyze is in package systemd");
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && said.is_empty(), "{said}");
    }
}
