//! Growth from and to many sizes, before and after edits, judged like any edit.

use std::fs::File;
use std::path::Path;

use ext4_edit::Error;

use crate::apply::open;
use crate::generate::Author;
use crate::host::copy_sparse;
use crate::judge::{complaints, kernel_view, verdict};
use crate::kinds::{DIRTY, Kind, LARGE_DIRECTORIES, SMALL};
use crate::random::play;
use crate::rng::Rng;
use crate::tree::Tree;

fn lengthen(image: &Path, len: u64) {
    let file = File::options().write(true).open(image).expect("opening an image");
    file.set_len(len).expect("lengthening an image");
}

fn grow(image: &Path, len: u64) -> Result<(), String> {
    lengthen(image, len);
    let mut fs = open(image).map_err(|e| format!("opening: {e}"))?;
    fs.grow(len).map_err(|e| format!("growing: {e}"))?;
    fs.commit().map_err(|e| format!("committing: {e}"))?;
    let short = len - fs.len();
    // What is too small for a group may stay unused: less than a group's own metadata.
    if short > 32 << 20 { Err(format!("{short} of {len} bytes stay unused")) } else { Ok(()) }
}

fn edits(image: &Path, tree: &mut Tree, seed: u64, late_times: bool) -> Result<(), String> {
    let author = Author { rng: Rng::new(seed), largest: 6 << 20, late_times };
    play(image, tree, author, 60)
}

/// Lengths to grow to from `from` bytes: odd ends, whole groups, a few times, many times.
fn lengths(from: u64) -> Vec<u64> {
    let mib = 1 << 20;
    vec![
        from + 65_536,
        from + mib + 1023,
        128 * mib,
        129 * mib,
        200 * mib,
        300 * mib + 4096,
        1100 * mib,
    ]
}

#[test]
fn growth_alone() {
    for kind in SMALL.iter().chain(&LARGE_DIRECTORIES[..1]) {
        let base = kernel_view(&kind.image());
        for len in lengths(kind.mib << 20) {
            on_copy(kind, &format!("to {len}"), |image| {
                grow(image, len)?;
                verdict(image, &base)
            });
        }
    }
}

#[test]
fn growth_between_edits() {
    for (n, kind) in SMALL.iter().enumerate() {
        let base = kernel_view(&kind.image());
        let late = !kind.options.contains(&"128");
        for (m, len) in lengths(kind.mib << 20).into_iter().enumerate().skip(n % 3).step_by(3) {
            on_copy(kind, &format!("to {len} between edits"), |image| {
                let mut tree = base.clone();
                let seed = (n * 100 + m) as u64;
                edits(image, &mut tree, seed, late)?;
                grow(image, len)?;
                edits(image, &mut tree, seed + 50, late)?;
                grow(image, len + (150 << 20))?;
                edits(image, &mut tree, seed + 70, late)?;
                verdict(image, &tree)
            });
        }
    }
}

#[test]
fn growth_and_edits_in_one_commit() {
    for kind in SMALL {
        let base = kernel_view(&kind.image());
        on_copy(kind, "in one commit", |image| {
            let mut tree = base.clone();
            let len = 260 << 20;
            lengthen(image, len);
            let mut fs = open(image).map_err(|e| e.to_string())?;
            fs.grow(len).map_err(|e| e.to_string())?;
            let late_times = !kind.options.contains(&"128");
            let mut author = Author { rng: Rng::new(5), largest: 30 << 20, late_times };
            for _ in 0..80 {
                let op = author.next(&tree);
                crate::apply::step(&mut fs, &mut tree, &op).map_err(|e| format!("{op}: {e}"))?;
            }
            fs.commit().map_err(|e| e.to_string())?;
            verdict(image, &tree)
        });
    }
}

#[test]
fn growth_after_recovery() {
    for kind in DIRTY {
        let base = kernel_view(&kind.image());
        on_copy(kind, "after recovery", |image| {
            grow(image, 500 << 20)?;
            verdict(image, &base)
        });
    }
}

#[test]
fn impossible_growth_says_what_is_possible() {
    let kind = crate::kinds::by_name("plain");
    on_copy(&kind, "too far", |image| {
        let len = 1 << 40;
        lengthen(image, len);
        let mut fs = open(image).map_err(|e| e.to_string())?;
        let refused = match fs.grow(len) {
            Err(Error::Resize { reason, .. }) => reason,
            other => return Err(format!("not refused: {other:?}")),
        };
        let most: u64 = refused
            .split(' ')
            .rev()
            .find_map(|word| word.parse().ok())
            .ok_or_else(|| format!("no limit in `{refused}`"))?;
        if fs.grow(1 << 20).is_ok() {
            return Err("shrinking was done".into());
        }
        fs.grow(most).map_err(|e| format!("the limit it named was refused: {e}"))?;
        fs.commit().map_err(|e| e.to_string())?;
        complaints(image).map_or(Ok(()), Err)
    });
}

fn on_copy(kind: &Kind, what: &str, test: impl FnOnce(&Path) -> Result<(), String>) {
    let scratch = crate::host::scratch();
    let image = scratch.path().join("image");
    copy_sparse(&kind.image(), &image);
    test(&image).unwrap_or_else(|fault| panic!("{} {what}: {fault}", kind.name));
}
