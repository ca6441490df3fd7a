//! Base images and their publishers' signatures. Keys and signatures are GnuPG's.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bake::catalogue::Catalogue;
use bake::error::{Error, Exit};
use bake::fetch::{Base, BaseRequest, Signature, SignedBy};
use bake::io::digest::Sha256;
use bake::job::fetch::locked_base;
use bake::lock::{Locked, VERSION};
use bake::openpgp::Keyring;
use bake::profile::ImageSource;

use super::server::{Reply, Server, file};
use super::support::run;
use super::{Bench, data};

/// A publisher with a key, a server and one image.
struct Publisher {
    bench: Bench,
    gpg: tempfile::TempDir,
    server: Server,
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    image: Vec<u8>,
    request: BaseRequest,
}

impl Publisher {
    fn new(by: SignedBy, algorithm: &str) -> Self {
        let files: Arc<Mutex<BTreeMap<String, Vec<u8>>>> = Arc::default();
        let served = files.clone();
        let server = Server::start(move |r| match served.lock().unwrap().get(&r.path) {
            Some(bytes) => file(r, bytes, "\"1\""),
            None => Reply::new("404 Not Found", ""),
        });
        let image = data(200_000);
        let gpg = tempfile::tempdir().unwrap();
        let request = BaseRequest {
            name: "an image".into(),
            url: server.url("/os/a.img"),
            sha256: Some(Sha256::of(&image)),
            size: None,
            image_sha256: None,
            image_size: None,
            signature: Some(Signature { by, keys: Vec::new() }),
        };
        let mut publisher = Self { bench: Bench::new(), gpg, server, files, image, request };
        let key = publisher.key(&[], algorithm, "never");
        publisher.request.signature.as_mut().unwrap().keys = vec![key.clone()];
        publisher.trust(&key);
        publisher.put("a.img", publisher.image.clone());
        publisher.sign(&[]);
        publisher
    }

    fn put(&self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.files.lock().unwrap().insert(format!("/os/{name}"), bytes.into());
    }

    fn path(&self, name: &str) -> PathBuf {
        self.gpg.path().join(name)
    }

    fn gpg(&self, arguments: &[&str]) -> String {
        let home = self.gpg.path().display().to_string();
        run(
            "gpg",
            &[&["--homedir", &home, "--batch", "--yes", "--quiet", "--passphrase", ""], arguments]
                .concat(),
        )
    }

    /// Makes a key and returns its fingerprint.
    fn key(&self, options: &[&str], algorithm: &str, expires: &str) -> String {
        let known = self.fingerprints();
        let make = ["--quick-gen-key", "A <a@example.org>", algorithm, "sign", expires];
        self.gpg(&[&["--pinentry-mode", "loopback"], options, &make].concat());
        self.fingerprints().into_iter().find(|key| !known.contains(key)).unwrap()
    }

    fn fingerprints(&self) -> Vec<String> {
        let listed = self.gpg(&["--list-keys", "--with-colons"]);
        let keys = listed.lines().filter_map(|l| l.strip_prefix("fpr:"));
        keys.map(|key| key.trim_matches(':').to_owned()).collect()
    }

    fn exported(&self, key: &str) -> Vec<u8> {
        let path = self.path("key.gpg");
        self.gpg(&["--output", &path.display().to_string(), "--export", key]);
        fs::read(path).unwrap()
    }

    /// Gives bake the publisher's key as it is now.
    fn trust(&mut self, key: &str) {
        let mut keyring = Keyring::default();
        keyring.add("key.gpg", &self.exported(key));
        self.bench.options.keyring = keyring;
    }

    fn expected_key(&self) -> String {
        self.request.signature.as_ref().unwrap().keys[0].clone()
    }

    /// Signs what it publishes, with `options`.
    fn sign(&self, options: &[&str]) {
        let (name, signature, content) = match self.request.signature.as_ref().unwrap().by {
            SignedBy::Detached => ("a.img", "a.img.sig", self.image.clone()),
            SignedBy::Sums => {
                let other = Sha256::of(b"another");
                let list = format!("{other} *b.img\n{} *a.img\n", Sha256::of(&self.image));
                ("SHA256SUMS", "SHA256SUMS.gpg", list.into_bytes())
            }
        };
        let (path, out) = (self.path(name), self.path(signature));
        fs::write(&path, &content).unwrap();
        let (path, out_text) = (path.display().to_string(), out.display().to_string());
        self.gpg(&[options, &["--output", &out_text, "--detach-sign", &path]].concat());
        self.put(name, content);
        self.put(signature, fs::read(out).unwrap());
    }

    fn base(&self) -> Result<Base, Error> {
        self.bench.fetcher().base(&self.request)
    }

    /// Why it was not believed, with exit status 3 and nothing left in the cache.
    fn refused(&self, part: &str) -> Error {
        let error = self.base().expect_err(part);
        assert_eq!(error.exit(), Exit::Verification, "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(!self.bench.files("bases").iter().any(|f| f.ends_with(".img")), "{part}");
        error
    }
}

const BOTH: [SignedBy; 2] = [SignedBy::Detached, SignedBy::Sums];

#[test]
fn what_the_publisher_signed_is_believed_and_remembered() {
    for (by, algorithm) in [
        (BOTH[0], "rsa3072"),
        (BOTH[1], "ed25519"),
        (BOTH[0], "ed25519"),
        (BOTH[1], "rsa4096"),
        (BOTH[0], "nistp256"),
        (BOTH[1], "nistp384"),
        (BOTH[0], "nistp521"),
    ] {
        let mut publisher = Publisher::new(by, algorithm);
        publisher.bench.options.require_signature = true;
        let base = publisher.base().unwrap();
        let key = publisher.expected_key();
        assert_eq!(base.verified.to_string(), format!("digest, signature by {key}"));
        let asked = publisher.server.requests().len();
        publisher.bench.options.offline = true;
        let base = publisher.base().unwrap();
        assert_eq!(base.verified.signed_by, Some(key), "{algorithm}");
        assert_eq!(publisher.server.requests().len(), asked, "nothing is asked again");
    }
}

#[test]
fn a_kind_of_key_that_is_weak_or_not_understood_is_refused() {
    for (algorithm, reason) in [
        ("brainpoolP256r1", "ECDSA over brainpoolP256r1 is not supported"),
        ("secp256k1", "ECDSA over secp256k1 is not supported"),
        ("dsa2048", "algorithm 17 is not supported"),
        ("rsa1024", "RSA of 1024 bits is too weak"),
    ] {
        Publisher::new(SignedBy::Detached, algorithm).refused(reason);
    }
}

#[test]
fn a_signature_over_text_holds_whatever_ends_its_lines() {
    let publisher = Publisher::new(SignedBy::Sums, "nistp256");
    publisher.sign(&["--textmode"]);
    let list = publisher.files.lock().unwrap()["/os/SHA256SUMS"].clone();
    let dos = String::from_utf8(list).unwrap().replace('\n', "\r\n");
    publisher.put("SHA256SUMS", dos.clone());
    publisher.base().unwrap();
    // One over bytes does not.
    let publisher = Publisher::new(SignedBy::Sums, "nistp256");
    publisher.put("SHA256SUMS", dos);
    publisher.refused("does not fit");
}

#[test]
fn a_signature_over_other_bytes_is_refused() {
    for by in BOTH {
        let publisher = Publisher::new(by, "ed25519");
        let signed = if by == SignedBy::Sums { "SHA256SUMS.gpg" } else { "a.img.sig" };
        let sound = publisher.files.lock().unwrap()[&format!("/os/{signed}")].clone();
        fs::write(publisher.path("other"), "other bytes").unwrap();
        let (other, out) = (publisher.path("other"), publisher.path("out"));
        let (other, out_text) = (other.display().to_string(), out.display().to_string());
        publisher.gpg(&["--output", &out_text, "--detach-sign", &other]);
        publisher.put(signed, fs::read(out).unwrap());
        publisher.refused("does not fit");
        publisher.put(signed, "what is this?");
        publisher.refused("no OpenPGP signature");
        publisher.put(signed, &sound[..sound.len() - 9]);
        publisher.refused("does not hold");
        publisher.put(signed, sound);
        publisher.base().unwrap();
    }
}

#[test]
fn another_key_than_the_publishers_is_refused_even_if_it_is_trusted() {
    for by in BOTH {
        let mut publisher = Publisher::new(by, "ed25519");
        let other = publisher.key(&[], "ed25519", "never");
        publisher.sign(&["--local-user", &other]);
        let error = publisher.refused(&format!("is signed by {other}, not by"));
        assert!(error.to_string().contains(&publisher.expected_key()), "{error}");
        publisher.trust(&other);
        publisher.refused(&format!("is signed by {other}, not by"));
    }
}

#[test]
fn keys_that_expired_or_were_revoked_are_refused() {
    let mut publisher = Publisher::new(SignedBy::Detached, "ed25519");
    let past = ["--faked-system-time", "20200101T000000"];
    let old = publisher.key(&past, "ed25519", "1y");
    publisher.request.signature.as_mut().unwrap().keys = vec![old.clone()];
    publisher.trust(&old);
    publisher.sign(&["--faked-system-time", "20200301T000000", "--local-user", &old]);
    publisher.refused("the key expired on 2020-12-31");

    // An old copy, shipped perhaps, does not hide one that its owner has made last longer.
    let before = publisher.exported(&old);
    publisher.gpg(&["--faked-system-time", "20200601T000000", "--quick-set-expire", &old, "0"]);
    let after = publisher.exported(&old);
    for copies in [[&before, &after], [&after, &before]] {
        publisher.bench.options.keyring = Keyring::default();
        for copy in copies {
            assert_eq!(publisher.bench.options.keyring.add("copy", copy), 1);
        }
        let base = publisher.base().unwrap();
        assert_eq!(base.verified.to_string(), format!("digest, signature by {old}"));
        publisher.bench.dir = tempfile::tempdir().unwrap();
    }

    let revoked = publisher.key(&[], "ed25519", "never");
    publisher.request.signature.as_mut().unwrap().keys = vec![revoked.clone()];
    publisher.sign(&["--local-user", &revoked]);
    let unrevoked = publisher.exported(&revoked);
    // GnuPG keeps a revocation for every key it makes, with a colon before it for safety.
    let text =
        fs::read_to_string(publisher.path("openpgp-revocs.d").join(format!("{revoked}.rev")));
    fs::write(publisher.path("rev"), text.unwrap().replace(":-----BEGIN", "-----BEGIN")).unwrap();
    publisher.gpg(&["--import", &publisher.path("rev").display().to_string()]);
    publisher.trust(&revoked);
    publisher.refused("the key was revoked");
    publisher.bench.options.keyring.add("copy from before", &unrevoked);
    publisher.refused("the key was revoked");
}

#[test]
fn what_could_not_be_verified_is_said_or_refused() {
    for by in BOTH {
        let mut publisher = Publisher::new(by, "ed25519");
        publisher.bench.options.keyring = Keyring::default();
        publisher.bench.options.require_signature = true;
        let error = publisher.refused("a key bake does not have");
        assert!(error.hints()[0].contains("--keyring"), "{:?}", error.hints());
        let signed = if by == SignedBy::Sums { "SHA256SUMS.gpg" } else { "a.img.sig" };
        publisher.files.lock().unwrap().remove(&format!("/os/{signed}"));
        publisher.refused("not there");
        publisher.bench.options.require_signature = false;
        let base = publisher.base().unwrap();
        assert_eq!(base.verified.to_string(), "digest");
        assert!(publisher.bench.log.text().contains("not there"));
        // What is in the cache now has no signature, and that counts too.
        publisher.bench.options.require_signature = true;
        publisher.bench.options.offline = true;
        assert_eq!(publisher.base().unwrap_err().exit(), Exit::Verification);
    }
    let mut unsigned = Publisher::new(SignedBy::Sums, "ed25519");
    unsigned.request.signature = None;
    unsigned.bench.options.require_signature = true;
    unsigned.refused("nothing says how its publisher signs it");
}

#[test]
fn what_came_before_signatures_were_required_is_verified_later() {
    for by in BOTH {
        let mut publisher = Publisher::new(by, "ed25519");
        let keyring = std::mem::take(&mut publisher.bench.options.keyring);
        assert_eq!(publisher.base().unwrap().verified.signed_by, None);
        publisher.bench.options.keyring = keyring;
        publisher.bench.options.require_signature = true;
        let before = publisher.server.requests().len();
        assert!(publisher.base().unwrap().verified.signed_by.is_some());
        let asked = publisher.server.requests().split_off(before);
        let again = asked.iter().any(|r| r.path == "/os/a.img");
        assert_eq!(again, by == SignedBy::Detached, "a list needs no second download");
    }
}

#[test]
fn a_signed_list_says_what_the_image_must_be() {
    let mut publisher = Publisher::new(SignedBy::Sums, "ed25519");
    publisher.request.sha256 = None;
    let base = publisher.base().unwrap();
    assert_eq!(base.source_sha256, Some(Sha256::of(&publisher.image)));
    let mut other = Publisher::new(SignedBy::Sums, "ed25519");
    let changed: Vec<u8> = other.image.iter().map(|b| !b).collect();
    other.put("a.img", changed.clone());
    other.refused("sha256");
    // The digest that is known, and the list, contradict each other.
    other.request.sha256 = Some(Sha256::of(&changed));
    other.refused("the list signed by");
    other.request.sha256 = None;
    other.refused("sha256");
    let mut unlisted = Publisher::new(SignedBy::Sums, "ed25519");
    unlisted.request.url = unlisted.server.url("/os/c.img");
    unlisted.request.sha256 = None;
    assert_eq!(unlisted.base().unwrap_err().exit(), Exit::Refused);
}

/// Somebody else's lock says what was verified where it was made; here it is verified again.
#[test]
fn a_locked_image_of_the_catalogue_is_verified_by_its_signature_too() {
    let mut publisher = Publisher::new(SignedBy::Detached, "ed25519");
    publisher.bench.options.require_signature = true;
    let (url, key, folder) =
        (publisher.request.url.clone(), publisher.expected_key(), publisher.path("c"));
    let sha256 = Sha256::of(&publisher.image);
    fs::create_dir(&folder).unwrap();
    let entry = format!(
        "version: 1\nimages:\n  - {{id: mine, os: raspios, release: bookworm, version: '1', arch: arm64, \
         boards: [pi4], url: '{url}', format: raw, sha256: {sha256}, trust: confirmed, \
         signature: {{by: detached, keys: [{key}]}}}}\n"
    );
    fs::write(folder.join("mine.yaml"), entry).unwrap();
    let catalogue = Catalogue::load(Some(&folder)).unwrap();
    let lock = format!(
        "version: {VERSION}\nbake: '{}'\nprofile: p\ntime: 0\nbase: {{image: mine, architecture: arm64, source: '{url}', \
         sha256: {sha256}, image_size: {}, image_sha256: {sha256}}}\nparts: []\n",
        env!("CARGO_PKG_VERSION"),
        publisher.image.len()
    );
    fs::write(publisher.path("p.lock.yaml"), lock).unwrap();
    let locked = Locked::read(&publisher.path("p.lock.yaml")).unwrap().unwrap();
    let source = ImageSource::Id("mine".into());
    let base = |publisher: &Publisher| {
        locked_base(&publisher.bench.fetcher(), &catalogue, &source, &locked)
    };
    assert_eq!(base(&publisher).unwrap().verified.signed_by, Some(key));
    publisher.bench = Bench::new();
    publisher.bench.options.keyring = Keyring::default();
    assert_eq!(base(&publisher).unwrap().verified.signed_by, None, "its key is not at hand");
}
