//! Files of the age format that strangers made or changed: no key opens anything but what was sealed.
//!
//! An input is a byte that chooses the file, then what [`patched`] does to it.
#![no_main]

mod patched;

use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;

use age::armor::ArmoredReader;
use bake::io::sealed::{self, Keys, Lock};
use nodeconf::Secret;
use patched::{patched, unarmoured};

const SEALED: &[u8] = include_bytes!("bases/sealed.age");
/// Sealed with the passphrase "correct horse", which is hardened 2^3 times.
const BY_HEART: &[u8] = include_bytes!("bases/passphrase.age");
const CONTENT: &[u8] = b"server token: correct horse battery staple\n";
/// Passphrases that are hardened more often are not tried: that takes what it takes.
const MOST: u8 = 10;

static BINARY: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| [SEALED, BY_HEART].map(unarmoured));
static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/targets/bases/key.txt");
    Keys::new(vec![Path::new(key).into()], |_| Ok(Some(Secret::new("correct horse"))))
});

libfuzzer_sys::fuzz_target!(
    init: {
        for sound in [SEALED, BY_HEART] {
            assert_eq!(**sealed::open("sound", sound, &KEYS).expect("it opens").content, *CONTENT);
        }
    },
    |input: &[u8]| {
        let Some((&which, patches)) = input.split_first() else { return };
        match which % 6 {
            0 => open(&patched(SEALED, patches)),
            1 => open(&patched(BY_HEART, patches)),
            2 => open(&patched(&BINARY[0], patches)),
            3 => open(&patched(&BINARY[1], patches)),
            4 => open(patches),
            _ => {
                let _ = Lock::of(&[String::from_utf8_lossy(patches).into_owned()]);
            }
        }
    }
);

fn open(bytes: &[u8]) {
    if costs_much(bytes) {
        return;
    }
    if let Ok(opened) = sealed::open("a stranger's", bytes, &KEYS) {
        assert_eq!(**opened.content, *CONTENT);
    }
}

/// Whether a passphrase would be hardened more than [`MOST`] times.
fn costs_much(bytes: &[u8]) -> bool {
    let mut binary = Vec::new();
    // Up to the damage, where there is any.
    let _ = ArmoredReader::new(bytes).read_to_end(&mut binary);
    let text = String::from_utf8_lossy(&binary);
    let mut hardened = text.lines().filter(|line| line.starts_with("-> scrypt "));
    hardened.any(|line| line.rsplit(' ').any(|n| n.parse().is_ok_and(|n: u64| n > MOST.into())))
}
