//! The step `vip` below a directory that stands for a board; systemctl, haproxy, keepalived and
//! arping are doubles made of a few lines of shell.

mod below;

use std::fs;

use below::Board;
use firstboot::finding::Finding;
use nodeconf::paths;

/// A unit runs while there is a file of its name in `run/active`.
const SYSTEMCTL_DOUBLE: &str = r#"#!/bin/sh
set -eu
mkdir -p "$BAKE_ROOT/run/active" "$BAKE_ROOT/etc/systemd/system/multi-user.target.wants"
for unit; do :; done
echo "$*" >>"$BAKE_ROOT/run/systemctl.log"
case $1 in
enable) ln -sf "/lib/systemd/system/$unit" "$BAKE_ROOT/etc/systemd/system/multi-user.target.wants/$unit" ;;
start) touch "$BAKE_ROOT/run/active/$unit" ;;
show) if [ -e "$BAKE_ROOT/run/active/$unit" ]; then echo ActiveState=active; else echo ActiveState=failed; fi ;;
reset-failed) exit 1 ;;
esac
"#;

/// Judges a configuration by the word `nonsense` in it.
const JUDGE_DOUBLE: &str = r#"#!/bin/sh
for file; do :; done
! grep -n nonsense "$BAKE_ROOT$file" >&2
"#;

/// Answers for the address in the last argument with what `run/arp/ADDRESS` holds.
const ARPING_DOUBLE: &str = r#"#!/bin/sh
for address; do :; done
mac=$(cat "$BAKE_ROOT/run/arp/$address" 2>/dev/null) || exit 1
echo "Unicast reply from $address [$mac]  0.5ms"
"#;

/// With both packages installed and started, as dpkg leaves them.
fn board() -> Board {
    let board = Board::new();
    for (program, text) in [
        ("systemctl", SYSTEMCTL_DOUBLE),
        ("haproxy", JUDGE_DOUBLE),
        ("keepalived", JUDGE_DOUBLE),
        ("arping", ARPING_DOUBLE),
    ] {
        board.program(program, text);
    }
    board.write(paths::HAPROXY_CONFIG, "# Written by bake: x\nglobal\n");
    board.write(paths::KEEPALIVED_CONFIG, "# Written by bake: x\nglobal_defs {\n}\n");
    board
}

fn answers(board: &Board, address: &str, mac: &str) {
    board.write(&format!("/run/arp/{address}"), mac);
}

fn runs(board: &Board) {
    board.apply().unwrap();
    assert_eq!(board.check(), Finding::Met);
}

fn says(finding: &Finding, part: &str) {
    let condition = finding.condition().unwrap_or_else(|| panic!("{part}: nothing is found"));
    assert!(condition.what.contains(part), "{condition:?}");
    assert!(!condition.remedy.is_empty());
}

#[test]
fn both_services_are_enabled_and_started_once() {
    let board = board();
    assert!(matches!(board.check(), Finding::Unmet(_)));
    runs(&board);
    let log = || fs::read_to_string(board.at("/run/systemctl.log")).unwrap();
    for unit in ["haproxy.service", "keepalived.service"] {
        assert!(log().contains(&format!("enable --no-reload {unit}\n")), "{}", log());
        assert!(log().contains(&format!("start --no-block {unit}\n")), "{}", log());
    }
    let starts = log().matches("start ").count();
    runs(&board);
    assert_eq!(log().matches("start ").count(), starts, "what runs is left alone");
    fs::remove_file(board.at("/run/active/keepalived.service")).unwrap();
    says(&board.check(), "keepalived.service is failed");
    runs(&board);
}

#[test]
fn what_the_programs_say_of_their_configuration_is_shown_and_heals() {
    for (file, program) in
        [(paths::HAPROXY_CONFIG, "haproxy"), (paths::KEEPALIVED_CONFIG, "keepalived")]
    {
        let board = board();
        let good = fs::read_to_string(board.at(file)).unwrap();
        board.write(file, &format!("{good}nonsense 4\n"));
        let condition = board.apply().unwrap_err();
        assert!(condition.what.starts_with(&format!("{program} refuses {file}")), "{condition:?}");
        assert!(condition.what.ends_with(":nonsense 4"), "{condition:?}");
        board.write(file, &good);
        runs(&board);
    }
}

#[test]
fn a_program_that_is_not_installed_is_named() {
    let board = board();
    fs::remove_file(board.at("/usr/sbin/haproxy")).unwrap();
    assert_eq!(board.apply().unwrap_err().what, "haproxy is not installed");
    board.program("haproxy", JUDGE_DOUBLE);
    runs(&board);
}

#[test]
fn a_configuration_that_dpkg_replaced_is_not_taken_for_ours() {
    let board = board();
    runs(&board);
    let ours = fs::read_to_string(board.at(paths::HAPROXY_CONFIG)).unwrap();
    board.write(paths::HAPROXY_CONFIG, "global\n\tlog /dev/log local0\n");
    assert!(matches!(board.check(), Finding::Blocked(_)));
    says(&board.check(), "is not the one that was baked");
    board.write(paths::HAPROXY_CONFIG, &ours);
    assert_eq!(board.check(), Finding::Met);
    fs::remove_file(board.at(paths::KEEPALIVED_CONFIG)).unwrap();
    assert!(matches!(board.check(), Finding::Wrong(_)));
}

#[test]
fn only_a_stranger_with_the_address_is_in_the_way() {
    let board = board();
    runs(&board);
    answers(&board, "192.168.24.12", "02:00:00:00:00:12");
    answers(&board, "192.168.24.40", "02:00:00:00:00:12");
    assert_eq!(board.check(), Finding::Met, "another server holds it");
    answers(&board, "192.168.24.40", "b8:27:EB:00:00:01");
    assert!(matches!(board.check(), Finding::Blocked(_)));
    says(&board.check(), "192.168.24.40 is used by another machine (b8:27:eb:00:00:01)");
    fs::remove_file(board.at("/run/arp/192.168.24.40")).unwrap();
    assert_eq!(board.check(), Finding::Met);
    fs::remove_file(board.at("/usr/sbin/arping")).unwrap();
    assert_eq!(board.check(), Finding::Met, "nobody can ask");
}
