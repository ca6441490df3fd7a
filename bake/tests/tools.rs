//! The tools for any image, through the program, on images that sfdisk, mkfs.vfat and mke2fs made;
//! what they write is judged by e2fsck, fsck.vfat, debugfs and mtools.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::run;

const MIB: u64 = 1 << 20;
const BOOT: (u64, u64) = (4 * MIB, 40 * MIB);
const ROOT: (u64, u64) = (44 * MIB, 20 * MIB);

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { dir: tempfile::tempdir().expect("a folder") };
        let tree = bench.path("tree");
        for dir in ["etc", "usr/lib", "boot/firmware", "root"] {
            fs::create_dir_all(tree.join(dir)).expect("tree");
        }
        let os = "PRETTY_NAME=\"Test OS 1\"\nID=test\n";
        fs::write(tree.join("usr/lib/os-release"), os).expect("tree");
        fs::write(tree.join("etc/fstab"), "LABEL=bootfs /boot/firmware vfat defaults 0 2\n")
            .expect("tree");
        fs::write(tree.join("etc/hostname"), "raspberrypi\n").expect("tree");
        std::os::unix::fs::symlink("../usr/lib/os-release", tree.join("etc/os-release"))
            .expect("tree");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    /// A bare ext4 file system image.
    fn bare(&self) -> PathBuf {
        let image = self.text("bare.img");
        run("mke2fs", &["-q", "-t", "ext4", "-d", &self.text("tree"), &image, "20M"]);
        image.into()
    }

    /// A disk as Raspberry Pi OS divides it: MBR, FAT, ext4.
    fn disk(&self) -> PathBuf {
        let image = self.text("disk.img");
        let file = fs::File::create(&image).expect("image");
        file.set_len(ROOT.0 + ROOT.1).expect("image");
        let line = |(start, len): (u64, u64), kind: &str| {
            format!("start={}, size={}, type={kind}", start / 512, len / 512)
        };
        let table = format!(
            "label: dos\nlabel-id: 0x4f1a2b3c\n{}\n{}\n",
            line(BOOT, "c"),
            line(ROOT, "83")
        );
        fs::write(self.path("table"), table).expect("table");
        run("sh", &["-c", &format!("sfdisk -q {image} < {}", self.text("table"))]);
        let sectors = (BOOT.0 / 512).to_string();
        let blocks = (BOOT.1 / 1024).to_string();
        run("mkfs.vfat", &["-F", "32", "-n", "bootfs", "--offset", &sectors, &image, &blocks]);
        let tree = self.text("tree");
        let offset = format!("offset={}", ROOT.0);
        run("mke2fs", &["-q", "-t", "ext4", "-d", &tree, "-E", &offset, &image, "20M"]);
        image.into()
    }

    fn bake(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_bake"))
            .args(arguments)
            .current_dir(self.dir.path())
            .env("BAKE_CACHE_DIR", self.path("cache"))
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .output()
            .expect("bake runs")
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let out = self.bake(arguments);
        let error = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{arguments:?}: {error}");
        String::from_utf8(out.stdout).expect("UTF-8")
    }

    /// Runs a script; `None` edits in place.
    fn edit(&self, image: &str, script: &str, out: Option<&str>) -> Output {
        fs::write(self.path("script"), script).expect("script");
        let mut arguments = vec!["edit", image, "--script", "script"];
        arguments.extend(out.into_iter().flat_map(|out| ["--out", out]));
        self.bake(&arguments)
    }

    /// The partition as a file of its own.
    fn part(&self, image: &str, start: u64, len: Option<u64>) -> String {
        let part = self.text("part.img");
        let bytes = fs::read(self.path(image)).expect("image");
        let end = len.map_or(bytes.len() as u64, |len| start + len);
        fs::write(&part, &bytes[start as usize..end as usize]).expect("part");
        part
    }
}

fn debugfs(image: &Path, command: &str) -> String {
    run("debugfs", &["-R", command, image.to_str().expect("UTF-8")])
}

#[test]
fn every_operation_of_a_script_does_what_it_says() {
    let bench = Bench::new();
    let image = bench.bare();
    fs::write(bench.path("my file"), "content\n").expect("source");
    let script = "\
        put 'my file' /etc/new mode=4750 uid=70000 gid=7\n\
        mkdir /opt\n mkdir /opt/d mode=0700\n\
        symlink ../etc/new /opt/link\n\
        link /etc/new /opt/hard\n\
        mv /etc/hostname /etc/name\n\
        chmod 0600 /etc/name\n chown 1:2 /etc/name\n mtime 1234567890 /etc/name\n\
        setxattr /etc/name user.note 6869\n\
        put 'my file' /gone\n rm /gone\n mkdir /empty\n rmdir /empty\n\
        grow +12MiB # after all\n";
    let out = bench.edit("bare.img", script, Some("out.img"));
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let new = bench.path("out.img");
    run("e2fsck", &["-fn", new.to_str().expect("UTF-8")]);
    assert_eq!(fs::metadata(&new).expect("output").len(), 32 * MIB);
    let stat = debugfs(&new, "stat /etc/new");
    assert!(stat.contains("Mode:  04750") && stat.contains("User: 70000"), "{stat}");
    assert!(stat.contains("Links: 2"), "{stat}");
    let stat = debugfs(&new, "stat /etc/name");
    assert!(stat.contains("Mode:  0600") && stat.contains("Group:     2"), "{stat}");
    assert!(stat.contains("mtime: 0x499602d2"), "{stat}");
    assert!(debugfs(&new, "ea_get /etc/name user.note").contains("hi"));
    assert!(debugfs(&new, "cat /opt/hard").contains("content"));
    assert!(debugfs(&new, "stat /opt/link").contains("../etc/new"));
    let root = debugfs(&new, "ls -l /");
    assert!(!root.contains("gone") && !root.contains("empty"), "{root}");
    let difference = bench.ok(&["diff", image.to_str().expect("UTF-8"), "out.img"]);
    let paths: Vec<_> = difference.lines().map(|l| l.split("  ").next().unwrap_or(l)).collect();
    let expected = [
        "~ /",
        "~ /etc",
        "- /etc/hostname",
        "+ /etc/name",
        "+ /etc/new",
        "+ /opt",
        "+ /opt/d",
        "+ /opt/hard",
        "+ /opt/link",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn a_script_that_fails_leaves_everything_as_it_was() {
    let bench = Bench::new();
    let image = bench.bare();
    let before = fs::read(&image).expect("image");
    for (script, status, line) in [
        ("mkdir /a\nrm /not/there\n", 2, "line 2"),
        ("mkdir /a\nrmdir /etc\n", 2, "line 2"),
        ("mkdirr /a\nrm\n", 2, "line 2"),
        ("put absent /a\n", 1, "absent"),
        ("grow 1MiB\n", 2, "line 1"),
        ("mv /etc /etc/below\n", 2, "line 1"),
    ] {
        for out in [None, Some("out.img")] {
            let result = bench.edit("bare.img", script, out);
            let error = String::from_utf8_lossy(&result.stderr);
            assert_eq!(result.status.code(), Some(status), "{script}: {error}");
            assert!(error.contains(line), "{script}: {error}");
            assert!(!bench.path("out.img").exists(), "{script}");
        }
        assert!(fs::read(&image).expect("image") == before, "{script} changed the image");
    }
    fs::write(bench.path("out.img"), "precious").expect("file");
    let refused = bench.edit("bare.img", "mkdir /a\n", Some("out.img"));
    assert_eq!(refused.status.code(), Some(4));
    assert_eq!(fs::read(bench.path("out.img")).expect("file"), b"precious");
}

#[test]
fn a_disk_is_one_system_and_grows_as_one() {
    let bench = Bench::new();
    bench.disk();
    fs::write(bench.path("note"), "on the FAT\n").expect("source");
    let script = "put note /boot/firmware/A-long-name.txt\nput note /etc/note\ngrow 40MiB\n";
    let first = bench.edit("disk.img", script, Some("a.img"));
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    assert!(bench.edit("disk.img", script, Some("b.img")).status.success());
    let (a, b) = (fs::read(bench.path("a.img")), fs::read(bench.path("b.img")));
    assert!(a.expect("a") == b.expect("b"), "the same edits give the same bytes");
    run("sfdisk", &["-q", "-V", &bench.text("a.img")]);
    let dump = run("sfdisk", &["-d", &bench.text("a.img")]);
    assert!(dump.contains("0x4f1a2b3c") && dump.contains("size=       81920"), "{dump}");
    let fat = bench.part("a.img", BOOT.0, Some(BOOT.1));
    run("fsck.vfat", &["-n", &fat]);
    assert_eq!(run("mtype", &["-i", &fat, "::A-long-name.txt"]), "on the FAT\n");
    let root = bench.part("a.img", ROOT.0, None);
    run("e2fsck", &["-fn", &root]);
    assert_eq!(bench.ok(&["cat", "a.img:/boot/firmware/a-LONG-name.txt"]), "on the FAT\n");
    let report: serde_json::Value =
        serde_json::from_str(&bench.ok(&["inspect", "a.img", "--json"])).expect("JSON");
    assert_eq!(report["system"], "Test OS 1");
    assert_eq!(report["partitions"][0]["mounted_at"], "/boot/firmware");
    assert_eq!(report["partitions"][1]["len"], 40 * MIB);
    assert!(bench.ok(&["verify", "a.img"]).starts_with("ok"));
    let listed = bench.ok(&["ls", "-R", "a.img:/boot"]);
    assert_eq!(listed, "/boot/firmware\n/boot/firmware/A-long-name.txt\n");
}

#[test]
fn copies_go_in_and_out_and_nowhere_else() {
    let bench = Bench::new();
    bench.disk();
    fs::write(bench.path("motd"), "hello\n").expect("source");
    bench.ok(&["cp", "motd", "disk.img:/etc/"]);
    assert_eq!(
        bench.ok(&["cat", "disk.img:/etc/motd", "disk.img:/etc/os-release"]).lines().count(),
        3
    );
    bench.ok(&["cp", "-r", "disk.img:/etc", "out"]);
    assert_eq!(fs::read_to_string(bench.path("out/motd")).expect("copied"), "hello\n");
    let link = fs::read_link(bench.path("out/os-release")).expect("copied as a link");
    assert_eq!(link, Path::new("../usr/lib/os-release"));
    let again = bench.bake(&["cp", "disk.img:/etc/motd", "motd"]);
    assert_eq!(again.status.code(), Some(4), "an existing file is not overwritten");
    assert_eq!(bench.bake(&["cp", "motd", "motd2"]).status.code(), Some(2));
}

#[test]
fn damage_is_verified_and_told() {
    let bench = Bench::new();
    let image = bench.bare();
    run("debugfs", &["-w", "-R", "freei <12>", image.to_str().expect("UTF-8")]);
    let verdict = bench.bake(&["verify", "bare.img"]);
    assert_eq!(verdict.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&verdict.stdout).contains("WRONG"));
    fs::write(bench.path("short.img"), [0; 3000]).expect("file");
    for (arguments, status) in [
        (&["inspect", "absent.img"][..], 1),
        (&["ls", "short.img:/"], 1),
        (&["ls", "bare.img:/nowhere"], 2),
        (&["cat", "bare.img:/etc"], 2),
        (&["ls", "--profile", "single"], 2),
        (&["--profile", "single", "ls", "bare.img"], 2),
    ] {
        let result = bench.bake(arguments);
        let error = String::from_utf8_lossy(&result.stderr).into_owned();
        assert_eq!(result.status.code(), Some(status), "{arguments:?}: {error}");
        assert!((1..=24).contains(&error.lines().count()), "{arguments:?}: {error}");
    }
}

/// Names in an image are others': a terminal is not steered by them, a program gets them as they are.
#[test]
fn names_do_not_steer_the_terminal() {
    let bench = Bench::new();
    let name = "ev\u{1b}[2Jil\u{202e}";
    fs::create_dir(bench.path("tree/hostile")).unwrap();
    fs::write(bench.path("tree/hostile").join(name), "").unwrap();
    let image = bench.bare();
    let program = env!("CARGO_BIN_EXE_bake");
    let listed = format!("{}:/hostile", image.display());
    assert_eq!(run(program, &["ls", &listed]), format!("{name}\n"));
    let seen = run("script", &["-qec", &format!("{program} ls {listed}"), "/dev/null"]);
    assert_eq!(seen.trim_end(), r"ev\u{1b}[2Jil\u{202e}");
    let failed = Command::new(program).args(["ls", &format!("{listed}/{name}x")]).output().unwrap();
    let said = String::from_utf8(failed.stderr).unwrap();
    assert!(said.contains(r"hostile/ev\u{1b}[2Jil") && !said.contains('\u{1b}'), "{said:?}");
}

#[test]
fn what_is_wrong_with_the_command_line_is_told_as_json_too() {
    let bench = Bench::new();
    for (line, message) in [
        (&["nosuch"][..], "unrecognized subcommand 'nosuch'"),
        (&["ls"], "required arguments were not provided:\n  <IMG:PATH>"),
        (&["images"], "requires a subcommand but one was not provided"),
        (&["kubeconfig", "--profile", "x", "--days", "0"], "invalid value '0' for '--days <N>'"),
        (&["ls", "absent.img", "--out", "x"], "unexpected argument '--out' found"),
    ] {
        let out = bench.bake(&[line, &["--json"]].concat());
        assert_eq!(out.status.code(), Some(2), "{line:?}");
        let told: serde_json::Value = serde_json::from_slice(&out.stdout).expect("one object");
        let said = told["message"].as_str().expect("a message");
        assert!(said.contains(message), "{line:?}: {said}");
        assert_eq!((&told["event"], &told["exit"]), (&"error".into(), &2.into()));
        assert!(String::from_utf8_lossy(&out.stderr).contains(message));
    }
    let out = bench.ok(&["man", &bench.text("pages"), "--json"]);
    let told: serde_json::Value = serde_json::from_str(&out).expect("one object");
    assert_eq!(told["folder"], bench.text("pages"));
    // People are told as before, and help is help.
    assert!(bench.bake(&["nosuch"]).stdout.is_empty());
    assert!(bench.ok(&["--help", "--json"]).contains("Exit status: 0 done"));
}

#[test]
fn a_copy_that_fails_says_which() {
    let bench = Bench::new();
    bench.bare();
    let out = bench.bake(&["cp", &bench.text("tree/etc/hostname"), "bare.img:/no/such"]);
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("hostname into bare.img") && said.contains("/no/such"), "{said}");
}
