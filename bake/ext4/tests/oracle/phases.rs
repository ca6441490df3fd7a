//! Fixed phases: the edits every bake makes, and the corners of the format, on every kind.

use std::path::Path;

use crate::apply::{Outcome, open, step};
use crate::host::copy_sparse;
use crate::judge::{kernel_view, verdict};
use crate::kinds::{DIRTY, Kind, LARGE_DIRECTORIES, REAL, SMALL};
use crate::script::{Blob, Op, Owner};
use crate::tree::{Tree, join};

const OWNER: Owner = Owner { mode: 0o644, uid: 0, gid: 0, mtime: 1_600_000_000 };

fn write(path: &str, len: usize) -> Op {
    let blob = Blob { seed: len as u64, len };
    Op::Write { path: path.into(), blob, payload: len > 10_000, owner: OWNER }
}

/// Plays one phase on a fresh copy and judges it.
fn phase(kind: &Kind, base: &Tree, name: &str, ops: &[Op]) {
    let scratch = crate::host::scratch();
    let image = scratch.path().join("image");
    copy_sparse(&kind.image(), &image);
    let mut tree = base.clone();
    run(&image, &mut tree, ops)
        .and_then(|()| verdict(&image, &tree))
        .unwrap_or_else(|fault| panic!("{name} on {}: {fault}", kind.name));
}

fn run(image: &Path, tree: &mut Tree, ops: &[Op]) -> Result<(), String> {
    let mut fs = open(image).map_err(|e| format!("opening: {e}"))?;
    for op in ops {
        match step(&mut fs, tree, op) {
            Ok(Outcome::Agreed | Outcome::NoRoom) => {}
            Err(fault) => return Err(format!("{op}: {fault}")),
        }
    }
    fs.commit().map_err(|e| format!("committing: {e}"))
}

fn on_all(kinds: &[Kind], name: &str, ops: impl Fn(&Tree) -> Vec<Op>) {
    for kind in kinds {
        let base = kernel_view(&kind.image());
        phase(kind, &base, name, &ops(&base));
    }
}

#[test]
fn nothing_changes_without_edits() {
    on_all(SMALL, "nothing", |_| Vec::new());
}

#[test]
fn recovery_shows_what_the_kernel_would() {
    on_all(DIRTY, "recovery", |_| Vec::new());
}

#[test]
fn recovered_file_systems_can_be_edited() {
    on_all(DIRTY, "edits after recovery", |tree| {
        let mut ops = vec![write("/etc/new", 50_000), write("/usr/bin/size-4096", 100)];
        ops.extend(
            tree.children(b"/round-2")
                .iter()
                .map(|n| Op::RemoveFile { path: join(b"/round-2", n) }),
        );
        ops.push(Op::RemoveDir { path: b"/round-2".to_vec() });
        ops
    });
}

#[test]
fn creating_and_removing_many() {
    on_all(SMALL, "many", |_| {
        let mut ops =
            vec![Op::Mkdir { path: b"/crowd".to_vec(), owner: Owner { mode: 0o755, ..OWNER } }];
        ops.extend(
            (0..500).map(|i| {
                write(&format!("/crowd/a-name-that-is-neither-short-nor-long-{i}"), i * 7)
            }),
        );
        ops.extend((0..500).step_by(3).map(|i| Op::RemoveFile {
            path: format!("/crowd/a-name-that-is-neither-short-nor-long-{i}").into(),
        }));
        ops
    });
}

#[test]
fn emptying_the_tree() {
    on_all(SMALL, "emptying", |tree| {
        // Deepest first: names sort after their directory.
        tree.names
            .keys()
            .rev()
            .filter(|p| *p != b"/" && *p != b"/lost+found")
            .map(|path| match tree.is_directory(path) {
                true => Op::RemoveDir { path: path.clone() },
                false => Op::RemoveFile { path: path.clone() },
            })
            .collect()
    });
}

#[test]
fn filling_to_the_last_block() {
    on_all(SMALL, "filling", |_| {
        let mut ops: Vec<Op> = (0..40).map(|i| write(&format!("/fill-{i}"), 3 << 20)).collect();
        ops.extend((0..200).map(|i| write(&format!("/etc/small-{i}"), 5000)));
        ops.extend((0..30).map(|i| Op::RemoveFile { path: format!("/fill-{}", i * 2).into() }));
        ops.extend((0..20).map(|i| write(&format!("/again-{i}"), 2 << 20)));
        ops
    });
}

#[test]
fn large_directories_stay_indexed() {
    on_all(LARGE_DIRECTORIES, "large directories", |tree| {
        let names = tree.children(b"/large");
        let mut ops: Vec<Op> = (0..700)
            .map(|i| write(&format!("/large/added-with-a-longer-name-than-the-others-{i}"), i % 3))
            .collect();
        ops.extend(names.iter().step_by(5).map(|n| Op::RemoveFile { path: join(b"/large", n) }));
        ops.extend(names.iter().skip(1).step_by(50).map(|n| Op::Rename {
            old: join(b"/large", n),
            new: join(b"/thinned", &[n, &b"-moved"[..]].concat()),
        }));
        ops
    });
}

#[test]
fn a_large_file_system_with_real_content() {
    on_all(&[REAL], "real content", |tree| {
        let mut ops = vec![write("/payload", 70_000_000)];
        ops.extend((0..200).map(|i| write(&format!("/etc/new-{i}"), i * 37)));
        let files = tree.names.keys().filter(|p| p.starts_with(b"/usr/") && !tree.is_directory(p));
        ops.extend(files.step_by(20).map(|path| Op::RemoveFile { path: path.clone() }));
        ops.extend((0..20).map(|i| write(&format!("/usr/large-{i}"), 9_000_000 + i)));
        ops
    });
}

#[test]
fn attributes_of_every_shape() {
    on_all(SMALL, "xattrs", |_| {
        let mut ops = Vec::new();
        let mut set = |path: &str, name: &str, value: Option<Vec<u8>>| {
            ops.push(Op::SetXattr { path: path.into(), name: name.into(), value });
        };
        for i in 0..12 {
            let path = format!("/xattrs/file-{i}");
            // Takes one of a shared block out of it, gives others more, empties others.
            match i % 4 {
                0 => set(&path, "user.shared", Some(vec![b'n'; 300])),
                1 => set(&path, "user.new", Some(vec![b'n'; 30 * i])),
                2 => {
                    set(&path, "user.shared", None);
                    set(&path, "trusted.shared", None);
                }
                _ => set(&path, "user.small", None),
            }
            set(&path, "user.empty", Some(Vec::new()));
        }
        set("/xattrs", "user.on-a-directory", Some(vec![b'x'; 90]));
        set("/xattrs/link", "trusted.on-a-link", None);
        ops.push(Op::RemoveFile { path: b"/xattrs/file-4".to_vec() });
        ops.push(write("/xattrs/file-6", 10));
        ops
    });
}
