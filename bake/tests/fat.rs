//! FAT edits, judged by `fsck.vfat` and mtools: random scripts against a model on FAT12, FAT16
//! and FAT32 of several cluster sizes.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bake::emit::{InUse, Spec, emit};
use bake::error::{Error, Exit};
use bake::event::Silent;
use bake::fs::fat::FatTree;
use bake::fs::{Attributes, Content, FileKind, FileTree};
use bake::store::{FileSource, Image, Payload, SharedImage, Window};
use bake::sys::interrupt::Cancel;
use support::{Random, run};

/// Arguments of mkfs.vfat and the size in KiB.
const KINDS: [(&[&str], u32); 8] = [
    (&["-F", "12", "-s", "1"], 1800),
    (&["-F", "12", "-s", "8"], 8192),
    (&["-F", "16", "-s", "1"], 8192),
    (&["-F", "16", "-s", "4", "-r", "32"], 32768),
    (&["-F", "32", "-s", "1"], 40_000),
    (&["-F", "32", "-s", "4"], 262_144),
    (&["-F", "32", "-s", "2", "-f", "1"], 90_000),
    (&["-F", "16", "-s", "2", "-S", "1024"], 40_960),
];

fn made(dir: &Path, (arguments, kib): (&[&str], u32)) -> PathBuf {
    let path = dir.join("fat.img");
    let (name, size) = (path.to_string_lossy(), kib.to_string());
    let fixed = ["--invariant", "-C", "-n", "bootfs", "-i", "4f1a2b3c"];
    run("mkfs.vfat", &[arguments, &fixed, &[&name, &size]].concat());
    path
}

fn opened(path: &Path) -> (SharedImage, FatTree<Window>) {
    let base = Arc::new(FileSource::open(path).expect("base"));
    let image = Arc::new(Mutex::new(Image::new(base)));
    let tree = FatTree::open(Window::whole(image.clone()), 0).expect("FAT");
    (image, tree)
}

/// Writes the image with free clusters left out.
fn saved(image: &SharedImage, tree: &FatTree<Window>, path: &Path) -> String {
    let (len, in_use) = (tree.describe().len, tree.used().expect("used"));
    let image = image.lock().expect("image");
    let mut used = InUse::everything(bake::store::BlockStore::len(&*image));
    used.limit(0, len, &in_use);
    let spec = Spec { force: true, ..Spec::new(path) };
    let emitted = emit(&image, &used, &spec, &Silent, &Cancel::new()).expect("emit");
    emitted.sha256.expect("digest")
}

fn judged(path: &Path) {
    run("fsck.vfat", &["-n", "-v", &path.to_string_lossy()]);
}

fn attributes(mtime: i64) -> Attributes {
    Attributes { mode: 0o644, uid: 0, gid: 0, mtime }
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    File(Vec<u8>),
    Directory,
}

/// Folded path → path as written, what it is, and its time.
#[derive(Debug, Default)]
struct Model(BTreeMap<String, (String, Node, i64)>);

fn key(path: &str) -> String {
    path.to_uppercase()
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(p, _)| p)
}

impl Model {
    fn is_dir(&self, path: &str) -> bool {
        path.is_empty() || matches!(self.0.get(&key(path)), Some((_, Node::Directory, _)))
    }

    fn is_file(&self, path: &str) -> bool {
        matches!(self.0.get(&key(path)), Some((_, Node::File(_), _)))
    }

    fn has_children(&self, path: &str) -> bool {
        let prefix = key(path) + "/";
        self.0.keys().any(|k| k.starts_with(&prefix))
    }

    /// The path as its parents are written on disk.
    fn written(&self, path: &str) -> String {
        let above = parent(path);
        let name = &path[above.len()..];
        let above = self.0.get(&key(above)).map_or("", |(p, ..)| p);
        format!("{above}{name}")
    }

    fn write(&mut self, path: &str, bytes: Vec<u8>, mtime: i64) -> bool {
        if !self.is_dir(parent(path)) || self.is_dir(path) {
            return false;
        }
        // A replaced file keeps its name as it stands.
        let name = self.0.get(&key(path)).map_or_else(|| self.written(path), |(p, ..)| p.clone());
        self.0.insert(key(path), (name, Node::File(bytes), mtime));
        true
    }

    fn mkdir(&mut self, path: &str, mtime: i64) -> bool {
        if !self.is_dir(parent(path)) || self.is_file(path) {
            return false;
        }
        let name = self.0.get(&key(path)).map_or_else(|| self.written(path), |(p, ..)| p.clone());
        self.0.insert(key(path), (name, Node::Directory, mtime));
        true
    }

    fn rename(&mut self, old: &str, new: &str) -> bool {
        let (old_key, new_key) = (key(old), key(new));
        let inside = new_key.starts_with(&(old_key.clone() + "/"));
        if !self.0.contains_key(&old_key) || !self.is_dir(parent(new)) || inside {
            return false;
        }
        if old_key != new_key && self.0.contains_key(&new_key) {
            let compatible = self.is_dir(old) == self.is_dir(new);
            if !compatible || self.has_children(new) {
                return false;
            }
        }
        let target = self.written(new);
        let prefix = old_key.clone() + "/";
        let moved: Vec<String> =
            self.0.keys().filter(|k| **k == old_key || k.starts_with(&prefix)).cloned().collect();
        let moved: Vec<_> = moved.iter().filter_map(|k| self.0.remove(k)).collect();
        self.0.remove(&new_key);
        for (path, node, mtime) in moved {
            let path = target.clone() + &path[old.len()..];
            self.0.insert(key(&path), (path, node, mtime));
        }
        true
    }
}

const NAMES: [&str; 14] = [
    "A",
    "cmdline.txt",
    "CMDLINE.TXT",
    "overlays",
    "A long name with spaces.txt",
    "bcm2711-rpi-4-b.dtb",
    "bcm2711-rpi-400.dtb",
    "grüße.dtbo",
    "x.y.z",
    ".hidden",
    "exactly13char",
    "KERNEL8.IMG",
    "日本語のとても長いファイル名です.txt",
    "nested",
];

fn path(random: &mut Random, model: &Model) -> String {
    let directories: Vec<&str> = std::iter::once("")
        .chain(model.0.values().filter(|n| n.1 == Node::Directory).map(|n| n.0.as_str()))
        .filter(|d| d.matches('/').count() < 4)
        .collect();
    let directory = directories[random.below(directories.len())];
    format!("{directory}/{}", NAMES[random.below(NAMES.len())])
}

/// One random edit on both; they must agree on whether it is possible.
fn step(random: &mut Random, model: &mut Model, tree: &mut FatTree<Window>, dir: &Path) {
    let mtime = 946_684_800 + 2 * random.below(800_000_000) as i64;
    let at = path(random, model);
    let bytes = at.as_bytes();
    let (text, expected, done) = match random.below(10) {
        0..=3 => {
            let most = [1, 600, 9000, 70_000][random.below(4)];
            let len = random.below(most);
            let data: Vec<u8> = (0..len).map(|_| random.below(256) as u8).collect();
            let content = if random.below(3) == 0 {
                let file = dir.join("payload");
                std::fs::write(&file, &data).expect("payload");
                let kept = dir.join(format!("payload-{}", random.below(usize::MAX >> 1)));
                std::fs::rename(&file, &kept).expect("payload");
                Content::Payload(Payload::file(&kept).expect("payload"))
            } else {
                Content::Bytes(data.clone())
            };
            let done = tree.write(bytes, content, attributes(mtime));
            if matches!(done, Err(Error::NoSpace { .. })) {
                return;
            }
            (format!("write {at} {len}"), model.write(&at, data, mtime), done)
        }
        4 | 5 => {
            let done = tree.mkdir(bytes, attributes(mtime));
            (format!("mkdir {at}"), model.mkdir(&at, mtime), done)
        }
        6 => {
            let possible = model.is_file(&at);
            if possible {
                model.0.remove(&key(&at));
            }
            (format!("rm {at}"), possible, tree.remove_file(bytes))
        }
        7 => {
            let possible = model.is_dir(&at) && !model.has_children(&at);
            if possible {
                model.0.remove(&key(&at));
            }
            (format!("rmdir {at}"), possible, tree.remove_dir(bytes))
        }
        8 => {
            let to = path(random, model);
            let done = tree.rename(bytes, to.as_bytes());
            (format!("mv {at} {to}"), model.rename(&at, &to), done)
        }
        _ => {
            let possible = match model.0.get_mut(&key(&at)) {
                Some(found) => {
                    found.2 = mtime;
                    true
                }
                None => false,
            };
            (format!("touch {at}"), possible, tree.set_attributes(bytes, attributes(mtime)))
        }
    };
    assert_eq!(done.is_ok(), expected, "{text}: {done:?}");
}

/// Our own reader agrees with the model.
fn compared(model: &Model, tree: &FatTree<Window>) {
    let mut seen = 0;
    let mut waiting = vec![String::new()];
    while let Some(directory) = waiting.pop() {
        let at = if directory.is_empty() { "/" } else { &directory };
        for entry in tree.read_dir(at.as_bytes()).expect("directory") {
            let path = format!("{directory}/{}", String::from_utf8(entry.name).expect("UTF-8"));
            let (name, node, mtime) = &model.0[&key(&path)];
            assert_eq!(name, &path);
            let metadata = tree.metadata(path.as_bytes()).expect("metadata").expect("exists");
            assert_eq!(metadata.attributes.mtime, *mtime, "{path}");
            seen += 1;
            match node {
                Node::Directory => {
                    assert_eq!(entry.kind, FileKind::Directory);
                    waiting.push(path);
                }
                Node::File(data) => {
                    assert_eq!(metadata.size, data.len() as u64);
                    let mut bytes = vec![0; data.len() + 10];
                    let len = tree.read_at(path.as_bytes(), 0, &mut bytes).expect("content");
                    assert!(bytes[..len] == data[..], "{path}");
                }
            }
        }
    }
    assert_eq!(seen, model.0.len());
}

/// mtools finds exactly the model's files, with their content.
fn compared_with_mtools(model: &Model, image: &Path, dir: &Path) {
    let out = dir.join("out");
    let _ = std::fs::remove_dir_all(&out);
    std::fs::create_dir(&out).expect("folder");
    if model.0.is_empty() {
        return;
    }
    let (image, target) = (image.to_string_lossy(), out.to_string_lossy());
    run("mcopy", &["-s", "-n", "-Q", "-m", "-i", &image, "::*", &target]);
    let mut found = BTreeMap::new();
    let mut waiting = vec![out.clone()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).expect("folder").flatten() {
            let path = entry.path();
            let relative = path.strip_prefix(&out).expect("inside").to_string_lossy().into_owned();
            let node = if path.is_dir() {
                waiting.push(path);
                Node::Directory
            } else {
                let modified = entry.metadata().and_then(|m| m.modified()).expect("time");
                let since = modified.duration_since(std::time::UNIX_EPOCH).expect("after 1970");
                let listed = &model.0[&key(&format!("/{relative}"))];
                assert_eq!(since.as_secs() as i64, listed.2, "{relative}");
                Node::File(std::fs::read(&path).expect("file"))
            };
            found.insert(format!("/{relative}"), node);
        }
    }
    let expected: BTreeMap<_, _> =
        model.0.values().map(|(path, node, _)| (path.clone(), node.clone())).collect();
    assert!(found == expected, "{:?}\n{:?}", found.keys(), expected.keys());
}

fn script(kind: (&[&str], u32), seed: u64) -> String {
    let dir = tempfile::tempdir().expect("dir");
    let base = made(dir.path(), kind);
    let (image, mut tree) = opened(&base);
    let mut random = Random(seed);
    let mut model = Model::default();
    let out = dir.path().join("edited.img");
    for _ in 0..3 {
        for _ in 0..random.below(40) {
            step(&mut random, &mut model, &mut tree, dir.path());
        }
        tree.commit().expect("commit");
        assert_eq!(tree.check().expect("check"), Vec::<String>::new());
    }
    compared(&model, &tree);
    let digest = saved(&image, &tree, &out);
    judged(&out);
    compared_with_mtools(&model, &out, dir.path());
    let (_, reopened) = opened(&out);
    compared(&model, &reopened);
    assert_eq!(reopened.label(), "bootfs");
    assert_eq!(reopened.volume_id(), "4F1A-2B3C");
    digest
}

#[test]
fn random_scripts_leave_sound_file_systems() {
    let count = std::env::var("BAKE_FAT_SCRIPTS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    for kind in KINDS {
        for seed in 1..=count {
            let outcome = std::panic::catch_unwind(|| script(kind, seed));
            assert!(outcome.is_ok(), "mkfs.vfat {:?} {} KiB, seed {seed}", kind.0, kind.1);
        }
    }
}

#[test]
fn the_same_edits_give_the_same_bytes() {
    for kind in KINDS {
        assert_eq!(script(kind, 77), script(kind, 77));
    }
}

#[test]
fn a_crowded_directory_grows_and_shrinks() {
    for kind in [KINDS[1], KINDS[4]] {
        let dir = tempfile::tempdir().expect("dir");
        let (image, mut tree) = opened(&made(dir.path(), kind));
        tree.mkdir(b"/overlays", attributes(1_000_000_000)).expect("mkdir");
        let name = |i: usize| format!("/overlays/overlay-number-{i}.dtbo").into_bytes();
        for i in 0..600 {
            let data = vec![i as u8; i % 700];
            tree.write(&name(i), Content::Bytes(data), attributes(1_000_000_000)).expect("write");
        }
        for i in (0..600).step_by(3) {
            tree.remove_file(&name(i)).expect("remove");
        }
        tree.rename(b"/overlays", b"/moved").expect("rename");
        tree.commit().expect("commit");
        assert_eq!(tree.check().expect("check"), Vec::<String>::new());
        let out = dir.path().join("out.img");
        saved(&image, &tree, &out);
        judged(&out);
        assert_eq!(tree.read_dir(b"/moved").expect("directory").len(), 400);
    }
}

#[test]
fn a_full_file_system_says_so_and_stays_as_it_was() {
    let dir = tempfile::tempdir().expect("dir");
    let (image, mut tree) = opened(&made(dir.path(), KINDS[0]));
    tree.write(b"/keep", Content::Bytes(vec![1; 5000]), attributes(0)).expect("write");
    let free = tree.free_bytes().expect("free");
    let too_much = Content::Bytes(vec![2; usize::try_from(free).expect("small") + 5121]);
    for path in [&b"/new"[..], b"/keep"] {
        let error = tree.write(path, too_much.clone(), attributes(0)).expect_err("full");
        assert!(matches!(error, Error::NoSpace { .. }), "{error}");
        assert_eq!(error.exit(), Exit::Failed);
    }
    let all = Content::Bytes(vec![3; usize::try_from(free).expect("small")]);
    tree.write(b"/all", all, attributes(0)).expect("the last byte");
    assert_eq!(tree.free_bytes().expect("free"), 0);
    tree.mkdir(b"/more", attributes(0)).expect_err("full");
    tree.commit().expect("commit");
    let out = dir.path().join("out.img");
    saved(&image, &tree, &out);
    judged(&out);
    let mut bytes = vec![0; 6000];
    assert_eq!(tree.read_at(b"/keep", 0, &mut bytes).expect("content"), 5000);
}

#[test]
fn a_fixed_root_directory_can_be_full() {
    let dir = tempfile::tempdir().expect("dir");
    let (image, mut tree) = opened(&made(dir.path(), KINDS[3]));
    let mut made = 0;
    let error = loop {
        let path = format!("/FILE{made}");
        match tree.write(path.as_bytes(), Content::Bytes(vec![7]), attributes(0)) {
            Ok(()) => made += 1,
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("root directory"), "{error}");
    assert!(made > 10, "{made}");
    tree.commit().expect("commit");
    saved(&image, &tree, &dir.path().join("out.img"));
    judged(&dir.path().join("out.img"));
}

#[test]
fn nothing_reaches_the_store_before_commit() {
    let dir = tempfile::tempdir().expect("dir");
    let (image, mut tree) = opened(&made(dir.path(), KINDS[4]));
    tree.write(b"/a", Content::Bytes(vec![1; 9999]), attributes(0)).expect("write");
    assert!(image.lock().expect("image").changed().is_empty());
    drop(tree);
    assert!(image.lock().expect("image").changed().is_empty());
    let mut tree = FatTree::open(Window::whole(image.clone()), 0).expect("FAT");
    tree.commit().expect("nothing to commit");
    assert!(image.lock().expect("image").changed().is_empty());
}

#[test]
fn names_that_fat_cannot_hold_are_refused() {
    let dir = tempfile::tempdir().expect("dir");
    let (_, mut tree) = opened(&made(dir.path(), KINDS[2]));
    let long = format!("/{}", "x".repeat(256)).into_bytes();
    for name in [&b"/a:b"[..], b"/a?", b"/trailing.", b"/space ", b"/\xff", b"/\x01", &long, b"/"] {
        let error = tree.write(name, Content::Bytes(vec![]), attributes(0)).expect_err("refused");
        assert_eq!(error.exit(), Exit::Usage, "{error}");
    }
    let fits = format!("/{}", "x".repeat(255)).into_bytes();
    tree.write(&fits, Content::Bytes(vec![]), attributes(0)).expect("255 fit");
    tree.symlink(b"/l", b"t", attributes(0)).expect_err("no links on FAT");
}

/// What check() says of damage that fsck.vfat finds as well.
#[test]
fn damage_is_found() {
    for kind in [KINDS[2], KINDS[4]] {
        let dir = tempfile::tempdir().expect("dir");
        let (image, mut tree) = opened(&made(dir.path(), kind));
        tree.mkdir(b"/d", attributes(0)).expect("mkdir");
        tree.write(b"/d/a", Content::Bytes(vec![1; 5000]), attributes(0)).expect("write");
        tree.write(b"/d/b", Content::Bytes(vec![2; 5000]), attributes(0)).expect("write");
        tree.commit().expect("commit");
        let out = dir.path().join("good.img");
        saved(&image, &tree, &out);
        let good = std::fs::read(&out).expect("image");
        let at =
            |needle: &[u8]| good.windows(needle.len()).position(|w| w == needle).expect("there");
        let (a, b) = (at(b"A          \x20"), at(b"B          \x20"));
        let dotdot = at(b"..         \x10");
        type Damage<'a> = Box<dyn Fn(&mut Vec<u8>) + 'a>;
        let damages: [(&str, Damage<'_>); 4] = [
            ("another file", Box::new(|i| i.copy_within(a + 26..a + 28, b + 26))),
            ("need", Box::new(|i| i[b + 29] = 0xff)),
            ("belong to no file", Box::new(|i| i[b] = 0xe5)),
            ("`..`", Box::new(|i| i[dotdot + 26] = 9)),
        ];
        for (words, damage) in damages {
            let mut bad = good.clone();
            damage(&mut bad);
            let path = dir.path().join("bad.img");
            std::fs::write(&path, &bad).expect("image");
            let (_, tree) = opened(&path);
            let faults = tree.check().expect("check");
            assert!(faults.iter().any(|f| f.contains(words)), "{words}: {faults:?}");
        }
    }
}

#[test]
fn mutated_file_systems_never_panic_or_hang() {
    for kind in [KINDS[0], KINDS[4]] {
        let dir = tempfile::tempdir().expect("dir");
        let (image, mut tree) = opened(&made(dir.path(), kind));
        tree.mkdir(b"/d", attributes(0)).expect("mkdir");
        tree.write(b"/d/long name.txt", Content::Bytes(vec![1; 5000]), attributes(0)).expect("ok");
        tree.commit().expect("commit");
        let used = tree.used().expect("used");
        let out = dir.path().join("good.img");
        saved(&image, &tree, &out);
        let head = usize::try_from(used[0].end + 8192).expect("small");
        let good = std::fs::read(&out).expect("image")[..head].to_vec();
        let spots: Vec<usize> =
            (0..head).filter(|&i| i < 96 || good[i] != 0 || i % 512 < 4).collect();
        let mut random = Random(5);
        for _ in 0..400 {
            let mut bytes = good.clone();
            for _ in 0..=random.below(4) {
                bytes[spots[random.below(spots.len())]] = random.below(256) as u8;
            }
            bake::fs::fat::exercise(&bytes, u64::from(kind.1) * 1024);
        }
    }
}
