//! Patches small file systems and does everything with them that can be done: no input may end in
//! a panic, a hang or unbounded memory.
//!
//! An input is 24 bytes of edits, then patches: where (3 bytes, little-endian, modulo the image's
//! kibibytes in use times 1,024), how many bytes (1), the bytes. The images are those `ci/fuzz`
//! has made, in the directory named by `BAKE_FUZZ_IMAGES`.
#![no_main]

#[path = "../../ext4/tests/oracle/exercise.rs"]
mod exercise;
#[path = "../../ext4/tests/oracle/memory.rs"]
mod memory;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

const SCRIPT: usize = 24;

struct Base {
    image: Vec<u8>,
    /// Kibibytes that are not all zero.
    used: Vec<usize>,
}

fn bases() -> &'static [Base] {
    static BASES: OnceLock<Vec<Base>> = OnceLock::new();
    BASES.get_or_init(|| {
        let directory = std::env::var("BAKE_FUZZ_IMAGES").expect("BAKE_FUZZ_IMAGES is not set");
        let mut paths: Vec<_> = std::fs::read_dir(directory)
            .expect("listing the images")
            .map(|entry| entry.expect("listing the images").path())
            .filter(|path| path.extension().is_some_and(|e| e == "img"))
            .collect();
        paths.sort();
        assert!(!paths.is_empty(), "no images in BAKE_FUZZ_IMAGES");
        paths.iter().map(|path| load(std::fs::read(path).expect("reading an image"))).collect()
    })
}

fn load(image: Vec<u8>) -> Base {
    let used = |n: &usize| image[n * 1024..][..1024].iter().any(|b| *b != 0);
    let used = (0..image.len() / 1024).filter(used).collect();
    Base { image, used }
}

fuzz_target!(|input: &[u8]| {
    let Some((&which, rest)) = input.split_first() else { return };
    if rest.len() < SCRIPT {
        return;
    }
    let (script, mut patches) = rest.split_at(SCRIPT);
    let base = &bases()[usize::from(which) % bases().len()];
    let mut image = base.image.clone();
    while let [a, b, c, len, rest @ ..] = patches {
        let at = usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16;
        let at = base.used[at / 1024 % base.used.len()] * 1024 + at % 1024;
        let len = usize::from(*len % 16).min(rest.len()).min(image.len() - at);
        image[at..at + len].copy_from_slice(&rest[..len]);
        patches = &rest[len..];
    }
    exercise::exercise(memory::Memory(image), script);
});
