//! The step `packages` below a directory that stands for a board; dpkg is a double made of a few
//! lines of shell (`ci/testbed/packages-test` runs the step with the real one).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use firstboot::finding::{Condition, Finding};
use firstboot::machine::StepId;
use firstboot::report::Report;
use firstboot::steps::{self, Context, Memory};
use firstboot::sys::Real;
use nodeconf::{NodeConfig, Package, paths};
use sha2::{Digest, Sha256};

const CONFIG: &str = include_str!("fake/node.json");

/// A package's state and version are in `run/dpkg/NAME`; a staged file holds name and version.
const DPKG_DOUBLE: &str = r#"#!/bin/sh
set -eu
db=$BAKE_ROOT/run/dpkg
[ "$1" != --compare-versions ] || { [ "$2" = 0.9 ] && exit 0; exit 1; }
echo "$*" >>"$BAKE_ROOT/run/dpkg.log"
echo "$DEBIAN_FRONTEND $UCF_FORCE_CONFFOLD" >>"$BAKE_ROOT/run/dpkg.env"
if [ -e "$BAKE_ROOT/run/locked" ]; then
    rm "$BAKE_ROOT/run/locked"
    echo "dpkg: error: dpkg frontend lock was locked by another process with pid 7" >&2; exit 2
fi
if [ -e "$BAKE_ROOT/run/complaint" ]; then cat "$BAKE_ROOT/run/complaint" >&2; exit 1; fi
for word; do
    case $word in
    --configure) sed -i s/^unpacked/installed/ "$db"/* ;;
    /*) read -r name version <"$BAKE_ROOT$word"; echo "installed $version" >"$db/$name" ;;
    esac
done
"#;

const QUERY_DOUBLE: &str = r#"#!/bin/sh
cd "$BAKE_ROOT/run/dpkg" && for name in *; do echo "$name $(cat "$name")"; done
"#;

/// The real one, for files of the board.
const SHA256SUM: &str = r#"#!/bin/sh
shift
for file; do sha256sum "$BAKE_ROOT$file" || exit 1; done
"#;

struct Board {
    root: tempfile::TempDir,
    config: NodeConfig,
}

impl Board {
    /// With the packages `one` (batch 0), `two` and `three` (batch 1) staged.
    fn new() -> Self {
        let mut config = NodeConfig::parse(CONFIG.as_bytes()).unwrap();
        let root = tempfile::tempdir().unwrap();
        for (name, batch) in [("one", 0), ("two", 1), ("three", 1)] {
            let content = format!("{name} 1.0\n");
            config.packages.push(Package {
                name: name.into(),
                version: "1.0".into(),
                architecture: "all".into(),
                file: format!("{name}_1.0_all.deb"),
                sha256: hex::encode(Sha256::digest(&content)),
                batch,
            });
        }
        let board = Self { root, config };
        board.stage();
        for (name, text) in
            [("dpkg", DPKG_DOUBLE), ("dpkg-query", QUERY_DOUBLE), ("sha256sum", SHA256SUM)]
        {
            let path = format!("/usr/bin/{name}");
            board.write(&path, text);
            fs::set_permissions(board.at(&path), fs::Permissions::from_mode(0o755)).unwrap();
        }
        board.write("/run/dpkg/base-files", "installed 12\n");
        board
    }

    fn stage(&self) {
        for package in &self.config.packages {
            let path = format!("{}/{}", paths::PACKAGES, package.file);
            self.write(&path, &format!("{} 1.0\n", package.name));
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_default()
    }

    fn with<T>(&self, act: impl FnOnce(&Context) -> T) -> T {
        let sys = Real::below(self.root.path());
        let (report, memory) = (Report::open(&sys), Memory::default());
        act(&Context {
            sys: &sys,
            config: &self.config,
            report: &report,
            applied: false,
            sealed: false,
            memory: &memory,
        })
    }

    fn check(&self) -> Finding {
        self.with(|ctx| steps::check(StepId::Packages, ctx))
    }

    fn apply(&self) -> Result<(), Condition> {
        self.with(|ctx| steps::apply(StepId::Packages, ctx))
    }
}

fn says(finding: &Finding, part: &str) {
    let condition = finding.condition().unwrap_or_else(|| panic!("{part}: nothing is found"));
    assert!(condition.what.contains(part), "{condition:?}");
}

#[test]
fn batches_are_installed_in_order_and_their_files_go() {
    let board = Board::new();
    says(&board.check(), "one is not installed, and 2 more");
    board.apply().unwrap();
    assert_eq!(board.check(), Finding::Met);
    let log = board.read("/run/dpkg.log");
    let calls: Vec<&str> = log.lines().collect();
    assert_eq!(calls.len(), 2, "{log}");
    assert!(
        calls[0].ends_with("/one_1.0_all.deb") && calls[0].contains("--force-confold"),
        "{log}"
    );
    assert!(calls[1].contains("/two_1.0") && calls[1].contains("/three_1.0"), "{log}");
    assert!(board.read("/run/dpkg.env").starts_with("noninteractive 1\n"));
    assert!(!board.at(paths::PACKAGES).join("one_1.0_all.deb").exists());
}

#[test]
fn what_a_power_cut_left_is_finished() {
    let board = Board::new();
    board.write("/run/dpkg/one", "installed 1.0\n");
    board.write("/run/dpkg/two", "unpacked 1.0\n");
    says(&board.check(), "two is unpacked, and 1 more");
    board.apply().unwrap();
    assert_eq!(board.check(), Finding::Met);
    let log = board.read("/run/dpkg.log");
    assert!(log.lines().next().unwrap().ends_with("--configure --pending"), "{log}");
    assert!(!log.contains("/one_1.0"), "what is installed is left alone: {log}");
    // Files that stayed behind when the power was cut after the last package.
    board.stage();
    says(&board.check(), "holds packages that are installed");
    board.apply().unwrap();
    assert_eq!(board.check(), Finding::Met);
}

#[test]
fn a_newer_version_is_left_and_an_older_one_replaced() {
    let board = Board::new();
    for (name, version) in [("one", "1.1"), ("two", "0.9"), ("three", "1.0")] {
        board.write(&format!("/run/dpkg/{name}"), &format!("installed {version}\n"));
    }
    says(&board.check(), "two is of the older version 0.9");
    board.apply().unwrap();
    assert_eq!(board.read("/run/dpkg/one"), "installed 1.1\n");
    assert_eq!(board.read("/run/dpkg/two"), "installed 1.0\n");
}

#[test]
fn a_damaged_file_is_named_and_nothing_installed() {
    let board = Board::new();
    board.write(&format!("{}/two_1.0_all.deb", paths::PACKAGES), "two 6.6\n");
    let condition = board.apply().unwrap_err();
    assert!(condition.what.contains("two_1.0_all.deb is damaged"), "{condition:?}");
    assert_eq!(board.read("/run/dpkg.log"), "");
}

#[test]
fn a_lock_is_waited_for() {
    let board = Board::new();
    board.write("/run/locked", "");
    board.apply().unwrap();
    assert_eq!(board.check(), Finding::Met);
}

#[test]
fn a_refusal_is_shown_and_a_lost_file_named() {
    let board = Board::new();
    board.write("/run/complaint", "dpkg: error processing package two\n No space left on device\n");
    assert!(board.apply().unwrap_err().what.contains("no room"));
    board.write("/run/complaint", "dpkg: dependency problems prevent configuration of two\n");
    assert!(board.apply().unwrap_err().what.contains("prevent configuration of two"));
    fs::remove_file(board.at(paths::PACKAGES).join("one_1.0_all.deb")).unwrap();
    let found = board.check();
    says(&found, "one is not installed, and its staged file is gone");
    assert!(matches!(found, Finding::Blocked(_)));
}
