//! age's own program, which Debian has, judges both ways.

use std::fs;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use super::*;

#[path = "../../../tests/support/terminal.rs"]
mod terminal;

use terminal::asked;

fn age(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    // A file, for a pipe that is written to the end before anything is read may fill up.
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input).unwrap();
    file.rewind().unwrap();
    let out = Command::new("age").args(arguments).stdin(file).output();
    let out = out.expect("age (ci/install-deps installs it)");
    assert!(out.status.success(), "age {arguments:?}");
    out.stdout
}

/// A new key's file and its recipient.
fn key(dir: &Path, name: &str) -> (PathBuf, String) {
    let path = dir.join(name);
    let made = Command::new("age-keygen").arg("-o").arg(&path).output().expect("age-keygen");
    assert!(made.status.success());
    let text = fs::read_to_string(&path).unwrap();
    let public = text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    (path, public.to_owned())
}

fn with(path: &Path) -> Keys {
    Keys::new(vec![path.to_owned()], |_| Ok(None))
}

fn knowing(text: &'static str) -> Keys {
    Keys::new(Vec::new(), move |_| Ok(Some(Secret::new(text))))
}

#[test]
fn what_we_seal_age_opens_and_the_other_way_round() {
    let dir = tempfile::tempdir().unwrap();
    let ((first, one), (second, two)) = (key(dir.path(), "one"), key(dir.path(), "two"));
    let sealed = seal(b"the content", &Lock::of(&[one.clone(), two.clone()]).unwrap()).unwrap();
    assert!(is_sealed(&sealed) && sealed.ends_with(b"-----END AGE ENCRYPTED FILE-----\n"));
    for path in [&first, &second] {
        assert_eq!(age(&["-d", "-i", path.to_str().unwrap()], &sealed), b"the content");
        assert_eq!(&**open("f", &sealed, &with(path)).unwrap().content, b"the content");
    }
    for armor in [&["-a"][..], &[]] {
        let theirs = age(&[armor, &["-r", &one]].concat(), b"theirs");
        assert!(is_sealed(&theirs));
        assert_eq!(&**open("f", &theirs, &with(&first)).unwrap().content, b"theirs");
        let stranger = open("f", &theirs, &with(&second)).unwrap_err();
        assert!(stranger.to_string().contains("none of the identities"), "{stranger}");
    }
}

#[test]
fn a_passphrase_opens_what_it_sealed_and_is_asked_for_once() {
    let sealed = seal(b"x", &Lock::Passphrase(Secret::new("correct horse"))).unwrap();
    let opened = open("f", &sealed, &knowing("correct horse")).unwrap();
    assert_eq!(opened.passphrase.as_ref().map(Secret::expose), Some("correct horse"));
    let wrong = open("f", &sealed, &knowing("battery staple")).unwrap_err();
    assert!(wrong.to_string().contains("wrong passphrase"), "{wrong}");
    let nobody = open("f", &sealed, &Keys::none()).unwrap_err();
    assert!(nobody.hints()[0].contains("--passphrase-fd"));
    let times = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&times);
    let keys = Keys::new(Vec::new(), move |_| {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(Some(Secret::new("correct horse")))
    });
    open("f", &sealed, &keys).unwrap();
    open("f", &sealed, &keys.clone()).unwrap();
    assert_eq!(times.load(std::sync::atomic::Ordering::Relaxed), 1);
}

/// Opening must not cost more than we are ready to spend, whatever a file asks for.
#[test]
fn a_passphrase_may_not_cost_too_much() {
    let sealed = seal(b"x", &Lock::Passphrase(Secret::new("correct horse"))).unwrap();
    let mut binary = Vec::new();
    ArmoredReader::new(&*sealed).read_to_end(&mut binary).unwrap();
    let at = binary.windows(4).position(|w| w == b" 17\n").expect("the cost of what we seal");
    for (cost, refused) in
        [(b"21", "2^21 times, more than 2^20"), (b"63", "2^63 times"), (b"01", "damaged")]
    {
        binary[at + 1..at + 3].copy_from_slice(cost);
        let fault = open("f", &binary, &knowing("correct horse")).unwrap_err();
        assert!(fault.to_string().contains(refused), "{fault}");
    }
}

/// Pieces are whole, partial and none at all.
#[test]
fn every_length_is_read_by_both() {
    let dir = tempfile::tempdir().unwrap();
    let (path, public) = key(dir.path(), "one");
    let lock = Lock::of(std::slice::from_ref(&public)).unwrap();
    for len in [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000] {
        let content: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        let sealed = seal(&content, &lock).unwrap();
        assert_eq!(age(&["-d", "-i", path.to_str().unwrap()], &sealed), content, "{len}");
        let theirs = age(&["-r", &public], &content);
        assert_eq!(**open("f", &theirs, &with(&path)).unwrap().content, *content, "{len}");
    }
}

/// age itself asks a terminal for a passphrase: `script` is one.
#[test]
fn age_opens_what_a_passphrase_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sealed");
    fs::write(&file, seal(b"by heart", &Lock::Passphrase(Secret::new("correct horse"))).unwrap())
        .unwrap();
    let clear = dir.path().join("clear");
    let command = format!("age -d -o {} {}", clear.display(), file.display());
    let (done, seen) = asked(Command::new("script"), &command, "passphrase: ", "correct horse");
    assert!(done, "{seen}");
    assert_eq!(fs::read(clear).unwrap(), b"by heart");
}

#[test]
fn damage_is_found_wherever_it_is_and_keys_are_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let (path, public) = key(dir.path(), "one");
    let binary = age(&["-r", &public], &[7; 200]);
    for at in 0..binary.len() {
        let mut broken = binary.clone();
        broken[at] ^= 1;
        assert!(open("f", &broken, &with(&path)).is_err(), "byte {at}");
        assert!(open("f", &binary[..at], &with(&path)).is_err(), "cut at {at}");
    }
    let private = fs::read_to_string(&path).unwrap();
    let private = private.lines().last().unwrap();
    let mistaken = Lock::of(&[private.to_owned()]).unwrap_err();
    assert!(!format!("{mistaken:?}").contains(private));
    fs::write(&path, format!("{private}x\n")).unwrap();
    let unreadable = open("f", &binary, &with(&path)).unwrap_err();
    assert!(unreadable.to_string().contains("line 1"), "{unreadable}");
    assert!(!format!("{unreadable:?}").contains(private));
    assert!(Lock::of(&[]).is_err() && !is_sealed(b"{\"version\": 2}"));
}
