//! Imports only point down: reads every `crate::` path of the library against the table in
//! `lib.rs` (docs/architecture.md explains it).

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms by layer, top to bottom, as in the table of `lib.rs`.
const LAYERS: [&[&str]; 6] = [
    &["cli", "ui"],
    &["job"],
    &["profile", "catalogue", "recipe", "provenance", "lock"],
    &[
        "fetch",
        "container",
        "packages",
        "disk",
        "fs",
        "emit",
        "delta",
        "device",
        "pki",
        "openpgp",
        "remote",
    ],
    &["store", "io", "sys"],
    &["event", "error", "units", "arch"],
];

/// Imports allowed between rooms of one layer, each pointing one way.
const SIDEWAYS: [(&str, &str); 15] = [
    ("cli", "ui"),
    ("recipe", "profile"),
    ("recipe", "provenance"),
    ("fetch", "disk"),
    ("fetch", "openpgp"),
    ("fetch", "container"),
    ("emit", "disk"),
    ("delta", "emit"),
    ("emit", "device"),
    ("packages", "fetch"),
    ("packages", "fs"),
    ("packages", "openpgp"),
    ("store", "io"),
    ("store", "sys"),
    ("io", "sys"),
];

fn layer(room: &str) -> Option<usize> {
    LAYERS.iter().position(|rooms| rooms.contains(&room))
}

fn allowed(from: &str, to: &str) -> bool {
    match (layer(from), layer(to)) {
        (Some(above), Some(below)) => from == to || above < below || SIDEWAYS.contains(&(from, to)),
        _ => false,
    }
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("source folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Rooms named by `crate::room` paths and by grouped `use crate::{room::…, room}`.
fn rooms_named(line: &str, grouped: &mut bool) -> Vec<String> {
    let code = line.split("//").next().unwrap_or_default();
    let word = |s: &str| s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut rooms: Vec<String> = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if at > 0 && code.as_bytes()[at - 1] == b'$' {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            *grouped = !group.contains('}');
            rooms.extend(group.trim_end_matches("};").split(", ").map(word));
        } else {
            rooms.push(word(rest));
        }
    }
    if *grouped && !code.contains("crate::") {
        rooms.push(word(code.trim_start()));
        *grouped = !code.contains("};");
    }
    rooms.retain(|r| !r.is_empty());
    rooms
}

#[test]
fn imports_only_point_down() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in files {
        let inside = file.strip_prefix(&src).expect("below src");
        let from = inside.components().next().expect("a room").as_os_str().to_string_lossy();
        let from = from.trim_end_matches(".rs").to_owned();
        if from == "main" || from == "lib" {
            continue;
        }
        let text = fs::read_to_string(&file).expect("source file");
        let mut grouped = false;
        for (number, line) in text.lines().enumerate() {
            for to in rooms_named(line, &mut grouped) {
                seen += 1;
                if !allowed(&from, &to) {
                    wrong.push(format!("{}:{}: {from} imports {to}", inside.display(), number + 1));
                }
            }
        }
    }
    assert!(seen > 10, "the reader of imports sees only {seen}: it is broken");
    assert!(wrong.is_empty(), "against the layers:\n{}", wrong.join("\n"));
}

#[test]
fn every_room_stands_in_the_table() {
    let lib = include_str!("../src/lib.rs");
    let rooms: Vec<&str> =
        lib.lines().filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    for room in &rooms {
        assert!(layer(room).is_some(), "room {room} has no layer");
        assert!(lib.contains(&format!("[`{room}`]")), "room {room} is not on the map in lib.rs");
    }
    assert_eq!(rooms.len(), LAYERS.iter().map(|l| l.len()).sum::<usize>());
}

#[test]
fn the_reader_of_imports_reads() {
    let mut grouped = false;
    assert_eq!(rooms_named("use crate::fs::FileTree;", &mut grouped), ["fs"]);
    assert_eq!(rooms_named("use crate::{fs, store::Payload};", &mut grouped), ["fs", "store"]);
    assert_eq!(rooms_named("// use crate::cli;", &mut grouped), [""; 0]);
    assert!(!allowed("store", "fs") && !allowed("fetch", "job") && allowed("job", "fs"));
}
