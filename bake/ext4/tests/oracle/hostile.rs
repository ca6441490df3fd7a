//! Hostile images: whatever the bytes, opening, walking, checking, editing, growing and committing
//! end in an answer or an error, soon. (`ci/fuzz` does the same for longer, guided by coverage.)

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::exercise::exercise;
use crate::kinds::TINY;
use crate::memory::Memory;
use crate::rng::Rng;

/// Mutated images a run goes through.
const IMAGES: &str = "EXT4_EDIT_HOSTILE";
const DEFAULT_IMAGES: u64 = 3000;
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn mutated_images_end_in_an_answer() {
    let count = std::env::var(IMAGES).map_or(DEFAULT_IMAGES, |n| n.parse().expect("a number"));
    let bases: Vec<Vec<u8>> =
        TINY.iter().map(|k| std::fs::read(k.image()).expect("reading an image")).collect();
    for seed in 0..count {
        let mut rng = Rng::new(seed);
        let mut image = rng.pick(&bases).clone();
        mutate(&mut image, &mut rng);
        let script = rng.bytes(40);
        let begin = Instant::now();
        let done = catch_unwind(AssertUnwindSafe(|| exercise(Memory(image), &script)));
        assert!(done.is_ok(), "seed {seed} panicked (see above)");
        let took = begin.elapsed();
        assert!(took < PATIENCE, "seed {seed} took {took:?}");
    }
}

/// Changes a few fields among the kibibytes that are not empty.
fn mutate(image: &mut [u8], rng: &mut Rng) {
    let used: Vec<usize> = (0..image.len() / 1024)
        .filter(|n| image[n * 1024..][..1024].iter().any(|b| *b != 0))
        .collect();
    for _ in 0..1 + rng.below(12) {
        // Half of all changes hit superblock, descriptors, bitmaps and the first inodes.
        let chunk = if rng.once_in(2) {
            used[usize::try_from(rng.below(40)).expect("small") % used.len()]
        } else {
            *rng.pick(&used)
        };
        let at = chunk * 1024 + usize::try_from(rng.below(1020)).expect("small") / 4 * 4;
        let old = u32::from_le_bytes([image[at], image[at + 1], image[at + 2], image[at + 3]]);
        let new = match rng.below(7) {
            0 => old.wrapping_add(1),
            1 => old ^ (1 << rng.below(32)),
            2 => u32::MAX,
            3 => 0,
            4 => u32::try_from(rng.below(5000)).expect("small"),
            5 => old.rotate_left(16),
            _ => u32::try_from(rng.next() >> 32).expect("half"),
        };
        image[at..at + 4].copy_from_slice(&new.to_le_bytes());
    }
}
