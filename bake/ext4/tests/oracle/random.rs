//! Random scripts over every small kind; each ends with e2fsck and a kernel mount.

use std::path::Path;

use crate::apply::{open, step};
use crate::generate::Author;
use crate::host::copy_sparse;
use crate::judge::{kernel_view, verdict};
use crate::kinds::{Kind, SMALL};
use crate::rng::Rng;
use crate::script::Op;
use crate::tree::Tree;

/// Scripts a run of the test goes through; `ci/soak` raises it.
const SCRIPTS: &str = "EXT4_EDIT_SCRIPTS";
/// Runs one script only.
const SEED: &str = "EXT4_EDIT_SEED";
const DEFAULT_SCRIPTS: u64 = 304;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, not {text}")))
}

/// Two halves, so that two processors share the work.
#[test]
fn scripts_of_even_seeds() {
    run_scripts(0);
}

#[test]
fn scripts_of_odd_seeds() {
    run_scripts(1);
}

fn run_scripts(parity: u64) {
    let count = number(SCRIPTS).unwrap_or(DEFAULT_SCRIPTS);
    let seeds = number(SEED).map_or(0..count, |seed| seed..seed + 1);
    let mut bases: Vec<Option<Tree>> = SMALL.iter().map(|_| None).collect();
    let mut faults = Vec::new();
    for seed in seeds.filter(|n| n % 2 == parity) {
        // Pairs of seeds share a kind, so that both halves see all of them.
        let index = usize::try_from(seed / 2).expect("small") % SMALL.len();
        let kind = &SMALL[index];
        let base = bases[index].get_or_insert_with(|| kernel_view(&kind.image()));
        if let Err(fault) = run_script(kind, base, seed) {
            faults.push(format!("seed {seed} on {}: {fault}\nagain: {SEED}={seed}", kind.name));
        }
        if faults.len() > 7 {
            break;
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

fn run_script(kind: &Kind, base: &Tree, seed: u64) -> Result<(), String> {
    let scratch = crate::host::scratch();
    let image = scratch.path().join("image");
    copy_sparse(&kind.image(), &image);
    let mut tree = base.clone();
    let author = Author {
        rng: Rng::new(seed),
        largest: if seed.is_multiple_of(7) { 9 << 20 } else { 600_000 },
        late_times: !kind.options.contains(&"128"),
    };
    play(&image, &mut tree, author, 20 + seed % 120)?;
    verdict(&image, &tree)
}

/// Plays edits drawn by `author`, committing what it leaves uncommitted.
pub fn play(image: &Path, tree: &mut Tree, mut author: Author, count: u64) -> Result<(), String> {
    let mut fs = open(image).map_err(|e| format!("opening: {e}"))?;
    let mut played = Vec::new();
    for _ in 0..count {
        let op = author.next(tree);
        played.push(op.to_string());
        if let Err(fault) = step(&mut fs, tree, &op) {
            let from = played.len().saturating_sub(8);
            return Err(format!("{fault}\n  {}", played[from..].join("\n  ")));
        }
        if matches!(op, Op::Commit) {
            drop(fs);
            fs = open(image).map_err(|e| format!("opening again: {e}"))?;
        }
    }
    fs.commit().map_err(|e| format!("committing: {e}"))
}
