//! Compressed images: xz, gzip, zstd and zip by their magic, with bounded output and memory.
#![no_main]

use bake::io::decompress::{Limits, decompress};

const LIMITS: Limits = Limits { output: 64 << 20, memory: 256 << 20, threads: 1 };

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = decompress(data, LIMITS);
});
