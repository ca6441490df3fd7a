//! Fixed edits on fresh file systems of many shapes, judged by `e2fsck -fn` and read back with
//! `debugfs`. Needs e2fsprogs, no privileges. The larger oracle is in `tests/oracle`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use ext4_edit::{Attributes, Content, Error, Ext4, FileKind, FilePayload, FileStore};

const ROOT_OWNED: Attributes = Attributes { mode: 0o644, uid: 0, gid: 0, mtime: 1_600_000_000 };

/// Name and mke2fs arguments.
const SHAPES: &[(&str, &[&str])] = &[
    ("debian", &["-t", "ext4"]),
    ("pi-2022", &["-t", "ext4", "-O", "^metadata_csum,^64bit,^huge_file"]),
    ("pi-2023", &["-t", "ext4", "-O", "^64bit,^huge_file"]),
    ("1k", &["-t", "ext4", "-b", "1024"]),
    ("2k-128", &["-t", "ext4", "-b", "2048", "-I", "128"]),
    ("64k", &["-t", "ext4", "-b", "65536"]),
    ("seed-orphan", &["-t", "ext4", "-O", "metadata_csum_seed,orphan_file"]),
    ("gdt-csum", &["-t", "ext4", "-O", "^metadata_csum,uninit_bg"]),
    ("no-flex", &["-t", "ext4", "-b", "1024", "-O", "^flex_bg,^resize_inode"]),
    ("ext3", &["-t", "ext3", "-b", "1024"]),
    ("ext2", &["-t", "ext2", "-O", "^dir_index,^filetype"]),
    ("sparse2", &["-t", "ext4", "-O", "sparse_super2"]),
    ("large-dir", &["-t", "ext4", "-b", "1024", "-O", "large_dir"]),
];

struct Image {
    dir: tempfile::TempDir,
}

impl Image {
    fn new(mib: u64, arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let image = Self { dir };
        File::create(image.path()).unwrap().set_len(mib << 20).unwrap();
        run(Command::new("mke2fs").args(["-q", "-F"]).args(arguments).arg(image.path()));
        image
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    fn open(&self) -> Ext4<FileStore> {
        let file = File::options().read(true).write(true).open(self.path()).unwrap();
        let mut fs = Ext4::open(FileStore::new(file).unwrap()).unwrap();
        fs.set_clock(1_700_000_000);
        fs
    }

    #[track_caller]
    fn judge(&self, when: &str) {
        let done = Command::new("e2fsck").arg("-fn").arg(self.path()).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "{when}: {said}");
    }

    fn debugfs(&self, request: &str) -> Vec<u8> {
        let mut command = Command::new("debugfs");
        command.args(["-R", request]).arg(self.path());
        command.output().unwrap().stdout
    }
}

fn run(command: &mut Command) {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Bytes that differ everywhere.
fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..len).map(|_| next()).collect()
}

fn payload(dir: &Path, bytes: &[u8]) -> Content<FilePayload> {
    let path = dir.join("payload");
    File::create(&path).unwrap().write_all(bytes).unwrap();
    Content::Payload(FilePayload::new(File::open(path).unwrap()).unwrap())
}

fn read(fs: &Ext4<FileStore>, path: &str) -> Vec<u8> {
    let size = fs.metadata(path.as_bytes()).unwrap().unwrap().size;
    let mut bytes = vec![0; usize::try_from(size).unwrap() + 10];
    let got = fs.read_at(path.as_bytes(), 0, &mut bytes).unwrap();
    bytes.truncate(got);
    bytes
}

#[test]
fn every_operation_on_every_shape() {
    for (name, arguments) in SHAPES {
        let image = Image::new(if *name == "64k" { 256 } else { 64 }, arguments);
        let mut fs = image.open();
        let small = noise(3000, 7);
        let large = noise(9_000_001, 8);
        fs.mkdir(b"/etc", Attributes { mode: 0o755, ..ROOT_OWNED }).unwrap();
        fs.mkdir(b"/etc/deep", Attributes { mode: 0o1777, uid: 70_000, ..ROOT_OWNED }).unwrap();
        fs.write(b"/etc/small", Content::Bytes(small.clone()), ROOT_OWNED).unwrap();
        fs.write(b"/etc/large", payload(image.dir.path(), &large), ROOT_OWNED).unwrap();
        fs.write(b"/etc/empty", Content::Bytes(Vec::new()), ROOT_OWNED).unwrap();
        fs.symlink(b"/etc/fast", &[b'f'; 59], ROOT_OWNED).unwrap();
        fs.symlink(b"/etc/slow", &[b's'; 60], ROOT_OWNED).unwrap();
        fs.hard_link(b"/etc/small", b"/etc/deep/linked").unwrap();
        assert_eq!(read(&fs, "/etc/large"), large, "{name}: before the commit");
        fs.commit().unwrap();
        image.judge(name);

        let mut fs = image.open();
        assert_eq!(read(&fs, "/etc/deep/linked"), small);
        assert_eq!(fs.read_link(b"/etc/fast").unwrap(), [b'f'; 59]);
        assert_eq!(fs.read_link(b"/etc/slow").unwrap(), [b's'; 60]);
        assert_eq!(fs.metadata(b"/etc/small").unwrap().unwrap().links, 2);
        fs.write(b"/etc/small", Content::Bytes(b"new".to_vec()), ROOT_OWNED).unwrap();
        assert_eq!(read(&fs, "/etc/deep/linked"), small, "{name}: the other link keeps the old");
        fs.set_xattr(b"/etc/small", "user.a", Some(&noise(60, 1))).unwrap();
        fs.set_xattr(b"/etc/small", "security.capability", Some(&noise(20, 1))).unwrap();
        fs.set_xattr(b"/etc/small", "user.big", Some(&noise(600, 2))).unwrap();
        fs.set_xattr(b"/etc/empty", "user.big", Some(&noise(700, 3))).unwrap();
        fs.set_xattr(b"/etc/empty", "user.big", None).unwrap();
        fs.rename(b"/etc/large", b"/moved").unwrap();
        fs.rename(b"/etc/deep", b"/deep").unwrap();
        fs.rename(b"/etc/fast", b"/etc/slow").unwrap();
        fs.mkdir(b"/gone", ROOT_OWNED).unwrap();
        fs.remove_dir(b"/gone").unwrap();
        fs.remove_file(b"/etc/empty").unwrap();
        let owned = Attributes { mode: 0o4755, uid: 100_000, gid: 200_000, mtime: 5_000_000_000 };
        fs.set_attributes(b"/moved", owned).unwrap();
        fs.commit().unwrap();
        image.judge(name);

        let fs = image.open();
        assert_eq!(read(&fs, "/moved"), large);
        assert_eq!(image.debugfs("cat /moved"), large, "{name}");
        assert_eq!(image.debugfs("cat /etc/small"), b"new", "{name}");
        let xattrs = fs.xattrs(b"/etc/small").unwrap();
        let names: Vec<&str> = xattrs.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["security.capability", "user.a", "user.big"]);
        assert_eq!(xattrs[2].1, noise(600, 2));
        let moved = fs.metadata(b"/moved").unwrap().unwrap();
        assert_eq!((moved.attributes.uid, moved.attributes.gid), (100_000, 200_000));
        let listed = fs.read_dir(b"/").unwrap();
        let listed: Vec<_> = listed.iter().map(|e| (e.name.as_slice(), e.kind)).collect();
        assert!(listed.contains(&(b"deep", FileKind::Directory)), "{name}: {listed:?}");
        assert!(fs.metadata(b"/etc/empty").unwrap().is_none());
    }
}

#[test]
fn directories_grow_split_and_shrink() {
    for (name, arguments) in SHAPES {
        let count = match *name {
            "ext2" => 600,
            "64k" => 2000,
            _ => 6000,
        };
        let mut arguments = arguments.to_vec();
        arguments.extend(["-N", "16384"]);
        let image = Image::new(if *name == "64k" { 256 } else { 64 }, &arguments);
        let mut fs = image.open();
        fs.mkdir(b"/d", ROOT_OWNED).unwrap();
        let file = |n: usize| {
            let stem = String::from_utf8(noise(n % 200, 9)).unwrap_or_default();
            format!("/d/{n}-{}{}", "x".repeat(n % 180), stem.replace(['/', '\0'], "_"))
        };
        for n in 0..count {
            fs.write(file(n).as_bytes(), Content::Bytes(Vec::new()), ROOT_OWNED).unwrap();
        }
        fs.commit().unwrap();
        image.judge(name);
        let mut fs = image.open();
        assert_eq!(fs.read_dir(b"/d").unwrap().len(), count, "{name}");
        for n in 0..count {
            assert!(fs.metadata(file(n).as_bytes()).unwrap().is_some(), "{name}: {}", file(n));
            if n % 3 > 0 {
                fs.remove_file(file(n).as_bytes()).unwrap();
            }
        }
        for n in 0..count / 2 {
            let path = format!("/d/again-{n}");
            fs.mkdir(path.as_bytes(), ROOT_OWNED).unwrap();
        }
        fs.commit().unwrap();
        image.judge(name);
        assert_eq!(image.open().read_dir(b"/d").unwrap().len(), count.div_ceil(3) + count / 2);
    }
}

/// e2fsck hashes every name itself and compares with the range of its leaf.
#[test]
fn names_hash_as_e2fsprogs_hashes_them() {
    for hash in ["legacy", "half_md4", "tea"] {
        for sign in [1, 2] {
            let image = Image::new(32, &["-t", "ext4", "-b", "1024", "-N", "8192"]);
            let hashing = format!("hash_alg={hash}");
            run(Command::new("tune2fs").args(["-E", &hashing]).arg(image.path()));
            let flags = format!("ssv flags {sign}");
            run(Command::new("debugfs").args(["-w", "-R", &flags]).arg(image.path()));
            let mut fs = image.open();
            fs.mkdir(b"/d", ROOT_OWNED).unwrap();
            for n in 0..2000_u32 {
                let mut name = b"/d/".to_vec();
                let noise = noise(usize::try_from(n % 90).unwrap(), n + 1);
                name.extend(noise.iter().map(|&b| if matches!(b, 0 | b'/') { b'_' } else { b }));
                name.extend_from_slice(n.to_string().as_bytes());
                fs.write(&name, Content::Bytes(Vec::new()), ROOT_OWNED).unwrap();
            }
            fs.commit().unwrap();
            image.judge(&format!("{hash}, sign {sign}"));
        }
    }
}

/// 900 gaps of one block each need a tree of depth 2 (84 entries a node, 4 in the inode), or a
/// double indirect map with every pointer set.
#[test]
fn gaps_are_used_to_the_last_block() {
    for kind in ["ext4", "ext3"] {
        let image = Image::new(16, &["-t", kind, "-b", "1024", "-N", "4096"]);
        let mut fs = image.open();
        fs.mkdir(b"/d", ROOT_OWNED).unwrap();
        let file = |n: usize| format!("/d/{n}");
        for n in 0..1800 {
            fs.write(file(n).as_bytes(), Content::Bytes(noise(1024, 3)), ROOT_OWNED).unwrap();
        }
        let fill = |fs: &mut Ext4<FileStore>, path: &str| {
            let (mut low, mut high) = (0, usize::try_from(fs.free_bytes()).unwrap() / 1024 + 1);
            while low + 1 < high {
                let middle = usize::midpoint(low, high);
                let content = Content::Bytes(noise(middle * 1024, 4));
                match fs.write(path.as_bytes(), content, ROOT_OWNED) {
                    Ok(()) => low = middle,
                    Err(Error::NoSpace { .. }) => high = middle,
                    Err(e) => panic!("{kind}: {e}"),
                }
            }
            fs.write(path.as_bytes(), Content::Bytes(noise(low * 1024, 4)), ROOT_OWNED).unwrap();
            low
        };
        fill(&mut fs, "/filler");
        fs.commit().unwrap();
        image.judge(kind);
        let mut fs = image.open();
        for n in (0..1800).step_by(2) {
            fs.remove_file(file(n).as_bytes()).unwrap();
        }
        let blocks = fill(&mut fs, "/scattered");
        assert!(blocks > 850, "{kind}: {blocks}");
        fs.commit().unwrap();
        image.judge(kind);
        let fs = image.open();
        assert!(read(&fs, "/scattered") == noise(blocks * 1024, 4), "{kind}");
        assert!(image.debugfs("cat /scattered") == noise(blocks * 1024, 4), "{kind}");
        let mut part = [0; 3000];
        let at = (blocks as u64 - 4) * 1024 + 7;
        assert_eq!(fs.read_at(b"/scattered", at, &mut part).unwrap(), 3000);
        let mut fs = image.open();
        fs.remove_file(b"/scattered").unwrap();
        fs.commit().unwrap();
        image.judge(kind);
    }
}

#[test]
fn a_failed_edit_changes_nothing() {
    let image = Image::new(16, &["-t", "ext4"]);
    let mut fs = image.open();
    fs.write(b"/kept", Content::Bytes(noise(100_000, 1)), ROOT_OWNED).unwrap();
    let free = fs.free_bytes();
    let whole = Content::Bytes(vec![1; usize::try_from(free).unwrap() + 200_000]);
    assert!(matches!(fs.write(b"/kept", whole, ROOT_OWNED), Err(Error::NoSpace { .. })));
    assert!(matches!(fs.mkdir(b"/no/such", ROOT_OWNED), Err(Error::NotFound { .. })));
    assert!(matches!(fs.mkdir(b"/kept", ROOT_OWNED), Err(Error::Exists { .. })));
    assert!(matches!(fs.remove_dir(b"/kept"), Err(Error::NotADirectory { .. })));
    assert_eq!(fs.free_bytes(), free);
    assert_eq!(read(&fs, "/kept"), noise(100_000, 1));
    fs.commit().unwrap();
    image.judge("after refusals");
    let before = std::fs::read(image.path()).unwrap();
    let mut fs = image.open();
    fs.commit().unwrap();
    drop(fs);
    assert!(std::fs::read(image.path()).unwrap() == before, "a commit of nothing wrote something");
}

#[test]
fn the_same_edits_give_the_same_bytes() {
    let image = Image::new(16, &["-t", "ext4", "-U", "00112233-4455-6677-8899-aabbccddeeff"]);
    let fresh = std::fs::read(image.path()).unwrap();
    let mut results = Vec::new();
    for _ in 0..2 {
        std::fs::write(image.path(), &fresh).unwrap();
        let mut fs = image.open();
        for n in 0..300 {
            let path = format!("/file{n}");
            fs.write(path.as_bytes(), Content::Bytes(noise(n * 30, 5)), ROOT_OWNED).unwrap();
        }
        fs.commit().unwrap();
        results.push(std::fs::read(image.path()).unwrap());
    }
    assert!(results[0] == results[1]);
}
