//! Small trees that reproduce what a recipe looks at in each release, written as text:
//! `dir PATH`, `link PATH TARGET`, `elf PATH ARCH`, `mount PATH`, `file PATH MODE [UID:GID]` with
//! the lines of its content after `| `. A later file replaces an earlier one.

use crate::fs::root::Root;
use crate::fs::testing::MemoryTree;
use crate::fs::{Attributes, Content};

/// Time of everything in a base image: 2025-05-13 00:00:00 UTC.
pub(super) const BUILT: i64 = 1_747_094_400;

/// Every supported release, with the layers its tree is made of.
pub(super) const RELEASES: [(&str, &[&str]); 9] = [
    ("buster", &[DEBIAN, RASPIOS, include_str!("fixtures/buster.tree")]),
    ("bullseye", &[DEBIAN, RASPIOS, include_str!("fixtures/bullseye.tree")]),
    ("bookworm", &[DEBIAN, RASPIOS, include_str!("fixtures/bookworm.tree")]),
    ("trixie", &[DEBIAN, RASPIOS, include_str!("fixtures/trixie.tree")]),
    ("focal", &[DEBIAN, UBUNTU, include_str!("fixtures/focal.tree")]),
    ("jammy", &[DEBIAN, UBUNTU, include_str!("fixtures/jammy.tree")]),
    ("noble", &[DEBIAN, UBUNTU, include_str!("fixtures/noble.tree")]),
    ("resolute", &[DEBIAN, UBUNTU, include_str!("fixtures/resolute.tree")]),
    ("cloud-amd64", &[DEBIAN, include_str!("fixtures/cloud-amd64.tree")]),
];

const DEBIAN: &str = include_str!("fixtures/debian.tree");
const RASPIOS: &str = include_str!("fixtures/raspios.tree");
const UBUNTU: &str = include_str!("fixtures/ubuntu.tree");

pub(super) fn release(name: &str) -> Root {
    let (_, layers) = RELEASES.iter().find(|(known, _)| *known == name).expect("a known release");
    system(layers)
}

/// The system these texts describe.
pub(super) fn system(layers: &[&str]) -> Root {
    let mut root = Root::new(Box::new(MemoryTree::default()));
    // Mounts come first, so that what is below them lands in their tree.
    let lines = || layers.iter().flat_map(|layer| layer.lines());
    for at in lines().filter_map(|line| line.strip_prefix("mount ")) {
        root.mkdir_all(at.as_bytes(), attributes(0o755, 0, 0)).unwrap();
        root.mount(at.as_bytes(), Box::new(MemoryTree::default())).unwrap();
    }
    for layer in layers {
        lay(&mut root, layer);
    }
    root
}

fn lay(root: &mut Root, text: &str) {
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["dir", path] => root.mkdir_all(path.as_bytes(), attributes(0o755, 0, 0)).unwrap(),
            ["link", path, target] => {
                parents(root, path);
                root.symlink(path.as_bytes(), target.as_bytes(), attributes(0o777, 0, 0)).unwrap();
            }
            ["elf", path, arch] => put(root, path, elf(arch), attributes(0o755, 0, 0)),
            ["file", path, mode, ref owner @ ..] => {
                let mode = u16::from_str_radix(mode, 8).unwrap();
                let (uid, gid) = owner.first().map_or((0, 0), |o| {
                    let (uid, gid) = o.split_once(':').unwrap();
                    (uid.parse().unwrap(), gid.parse().unwrap())
                });
                let mut content = String::new();
                while let Some(text) = lines.next_if(|l| l.starts_with('|')) {
                    content += text.strip_prefix("| ").unwrap_or_default();
                    content.push('\n');
                }
                put(root, path, content.into_bytes(), attributes(mode, uid, gid));
            }
            ["mount", _] | ["#", ..] | [""] => {}
            _ => panic!("not a line of a tree: {line}"),
        }
    }
}

fn attributes(mode: u16, uid: u32, gid: u32) -> Attributes {
    Attributes { mode, uid, gid, mtime: BUILT }
}

fn parents(root: &mut Root, path: &str) {
    let (dir, _) = path.rsplit_once('/').unwrap();
    root.mkdir_all(dir.as_bytes(), attributes(0o755, 0, 0)).unwrap();
}

pub(super) fn put(root: &mut Root, path: &str, content: Vec<u8>, attributes: Attributes) {
    parents(root, path);
    root.write(path.as_bytes(), Content::Bytes(content), attributes).unwrap();
}

fn elf(arch: &str) -> Vec<u8> {
    let arch: crate::arch::Arch = arch.parse().unwrap();
    let mut header = vec![0; 64];
    header[..4].copy_from_slice(b"\x7fELF");
    header[4] = arch.elf_class();
    header[5] = 1;
    header[18..20].copy_from_slice(&arch.elf_machine().to_le_bytes());
    header
}
