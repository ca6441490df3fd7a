//! Keys, signatures and signed texts of OpenPGP that strangers made or changed. Whatever they did,
//! nothing is believed but what the key's owner signed.
//!
//! An input is a byte that chooses the file, then what [`patched`] does to it.
#![no_main]

mod patched;

use std::sync::LazyLock;

use bake::openpgp::{Cleartext, Keyring, verify};
use patched::{patched, unarmoured};

const SUMS: &[u8] = include_bytes!("../../tests/fetch/openpgp/SHA256SUMS");
const SIGNATURE: &[u8] = include_bytes!("../../tests/fetch/openpgp/SHA256SUMS.gpg");
const UBUNTU: &[u8] = include_bytes!("../../../images/keys/ubuntu-cdimage-2012.asc");
const CLEAR: [&str; 2] = [
    include_str!("../../tests/fetch/openpgp/clear.asc"),
    include_str!("../../tests/fetch/openpgp/rfc9580.asc"),
];
const ITS_KEYS: [&[u8]; 2] = [
    include_bytes!("../../tests/fetch/openpgp/clear-key.asc"),
    include_bytes!("../../tests/fetch/openpgp/rfc9580-key.asc"),
];
/// 2026-11-26.
const NOW: u64 = 1_795_651_200;

struct Sound {
    /// Every owner's.
    keys: Keyring,
    /// Without armour: Ubuntu's, then those of the texts.
    key_files: Vec<Vec<u8>>,
    signature: Vec<u8>,
    /// What each of [`CLEAR`] says.
    texts: Vec<String>,
}

static SOUND: LazyLock<Sound> = LazyLock::new(|| {
    let files = [UBUNTU, ITS_KEYS[0], ITS_KEYS[1]];
    let mut keys = Keyring::default();
    assert_eq!(files.map(|file| keys.add("owners", file)), [1; 3]);
    verify(SUMS, SIGNATURE, &keys, NOW).expect("the list is signed");
    let text = |message| {
        let clear = Cleartext::parse(message).expect("a signed text");
        clear.verify(&keys, NOW).expect("the text is signed");
        clear.text()
    };
    let texts = CLEAR.map(text).to_vec();
    let key_files = files.map(unarmoured).to_vec();
    Sound { keys, key_files, signature: unarmoured(SIGNATURE), texts }
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&which, patches)) = input.split_first() else { return };
    match which % 8 {
        0 => signature(&patched(&SOUND.signature, patches)),
        1 => signature(&patched(SIGNATURE, patches)),
        n @ 2..=4 => key(&patched(&SOUND.key_files[usize::from(n) - 2], patches)),
        n @ 5..=6 => clear(usize::from(n) - 5, patches),
        _ => {
            key(patches);
            signature(patches);
        }
    }
});

fn signature(bytes: &[u8]) {
    let _ = verify(SUMS, bytes, &SOUND.keys, NOW);
    let forged = verify(b"what nobody signed", bytes, &SOUND.keys, NOW);
    assert!(forged.is_err(), "believed: {forged:?}");
}

/// Adds a stranger's file to the keys: what the owners said of theirs still holds, and whoever had
/// signed before has.
fn key(bytes: &[u8]) {
    let mut alone = Keyring::default();
    alone.add("a stranger's", bytes);
    if let Ok(by) = verify(SUMS, SIGNATURE, &alone, NOW) {
        assert_eq!(by, ["843938DF228D22F7B3742BC0D94AA3F0EFE21092"]);
    }
    let mut all = SOUND.keys.clone();
    all.add("a stranger's", bytes);
    assert!(SOUND.keys.keys().iter().all(|key| all.keys().contains(key)));
}

fn clear(which: usize, patches: &[u8]) {
    let bytes = patched(CLEAR[which].as_bytes(), patches);
    let Ok(message) = std::str::from_utf8(&bytes) else { return };
    let Ok(clear) = Cleartext::parse(message) else { return };
    if clear.verify(&SOUND.keys, NOW).is_ok() {
        assert_eq!(clear.text(), SOUND.texts[which]);
    }
}
