//! What else is made of a cluster than the image of one node: fleets, deltas, releases, cards.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::needles::{Found, Needles};
use super::support::bench::Bench;
use super::support::bench::text;
use super::support::run;
use super::where_they_belong::{Node, places};
use super::{Said, files_below, needles_of, packages, profile, strays};

const MIB: u64 = 1 << 20;
const SERVER: &str = "dist/bake-edge-server-arm64.img.zst";

fn nodes() -> [Node; 4] {
    let server = Node::server;
    [server("node1"), server("node2"), server("node3"), Node::agent("worker1")]
}

/// What bakes: the profile, and what it is baked of.
fn with<'a>(verb: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let made_of = ["--k3s", "k3s", "--firstboot", "firstboot", "--packages", "debs"];
    [&[verb, "--profile", "./edge.yaml"], &made_of[..], more].concat()
}

fn done(said: &mut Said, bench: &Bench, arguments: &[&str]) {
    let code = said.run(bench, arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {}", said.last());
}

/// Makes everything, and provokes what can go wrong with it.
fn make(bench: &Bench) -> Said {
    let mut said = Said(Vec::new());
    done(&mut said, bench, &with("lock", &["-v"]));
    done(&mut said, bench, &with("fleet", &["--deltas", "--out-dir", "deltas", "-v"]));
    done(&mut said, bench, &with("fleet", &["--compress", "zst", "--out-dir", "full", "--json"]));
    done(&mut said, bench, &with("fleet", &["--compress", "zst", "--out-dir", "full"]));
    for node in nodes() {
        let role = if node.name == "worker1" { "agent" } else { "server" };
        let (golden, delta) =
            (format!("deltas/golden-{role}.img"), format!("deltas/{}.delta", node.name));
        let (out, again) = (format!("{}.applied.img", node.name), ["--json", "--force"]);
        done(&mut said, bench, &["apply", &golden, &delta, "--out", &out, "-v"]);
        done(&mut said, bench, &[&["apply", &golden, &delta, "--out", &out], &again[..]].concat());
    }
    let release =
        ["release", "--profiles", "./edge.yaml", "--out-dir", "dist", "--compress", "zst"];
    let release = [&release[..], &with("", &[])[3..]].concat();
    done(&mut said, bench, &[&release[..], &["--json"]].concat());
    done(&mut said, bench, &[&release[..], &["-v"]].concat());
    let personal = ["personalise", SERVER, "--profile", "./edge.yaml", "--node"];
    done(
        &mut said,
        bench,
        &[&personal[..], &["node2", "--out", "node2.personal.img", "-v"]].concat(),
    );
    errors(bench, &mut said, &personal);
    interrupted(bench);
    said
}

fn errors(bench: &Bench, said: &mut Said, personal: &[&str]) {
    let told = "node2.personal.img.intoto.json";
    let sound = fs::read_to_string(bench.path(told)).unwrap();
    fs::write(bench.path(told), sound.replacen("\"incarnation\": 1", "\"incarnation\": 7", 1))
        .unwrap();
    let rebuild = ["--attestation", told, "-v"];
    for (arguments, status) in [
        (vec!["apply", "deltas/golden-agent.img", "deltas/node1.delta", "--out", "never.img"], 3),
        (vec!["apply", "deltas/node1.delta", "deltas/node2.delta", "--out", "never.img"], 3),
        ([personal, &["worker1", "--out", "never.img"]].concat(), 2),
        (
            [personal, &["node1", "--out", "never.img", "--set", "system.timezone=Europe/Berlin"]]
                .concat(),
            2,
        ),
        (with("fleet", &["--nodes", "nobody", "--out-dir", "full"]), 2),
        (with("flash", &["--node", "node1", "--device", "node2.personal.img", "--yes"]), 4),
        (with("rebuild", &rebuild), 3),
    ] {
        for more in [&[][..], &["--json"]] {
            let code = said.run(bench, &[&arguments[..], more].concat());
            assert_eq!(code, Some(status), "{arguments:?}: {}", said.last());
        }
    }
}

/// Ended at some moment, by a signal that can be heeded and by one that cannot.
fn interrupted(bench: &Bench) {
    for (signal, after) in [("TERM", 150), ("TERM", 600), ("KILL", 300), ("KILL", 900)] {
        let deltas = ["--out-dir", "cut", "--deltas", "--force"];
        let mut child = Command::new(env!("CARGO_BIN_EXE_bake"))
            .args(["--cache-dir", "cache"])
            .args(with("fleet", &deltas))
            .current_dir(bench.dir.path())
            .env("TMPDIR", bench.path("tmp"))
            .env("SOURCE_DATE_EPOCH", "1750000000")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(after));
        run("kill", &["-s", signal, &child.id().to_string()]);
        child.wait().unwrap();
    }
}

/// Flashes nodes to loop devices, one after the other to the same; what is on them then.
fn flash(bench: &Bench, said: &mut Said) -> Vec<(PathBuf, Node)> {
    let card = |name: &str| {
        let path = bench.path(name);
        File::create(&path).unwrap().set_len(256 * MIB).unwrap();
        let device = run("losetup", &["--find", "--show", &text(&path)]).trim().to_owned();
        (path, Attached(device))
    };
    let (one, two) = (card("one.card"), card("two.card"));
    let to = |node: &'static str, device: &Attached, more: &[&'static str]| {
        let device = device.0.clone();
        let fixed = ["--node", node, "--allow-loop", "--yes", "--device"].map(str::to_owned);
        let more = more.iter().map(|word| (*word).to_owned());
        fixed.into_iter().chain([device]).chain(more).collect::<Vec<_>>()
    };
    let mut flash = |fixed: &[&str], more: Vec<String>| {
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let arguments = [fixed, &more].concat();
        done(said, bench, &arguments);
    };
    flash(&with("flash", &[]), to("node1", &one.1, &["-v"]));
    // A card that was another's.
    flash(&with("flash", &[]), to("worker1", &one.1, &["--json"]));
    flash(&["flash", SERVER, "--profile", "./edge.yaml"], to("node3", &two.1, &["-v"]));
    vec![(one.0, Node::agent("worker1")), (two.0, Node::server("node3"))]
}

/// A loop device; its file has all of it once it is gone.
struct Attached(String);

impl Drop for Attached {
    fn drop(&mut self) {
        run("losetup", &["-d", &self.0]);
    }
}

/// What is in a file, and what is packed in it.
fn contents(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).unwrap();
    let unpacked = |frames: &[u8]| zstd::decode_all(frames).unwrap();
    let inside = match path.extension().and_then(|end| end.to_str()) {
        Some("zst") => vec![unpacked(&bytes)],
        Some("delta") => {
            let header = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
            vec![unpacked(&bytes[48..48 + header]), unpacked(&bytes[48 + header..])]
        }
        _ => Vec::new(),
    };
    [vec![bytes], inside].concat()
}

/// The secrets that a delta or a compressed image of a node may hold, by the file's name.
fn may_hold(path: &Path) -> BTreeSet<&'static str> {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let (node, end) = name.split_once('.').unwrap_or((&name, ""));
    let owner = nodes().into_iter().find(|owner| owner.name == node);
    let owner = owner.filter(|_| ["delta", "img.zst"].contains(&end));
    owner.iter().flat_map(|node| places(node)).flat_map(|(_, _, secrets)| secrets).collect()
}

fn look(path: &Path, needles: &Needles) -> Vec<String> {
    let (mut found, allowed) = (Found::new(), may_hold(path));
    contents(path).iter().for_each(|bytes| found.extend(needles.count(bytes)));
    let own = path.extension().is_some_and(|end| end == "delta" || end == "zst");
    let has = |secret: &&str| found.keys().any(|(found, _)| found == secret);
    let mut wrong: Vec<String> = match own {
        true => allowed.iter().filter(|secret| !has(secret)).map(|s| format!("no {s}")).collect(),
        false => Vec::new(),
    };
    let strange = found.keys().filter(|(secret, _)| !allowed.contains(secret.as_str()));
    wrong.extend(strange.map(|(secret, form)| format!("{secret} as {form}")));
    wrong.into_iter().map(|what| format!("{}: {what}", path.display())).collect()
}

#[test]
fn fleets_deltas_releases_and_cards() {
    let bench = Bench::new(&profile(include_str!("../../../profiles/master3.yaml")));
    packages(&bench);
    fs::create_dir(bench.path("tmp")).unwrap();
    let mut said = make(&bench);
    let mut images: Vec<(PathBuf, Node)> = nodes()
        .into_iter()
        .map(|node| (bench.path(&format!("{}.applied.img", node.name)), node))
        .collect();
    images.push((bench.path("node2.personal.img"), Node::server("node2")));
    // Loop devices need it.
    if rustix::process::geteuid().is_root() {
        images.extend(flash(&bench, &mut said));
    }
    let (secrets, needles) = needles_of(&bench);
    let mut wrong = said.shows(&needles);
    for (image, node) in &images {
        let strays = strays(image, node, &needles);
        wrong.extend(strays.into_iter().map(|stray| format!("{}: {stray}", image.display())));
    }
    let mut others = Vec::new();
    files_below(bench.dir.path(), &mut others);
    let inputs = ["edge.yaml", "edge.secrets.json"].map(|name| bench.path(name));
    let scanned =
        |path: &&PathBuf| !inputs.contains(path) && images.iter().all(|(image, _)| image != *path);
    let others: Vec<&PathBuf> = others.iter().filter(scanned).collect();
    for end in [
        "deltas/golden-server.img",
        "node1.delta",
        "full/node1.img.zst",
        SERVER,
        "lock.yaml",
        "flashed.json",
        "intoto.json",
        "spdx.json",
        "cdx.json",
        "SHA256SUMS",
    ] {
        assert!(others.iter().any(|path| path.to_string_lossy().ends_with(end)), "no {end}");
    }
    others.iter().for_each(|path| wrong.extend(look(path, &needles)));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(fs::read_dir(bench.path("tmp")).unwrap().count(), 0, "temporary files");
    can_fail(&bench, &secrets["nodes.node1.password"], &needles);
}

/// The search finds what another node's delta holds, and what a release would.
fn can_fail(bench: &Bench, password: &str, needles: &Needles) {
    fs::rename(bench.path("deltas/node1.delta"), bench.path("deltas/node2.delta")).unwrap();
    let wrong = look(&bench.path("deltas/node2.delta"), needles).join("\n");
    assert!(wrong.contains("nodes.node1.password as plain"), "{wrong}");
    assert!(wrong.contains("no nodes.node2.password"), "{wrong}");
    let packed = zstd::encode_all(format!("x{password}").as_bytes(), 1).unwrap();
    fs::write(bench.path(SERVER), packed).unwrap();
    assert!(!look(&bench.path(SERVER), needles).is_empty());
}
