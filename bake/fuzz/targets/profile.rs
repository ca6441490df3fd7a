//! Profiles: YAML that a stranger wrote, to a checked profile or to every fault of it.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = bake::profile::parse(text);
});
