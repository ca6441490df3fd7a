//! A folder with a small base image of Raspberry Pi OS's layout, in which the real program bakes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::run;

pub const SECTOR: u64 = 512;
pub const MIB: u64 = 1 << 20;
/// Start of the root partition, in bytes.
pub const ROOT: u64 = 40 * MIB;
/// Start and length of the boot partition, in bytes.
pub const BOOT: (u64, u64) = (4 * MIB, 32 * MIB);

/// One server, with a user.
pub const SINGLE: &str = "\
version: 1
cluster: {name: edge, topology: single}
image: ./base.img
k3s: {version: v1.36.5+k3s1, airgap: false}
system:
  timezone: Europe/Berlin
  users: [{name: ops, sudo: true, ssh_keys: [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0aXoGcZ5TkNq4dYJp7i6zQ9yN2h9f6Qm0s5m9Zl3Vd ops@laptop\"]}]
network: {interface: eth0, prefix: 24, gateway: 192.168.24.1, dns: [192.168.24.1]}
nodes:
  - {name: node1, role: server, address: 192.168.24.11}
";

/// A folder with a base image of Raspberry Pi OS's layout, a profile, and what else is needed.
pub struct Bench {
    pub dir: tempfile::TempDir,
}

impl Bench {
    pub fn new(profile: &str) -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        let tree = bench.path("tree");
        let boot = bench.path("tree/boot/firmware");
        for layer in ["debian", "raspios", "bookworm"] {
            lay(&tree, layer);
        }
        let files: Vec<PathBuf> = fs::read_dir(&boot).unwrap().map(|e| e.unwrap().path()).collect();
        let fat = bench.path("fat.img");
        run("truncate", &["-s", "32M", &text(&fat)]);
        run("mkfs.vfat", &["-n", "bootfs", "--invariant", &text(&fat)]);
        for file in &files {
            run("mcopy", &["-i", &text(&fat), &text(file), "::"]);
            fs::remove_file(file).unwrap();
        }
        let base = bench.path("base.img");
        run("truncate", &["-s", "168M", &text(&base)]);
        let table = format!(
            "label: dos\nlabel-id: 0x4f1a2b3c\nstart={}, size={}, type=c\nstart={}, type=83\n",
            4 * MIB / SECTOR,
            32 * MIB / SECTOR,
            ROOT / SECTOR
        );
        fs::write(bench.path("table"), table).unwrap();
        run("sh", &["-c", &format!("sfdisk -q {} < {}", text(&base), text(&bench.path("table")))]);
        let (input, output) = (format!("if={}", text(&fat)), format!("of={}", text(&base)));
        run("dd", &[&input, &output, "bs=1M", "seek=4", "conv=notrunc", "status=none"]);
        let offset =
            format!("offset={ROOT},root_owner=0:0,hash_seed=11111111-1111-1111-1111-111111111111");
        let features = "^64bit,^huge_file,metadata_csum";
        let uuid = "22222222-2222-2222-2222-222222222222";
        run(
            "mke2fs",
            &[
                "-q",
                "-t",
                "ext4",
                "-L",
                "rootfs",
                "-U",
                uuid,
                "-O",
                features,
                "-E",
                &offset,
                "-d",
                &text(&tree),
                &text(&base),
                "128M",
            ],
        );
        fs::write(bench.path("edge.yaml"), profile).unwrap();
        bench.script("k3s", "#!/bin/sh\nexec sleep infinity\n");
        fs::write(bench.path("firstboot"), elf("arm64")).unwrap();
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn script(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Bakes a node of `edge.yaml`.
    pub fn bake(&self, node: &str, arguments: &[&str]) -> Output {
        self.run(
            &[
                &["--profile", "./edge.yaml", "--k3s", "k3s", "--firstboot", "firstboot"][..],
                &["--node", node],
                arguments,
            ]
            .concat(),
        )
    }

    /// Runs the program in the folder.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.program().args(["--cache-dir", "cache"]).args(arguments).output().unwrap()
    }

    /// The program, in the folder, at a fixed time.
    pub fn program(&self) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_bake"));
        program.current_dir(self.dir.path()).env("SOURCE_DATE_EPOCH", "1750000000");
        program
    }

    /// Bakes a node, which must succeed.
    pub fn baked(&self, node: &str, arguments: &[&str]) {
        printed(arguments, self.bake(node, arguments));
    }

    /// Runs the program, which must succeed; what it printed.
    pub fn done(&self, arguments: &[&str]) -> String {
        printed(arguments, self.run(arguments))
    }

    /// Exit status and what was said; nothing may have been written.
    pub fn refused(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let before = self.listing();
        let out = self.bake("node1", arguments);
        assert!(!out.status.success(), "{arguments:?} was done");
        assert_eq!(self.listing(), before, "{arguments:?} left something");
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    }

    pub fn listing(&self) -> Vec<String> {
        let names = fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<String> =
            names.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.retain(|name| name != "cache" && !name.ends_with(".secrets.json"));
        names.sort();
        names
    }

    /// What independent tools say of an image we wrote.
    pub fn judge(&self, image: &str) {
        let path = text(&self.path(image));
        run("e2fsck", &["-fn", &format!("{path}?offset={ROOT}")]);
        run("sfdisk", &["-V", &path]);
        let fat = text(&self.path("judged.fat"));
        let (input, output) = (format!("if={path}"), format!("of={fat}"));
        run("dd", &[&input, &output, "bs=1M", "skip=4", "count=32", "status=none"]);
        run("fsck.vfat", &["-n", &fat]);
        fs::remove_file(fat).unwrap();
    }
}

fn printed(arguments: &[&str], out: Output) -> String {
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{arguments:?}: {said}");
    String::from_utf8(out.stdout).unwrap()
}

pub fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Changes the first `from` of a text file, which has to be there.
pub fn change(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from}: {text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

pub fn elf(arch: &str) -> Vec<u8> {
    let arch: bake::arch::Arch = arch.parse().unwrap();
    let mut header = vec![0; 4096];
    header[..4].copy_from_slice(b"\x7fELF");
    header[4..7].copy_from_slice(&[arch.elf_class(), 1, 1]);
    header[16] = 2;
    header[18..20].copy_from_slice(&arch.elf_machine().to_le_bytes());
    header
}

/// Lays a fixture of the recipe tests out as files; owners become root's.
fn lay(tree: &Path, name: &str) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/recipe/tests/fixtures");
    let spec = fs::read_to_string(fixtures.join(format!("{name}.tree"))).unwrap();
    let at = |path: &str| tree.join(path.trim_start_matches('/'));
    let mut lines = spec.lines().peekable();
    while let Some(line) = lines.next() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["dir" | "mount", path] => fs::create_dir_all(at(path)).unwrap(),
            ["link", path, target] => {
                fs::create_dir_all(at(path).parent().unwrap()).unwrap();
                // Links of the base lead inside it; the host's own must not be followed.
                fs::create_dir_all(at(target).parent().unwrap()).unwrap();
                if !target.starts_with('/') {
                    fs::create_dir_all(tree.join(target)).unwrap();
                }
                symlink(target, at(path)).unwrap();
            }
            ["elf", path, arch] => write(&at(path), &elf(arch), 0o755),
            ["file", path, mode, ..] => {
                let mut content = String::new();
                while let Some(text) = lines.next_if(|l| l.starts_with('|')) {
                    content += text.strip_prefix("| ").unwrap_or_default();
                    content.push('\n');
                }
                write(&at(path), content.as_bytes(), u32::from_str_radix(mode, 8).unwrap());
            }
            _ => {}
        }
    }
}

fn write(path: &Path, content: &[u8], mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
