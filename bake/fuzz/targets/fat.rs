//! FAT12, FAT16 and FAT32: open, walk, check, edit.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    bake::fs::fat::exercise(data, 1 << 20);
});
