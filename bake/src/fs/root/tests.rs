use super::*;
use crate::fs::testing::MemoryTree;

const DIR: Attributes = Attributes { mode: 0o755, uid: 0, gid: 0, mtime: 1 };

fn system() -> Root {
    let mut root = Root::new(Box::new(MemoryTree::default()));
    for dir in ["/etc", "/usr", "/usr/lib", "/boot", "/boot/firmware"] {
        root.mkdir(dir.as_bytes(), DIR).unwrap();
    }
    root.symlink(b"/lib", b"usr/lib", DIR).unwrap();
    root.symlink(b"/etc/up", b"../../../../usr", DIR).unwrap();
    root.symlink(b"/etc/out", b"/../lib/x", DIR).unwrap();
    root.symlink(b"/loop", b"/loop/again", DIR).unwrap();
    root.mount(b"/boot/firmware", Box::new(MemoryTree::default())).unwrap();
    root
}

fn put(root: &mut Root, path: &str, content: &str) {
    root.write(path.as_bytes(), Content::Bytes(content.into()), DIR).unwrap();
}

#[test]
fn links_are_followed_inside_the_image_only() {
    let mut root = system();
    put(&mut root, "/lib/x", "inside");
    for path in ["/usr/lib/x", "/etc/out", "/etc/up/lib/x", "//lib/./x", "/../lib/x"] {
        let found = root.read(path.as_bytes(), 100).unwrap();
        assert_eq!(found.as_deref(), Some(&b"inside"[..]), "{path}");
    }
    assert_eq!(root.lstat(b"/etc/out").unwrap().unwrap().kind, FileKind::Symlink);
}

#[test]
fn loops_end() {
    let root = system();
    assert!(matches!(root.read(b"/loop", 10), Err(Error::Corrupt { .. })));
    assert!(matches!(root.stat(b"/loop/a/b"), Err(Error::Corrupt { .. })));
}

#[test]
fn mounted_trees_hide_and_separate() {
    let mut root = system();
    put(&mut root, "/boot/firmware/cmdline.txt", "quiet");
    let trees: Vec<_> = root.trees().collect();
    assert!(trees[0].1.metadata(b"/boot/firmware/cmdline.txt").unwrap().is_none());
    assert!(trees[1].1.metadata(b"/cmdline.txt").unwrap().is_some());
    let across = root.hard_link(b"/boot/firmware/cmdline.txt", b"/etc/c");
    assert!(matches!(across, Err(Error::Usage(_))));
}

#[test]
fn what_is_missing_is_none_and_what_blocks_is_an_error() {
    let mut root = system();
    put(&mut root, "/etc/hostname", "pi");
    assert_eq!(root.stat(b"/etc/hostname/x").unwrap(), None);
    assert_eq!(root.read(b"/nowhere/at/all", 1).unwrap(), None);
    assert!(root.mkdir_all(b"/etc/hostname/x", DIR).is_err());
    root.mkdir_all(b"/lib/systemd/system", DIR).unwrap();
    assert!(root.stat(b"/usr/lib/systemd/system").unwrap().is_some());
    assert!(root.read(b"/etc/hostname", 1).is_err(), "larger than the limit");
}
