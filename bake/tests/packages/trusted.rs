//! From the key in the image down to each package, anything changed is refused. Signatures are
//! GnuPG's.

use bake::error::{Error, Exit};
use bake::packages::Staged;

use crate::archive::Archive;

fn archive() -> Archive {
    let mut archive = Archive::new();
    archive.deb("app", "1.0-1", "Depends: lib\n").deb("lib", "2:3.0", "");
    archive
}

fn names(staged: &[Staged]) -> Vec<&str> {
    staged.iter().map(|s| s.package.name.as_str()).collect()
}

/// The outcome is an error of verification whose text has `part`.
fn refused(outcome: Result<Vec<Staged>, Error>, part: &str) {
    let error = outcome.expect_err(part);
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    assert_eq!(error.exit(), Exit::Verification, "{text}");
    assert!(text.contains(part), "{text}");
}

#[test]
fn what_is_signed_is_staged_and_cached() {
    let archive = archive();
    archive.publish(&[]);
    let staged = archive.gather(&["app"]).unwrap();
    assert_eq!(names(&staged), ["lib", "app"]);
    assert_eq!(staged[0].package.file, "lib_2%3a3.0_amd64.deb");
    assert_eq!(staged[0].package.sha256, staged[0].deb.sha256().to_string());
    let asked = archive.server.requests().len();
    assert_eq!(names(&archive.gather_with(&["app"], true, None).unwrap()), ["lib", "app"]);
    assert_eq!(archive.server.requests().len(), asked, "offline asks nobody");
    std::fs::remove_dir_all(archive.path("cache")).unwrap();
    let error = archive.gather_with(&["app"], true, None).unwrap_err();
    assert!(
        matches!(&error, Error::Hinted { source, .. } if matches!(**source, Error::NotFound { .. })),
        "{error:?}"
    );
    assert!(error.hints().iter().any(|hint| hint.contains("--offline")), "{error:?}");
}

#[test]
fn anything_changed_is_refused() {
    let archive = archive();
    archive.publish(&[]);
    archive.tamper("dists/stable/InRelease", |text| {
        let at = text.windows(6).position(|w| w == b"stable").unwrap();
        text[at] = b'S';
    });
    refused(archive.gather(&["app"]), "does not fit");
    archive.publish(&[]);
    archive
        .tamper("dists/stable/InRelease", |text| text.splice(0..0, *b"Suite: x\n").for_each(drop));
    refused(archive.gather(&["app"]), "no signed text");
    archive.publish(&[]);
    archive.tamper("dists/stable/main/binary-amd64/Packages.xz", |bytes| bytes[20] ^= 1);
    refused(archive.gather(&["app"]), "sha256");
    archive.publish(&[]);
    archive.tamper("pool/app_1.0-1_amd64.deb", |bytes| *bytes.last_mut().unwrap() ^= 1);
    refused(archive.gather(&["app"]), "sha256");
}

#[test]
fn only_keys_of_the_image_count() {
    let archive = archive();
    archive.key("ed25519", "never");
    archive.publish(&[]);
    refused(archive.gather(&["app"]), &archive.fingerprint());
    refused(archive.gather(&["app"]), "/usr/share/keyrings/test.gpg");
    archive.trust();
    archive.gather(&["app"]).unwrap();
    // The same by fingerprint, and written into the source itself.
    let trusted = archive.path("tree/etc/apt/trusted.gpg.d");
    std::fs::create_dir(&trusted).unwrap();
    std::fs::copy(archive.path("tree/usr/share/keyrings/test.gpg"), trusted.join("a.gpg")).unwrap();
    archive.source(&format!("Signed-By: {}\n", archive.fingerprint()));
    archive.gather(&["app"]).unwrap();
    archive.source("Signed-By: 0000000000000000000000000000000000000000\n");
    refused(archive.gather(&["app"]), "none of");
    let armoured = archive.gpg(&["--armor", "--export"]);
    let field: String = armoured
        .lines()
        .map(|l| if l.is_empty() { " .\n".to_owned() } else { format!(" {l}\n") })
        .collect();
    archive.source(&format!("Signed-By:\n{field}"));
    archive.gather(&["app"]).unwrap();
}

#[test]
fn rsa_subkeys_and_detached_signatures_are_understood() {
    let archive = archive();
    archive.key("rsa3072", "never");
    archive.gpg(&["--quick-add-key", &archive.fingerprint(), "rsa2048", "sign", "never"]);
    archive.trust();
    archive.publish(&["--digest-algo", "SHA512"]);
    archive.gather(&["app"]).unwrap();
    let (plain, signature) = (archive.text("Release"), archive.text("Release.gpg"));
    archive.gpg(&["--output", &signature, "--detach-sign", &plain]);
    archive.files.lock().unwrap().remove("/debian/dists/stable/InRelease");
    archive.put("dists/stable/Release", std::fs::read(plain).unwrap());
    archive.put("dists/stable/Release.gpg", std::fs::read(signature).unwrap());
    archive.gather(&["app"]).unwrap();
    archive.tamper("dists/stable/Release", |text| text.push(b'\n'));
    refused(archive.gather(&["app"]), "does not fit");
    archive.files.lock().unwrap().remove("/debian/dists/stable/Release.gpg");
    let error = archive.gather(&["app"]).unwrap_err();
    assert!(error.to_string().contains("signed Release file"), "{error}");
}

#[test]
fn what_is_weak_or_out_of_date_is_refused() {
    let mut archive = archive();
    archive.publish(&["--digest-algo", "SHA1", "--allow-weak-digest-algos"]);
    refused(archive.gather(&["app"]), "too weak");
    archive.fields = "Valid-Until: Fri, 01 May 2026 00:00:00 UTC\n".into();
    archive.publish(&[]);
    refused(archive.gather(&["app"]), "valid until 2026-05-01");
    archive.source("Signed-By: /usr/share/keyrings/test.gpg\nCheck-Valid-Until: no\n");
    archive.gather(&["app"]).unwrap();
    archive.fields.clear();
    archive.gpg(&["--quick-set-expire", &archive.fingerprint(), "seconds=3600"]);
    archive.publish(&[]);
    archive.trust();
    archive.gather(&["app"]).unwrap();
    archive.later = 4000;
    refused(archive.gather(&["app"]), "the key expired on");
}
