//! `bake profile` as people run it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::GOOD;

fn bake(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bake"))
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_new_profile_of_every_template_is_good_and_the_users_own() {
    for template in ["master3", "master2-postgres", "single"] {
        let dir = tempfile::tempdir().unwrap();
        stdout(&bake(dir.path(), &["profile", "new", "attic", "--template", template]));
        let text = fs::read_to_string(dir.path().join("profiles/attic.yaml")).unwrap();
        assert!(text.contains("\n  name: attic\n") && !text.contains("name: edge"), "{text}");
        assert!(
            text.contains("bake --profile attic --out") && !text.contains("--template"),
            "{text}"
        );
        assert!(!text.contains("#\nversion"), "{text}");
        let checked = stdout(&bake(dir.path(), &["profile", "check", "attic"]));
        assert!(checked.contains("no faults"), "{checked}");
        let listed = stdout(&bake(dir.path(), &["profile", "list"]));
        assert!(listed.contains("attic") && listed.contains("master3"), "{listed}");
    }
}

#[test]
fn an_existing_profile_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.yaml");
    fs::write(&path, "precious").unwrap();
    let output = bake(dir.path(), &["profile", "new", "x", "--out", "mine.yaml"]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no litter");
    let output = bake(dir.path(), &["profile", "new", "No Name"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(!dir.path().join("profiles").exists());
}

#[test]
fn faults_are_all_printed_with_their_places() {
    let dir = tempfile::tempdir().unwrap();
    let text = GOOD.replace("name: edge", "name: Edge").replace("role: agent", "rolle: agent");
    fs::write(dir.path().join("bad.yaml"), text).unwrap();
    let output = bake(dir.path(), &["profile", "check", "bad.yaml"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let shown = stderr(&output);
    for part in [
        "line 3, column 9",
        "cannot name a cluster",
        "line 13, column 21",
        "did you mean `role`?",
        "cluster.name",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn showing_makes_no_secrets_and_shows_none() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("edge.yaml"), GOOD).unwrap();
    let shown = stdout(&bake(dir.path(), &["profile", "show", "./edge.yaml"]));
    assert_eq!(shown.matches("\n--- # ").count() + 1, 4, "{shown}");
    assert!(shown.contains("[redacted]") && shown.contains("192.168.24.13"), "{shown}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no secrets file");
    let args = [
        "profile",
        "show",
        "./edge.yaml",
        "--node",
        "node2",
        "--json",
        "--set",
        "system.timezone=Asia/Tokyo",
    ];
    let line = stdout(&bake(dir.path(), &args));
    let plan: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(plan["node"]["name"], "node2");
    assert_eq!(plan["system"]["timezone"], "Asia/Tokyo");
    let output = bake(dir.path(), &["profile", "show", "./edge.yaml", "--node", "node9"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn the_schema_is_json() {
    let dir = tempfile::tempdir().unwrap();
    let text = stdout(&bake(dir.path(), &["profile", "schema"]));
    let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(&schema, bake::profile::schema());
}
