use std::io::Cursor;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

/// A list that Ubuntu published and signed in August 2026.
const SUMS: &[u8] = include_bytes!("../../tests/fetch/openpgp/SHA256SUMS");
const SIGNATURE: &[u8] = include_bytes!("../../tests/fetch/openpgp/SHA256SUMS.gpg");
const UBUNTU: &[u8] = include_bytes!("../../../images/keys/ubuntu-cdimage-2012.asc");
const RASPBERRY: &[u8] = include_bytes!("../../../images/keys/raspberrypi-downloads-2017.asc");
/// 2026-11-26.
const NOW: u64 = 1_795_651_200;

fn keyring(files: &[&[u8]]) -> Keyring {
    let mut keys = Keyring::default();
    for file in files {
        assert_eq!(keys.add("test", file), 1);
    }
    keys
}

#[test]
fn a_list_that_ubuntu_signed_is_believed() {
    let keys = keyring(&[RASPBERRY, UBUNTU]);
    let by = detached(&mut Cursor::new(SUMS), SIGNATURE, &keys, NOW).unwrap();
    assert_eq!(by, ["843938DF228D22F7B3742BC0D94AA3F0EFE21092"]);
    let mut changed = SUMS.to_vec();
    changed[3] ^= 1;
    let fault = detached(&mut Cursor::new(changed), SIGNATURE, &keys, NOW).unwrap_err();
    assert!(fault.to_string().contains("does not fit"), "{fault}");
    let early = NOW - 365 * 86_400;
    let fault = detached(&mut Cursor::new(SUMS), SIGNATURE, &keys, early).unwrap_err();
    assert!(fault.to_string().contains("in the future (2026-08-27)"), "{fault}");
}

#[test]
fn a_key_that_is_not_in_the_keyring_is_named() {
    let keys = keyring(&[RASPBERRY]);
    let fault = detached(&mut Cursor::new(SUMS), SIGNATURE, &keys, NOW).unwrap_err();
    let Fault::UnknownKey { signers, .. } = fault else { panic!("{fault}") };
    assert_eq!(signers, ["843938DF228D22F7B3742BC0D94AA3F0EFE21092"]);
}

#[test]
fn keys_are_found_in_text_and_in_bytes_one_after_the_other() {
    let mut keys = Keyring::default();
    let both = [RASPBERRY, b"\nsomething else\n", UBUNTU].concat();
    assert_eq!(keys.add("both", &both), 2);
    assert_eq!(keys.only(&["54C3DD610D9D1B4AF82A37758738CD6B956F460C".into()]).keys().len(), 1);
    assert_eq!(keys.add("none", b"nothing"), 0);
}

/// A key lasts as long as its newest signature over itself says.
#[test]
fn an_expired_key_is_told_by_its_day() {
    let keys = keyring(&[RASPBERRY]);
    let until = keys.keys()[0].expires().unwrap();
    assert_eq!(until, 1_933_324_609, "2031-04-07, as GnuPG shows it");
}

/// Whatever happens to a file that is being read, the signature is not what is wrong.
#[test]
fn what_cannot_be_read_is_no_broken_signature() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    impl std::io::Seek for Broken {
        fn seek(&mut self, _: std::io::SeekFrom) -> std::io::Result<u64> {
            Ok(0)
        }
    }
    let fault = detached(&mut Broken, SIGNATURE, &keyring(&[UBUNTU]), NOW).unwrap_err();
    assert!(matches!(fault, Fault::Unreadable(_)), "{fault}");
}

/// What `gpg --clearsign` makes of a text with lines that start with dashes, and its key.
const MESSAGE: &str = include_str!("../../tests/fetch/openpgp/clear.asc");
const ITS_KEY: &[u8] = include_bytes!("../../tests/fetch/openpgp/clear-key.asc");

#[test]
fn cleartext_is_taken_apart() {
    let clear = Cleartext::parse(MESSAGE).unwrap();
    assert_eq!(clear.text(), "Suite: x\n--dash\n\n-----BEGIN PGP SIGNATURE-----\nlast");
    let dos = Cleartext::parse(&MESSAGE.replace('\n', "\r\n")).unwrap();
    assert_eq!(clear.text(), dos.text());
    for message in [clear, dos, Cleartext::parse(&format!("{MESSAGE}\n")).unwrap()] {
        let by = message.verify(&keyring(&[ITS_KEY]), NOW).unwrap();
        assert_eq!(by, ["9BEEA4526903F8C7F205DEFAEBBEE355ECF68059"]);
        let stranger = message.verify(&keyring(&[UBUNTU]), NOW).unwrap_err();
        assert!(matches!(stranger, Fault::UnknownKey { .. }), "{stranger}");
    }
    let changed = Cleartext::parse(&MESSAGE.replace("last", "lost")).unwrap();
    let fault = changed.verify(&keyring(&[ITS_KEY]), NOW).unwrap_err();
    assert!(fault.to_string().contains("does not fit"), "{fault}");
    let fifth = Cleartext::parse(&MESSAGE.replace("iHUE", "iHUF")).unwrap();
    let fault = fifth.verify(&keyring(&[ITS_KEY]), NOW).unwrap_err();
    assert!(fault.to_string().contains("not supported"), "{fault}");
    let long = "Suite: x\n".repeat(20_000);
    for (from, to) in [
        ("-----BEGIN PGP SIGNED", "x\n-----BEGIN PGP SIGNED"),
        ("-----BEGIN PGP SIGNED", "\n-----BEGIN PGP SIGNED"),
        ("- --dash", "--dash"),
        ("- -----BEGIN PGP SIGNATURE", "-----BEGIN PGP SIGNATURE"),
        ("Hash: SHA256", "Hush: SHA256"),
        ("\n-----BEGIN PGP SIGNATURE-----\n\niHUE", "\n-----BEGIN PGP NOTHING-----\n\niHUE"),
        ("iHUE", "i!UE"),
        ("-----END PGP SIGNATURE-----\n", "-----END PGP SIGNATURE-----\nSuite: y\n"),
        ("-----END PGP SIGNATURE-----\n", ""),
        ("Suite: x", &long),
    ] {
        assert!(MESSAGE.contains(from), "{from}");
        assert!(Cleartext::parse(&MESSAGE.replacen(from, to, 1)).is_err(), "{from}");
    }
}

/// The samples of RFC 9580 (A.3, A.6): keys and signatures of version 6.
#[test]
fn version_6_is_understood() {
    let keys = keyring(&[include_bytes!("../../tests/fetch/openpgp/rfc9580-key.asc")]);
    let message = include_str!("../../tests/fetch/openpgp/rfc9580.asc");
    let by = Cleartext::parse(message).unwrap().verify(&keys, NOW).unwrap();
    assert_eq!(by, ["CB186C4F0609A697E4D52DFA6C722B0C1F1E27C18A56708F6525EC27BAD9ACC9"]);
    let changed = Cleartext::parse(&message.replace("tofu", "meat")).unwrap();
    assert!(matches!(changed.verify(&keys, NOW), Err(Fault::Bad(_))));
}

#[test]
fn armour_is_taken_off() {
    let text = b"-----BEGIN PGP SIGNATURE-----\nVersion: x\n\naGVs\nbG8=\n=abcd\n-----END PGP SIGNATURE-----\n";
    assert_eq!(read::unarmoured(text).unwrap(), b"hello");
    assert_eq!(read::unarmoured(&text[..60]), None, "it must end");
    assert_eq!(read::unarmoured(b"plain"), None);
    assert_eq!(read::unarmoured(&[0x99, 1]).unwrap(), [0x99, 1]);
}

static UBUNTU_BINARY: LazyLock<Vec<u8>> = LazyLock::new(|| read::unarmoured(UBUNTU).unwrap());
static UBUNTU_ALONE: LazyLock<Keyring> = LazyLock::new(|| keyring(&[UBUNTU]));

proptest! {
    #[test]
    fn any_bytes_are_refused_calmly(bytes in proptest::collection::vec(any::<u8>(), 0..200), tag in 0_u8..64) {
        let mut keys = Keyring::default();
        keys.add("test", &bytes);
        // A packet of the kind, so that what is inside is looked at too.
        let mut packet = vec![0xC0 | tag, 0xFF];
        packet.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
        packet.extend_from_slice(&bytes);
        keys.add("test", &packet);
        // Nothing that is said of a key means anything unless it signed it.
        let mut about = UBUNTU_BINARY.clone();
        about.extend_from_slice(&packet);
        let mut ours = Keyring::default();
        prop_assert!(ours.add("test", &about) >= 1);
        prop_assert_eq!(&ours.keys()[0], &UBUNTU_ALONE.keys()[0]);
        prop_assert!(verify(b"data", &bytes, &keys, 0).is_err());
        prop_assert!(verify(b"data", &packet, &keys, 0).is_err());
    }

    /// What was signed and signatures that strangers changed somewhere.
    #[test]
    fn what_is_damaged_is_judged_calmly(
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4),
        cut in proptest::option::weighted(0.3, any::<usize>()),
    ) {
        let damaged = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            for (at, to) in &changes {
                let at = at % bytes.len();
                bytes[at] = *to;
            }
            bytes.truncate(cut.map_or(usize::MAX, |at| at % bytes.len()));
            bytes
        };
        let keys = &*UBUNTU_ALONE;
        let _ = verify(SUMS, &damaged(SIGNATURE), keys, NOW);
        let (text, signature) = MESSAGE.split_at(MESSAGE.rfind("-----BEGIN").unwrap());
        let message = [text.as_bytes(), &damaged(signature.as_bytes())].concat();
        if let Ok(message) = std::str::from_utf8(&message).map_err(drop).and_then(|m| Cleartext::parse(m).map_err(drop)) {
            let _ = message.verify(keys, NOW);
        }
        if damaged(SUMS) != SUMS {
            prop_assert!(verify(&damaged(SUMS), SIGNATURE, keys, NOW).is_err());
        }
        Keyring::default().add("test", &damaged(&UBUNTU_BINARY));
    }

    #[test]
    fn any_text_is_refused_calmly(text in "\\PC{0,80}") {
        prop_assert!(Cleartext::parse(&text).is_err());
        let inside = format!("-----BEGIN PGP SIGNATURE-----\n\n{text}\n-----END PGP SIGNATURE-----\n");
        prop_assert!(verify(b"data", inside.as_bytes(), &Keyring::default(), 0).is_err());
    }
}
