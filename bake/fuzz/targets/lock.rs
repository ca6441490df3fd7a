//! Lock files: YAML that a stranger wrote, to a lock or to the fault of it. What is read is written so
//! that it is read again.
#![no_main]

use std::sync::LazyLock;

use bake::lock::Lock;

static SEED: LazyLock<Lock> = LazyLock::new(|| {
    Lock::parse("the seed", include_str!("../seeds/lock/edge.lock.yaml"))
        .expect("the seed is a lock")
});

libfuzzer_sys::fuzz_target!(
    init: { LazyLock::force(&SEED); },
    |text: &str| {
        let Ok(lock) = Lock::parse("a stranger's", text) else { return };
        let written = lock.render().expect("a lock is YAML");
        assert_eq!(Lock::parse("ours", &written).expect("what we write is read"), lock);
        assert!(lock.changes(&lock).is_empty());
        let _ = (lock.changes(&SEED), SEED.changes(&lock));
    }
);
