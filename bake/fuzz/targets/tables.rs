//! Partition tables: MBR with logical partitions, GPT; read, and the last partition grown.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = bake::disk::exercise(data);
});
