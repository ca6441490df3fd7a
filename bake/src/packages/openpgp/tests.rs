use proptest::prelude::*;

use super::*;

/// What `gpg --clearsign` makes of a text with a line that starts with a dash.
const MESSAGE: &str = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nSuite: x  \n- --dash\n\
                       -----BEGIN PGP SIGNATURE-----\n\niHUE\n-----END PGP SIGNATURE-----\n";

#[test]
fn cleartext_is_taken_apart() {
    let clear = Cleartext::parse(MESSAGE).unwrap();
    assert_eq!(clear.text, "Suite: x\n--dash");
    assert_eq!(clear, Cleartext::parse(&MESSAGE.replace('\n', "\r\n")).unwrap());
    for (from, to) in [
        ("-----BEGIN PGP SIGNED", "x\n-----BEGIN PGP SIGNED"),
        ("- --dash", "--dash"),
        ("Hash: SHA256", "Hush: SHA256"),
        ("SIGNATURE-----\n\niHUE", "NOTHING-----\n\niHUE"),
        ("-----END PGP SIGNATURE-----\n", "-----END PGP SIGNATURE-----\nSuite: y\n"),
    ] {
        assert!(Cleartext::parse(&MESSAGE.replacen(from, to, 1)).is_err(), "{from}");
    }
}

#[test]
fn armour_is_taken_off() {
    let text = b"-----BEGIN PGP SIGNATURE-----\nVersion: x\n\naGVs\nbG8=\n=abcd\n-----END PGP SIGNATURE-----\n";
    assert_eq!(armor::decode(text).unwrap(), b"hello");
    assert_eq!(armor::decode(&text[..60]), None, "it must end");
    assert_eq!(armor::decode(b"plain"), None);
    assert_eq!(armor::decode(&[0x99, 1]).unwrap(), [0x99, 1]);
}

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
        prop_assert!(verify(b"data", &bytes, &keys, 0).is_err());
        prop_assert!(verify(b"data", &packet, &keys, 0).is_err());
    }

    #[test]
    fn any_text_is_refused_calmly(text in "\\PC{0,80}") {
        prop_assert!(Cleartext::parse(&text).is_err());
        let inside = format!("-----BEGIN PGP SIGNATURE-----\n\n{text}\n-----END PGP SIGNATURE-----\n");
        prop_assert!(verify(b"data", inside.as_bytes(), &Keyring::default(), 0).is_err());
    }
}
