//! Judged by OpenSSL.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// What OpenSSL says, and whether it is content.
fn openssl(arguments: &[&str], files: &[(&str, &Path)]) -> (bool, String) {
    let mut command = Command::new("openssl");
    command.args(arguments);
    for (option, path) in files {
        command.args(Some(*option).filter(|o| !o.is_empty())).arg(path);
    }
    let out = command.output().expect("openssl");
    let all = [out.stdout, out.stderr].concat();
    (out.status.success(), String::from_utf8_lossy(&all).into_owned())
}

fn leaf<'a>(name: &'a str, organizations: &'a [&'a str], usage: Usage) -> Leaf<'a> {
    Leaf { name, organizations, dns: &[], addresses: &[], usage, until: None }
}

#[test]
fn openssl_verifies_what_is_issued_and_only_for_its_use() {
    let desk = Desk::new();
    let ca = authority("a CA", Some(0), Form::Pkcs8).unwrap();
    let other = authority("a CA", Some(0), Form::Pkcs8).unwrap();
    let both = issue(&ca, &leaf("both", &[], Usage::Both)).unwrap();
    let server = issue(&ca, &leaf("server", &[], Usage::Server)).unwrap();
    let client = issue(&ca, &leaf("client", &["a", "b"], Usage::Client)).unwrap();
    let ca = desk.put("ca", &ca.certificate);
    let other = desk.put("other", &other.certificate);
    for (identity, serves, connects) in
        [(&both, true, true), (&server, true, false), (&client, false, true)]
    {
        let file = desk.put("leaf", &identity.certificate);
        for (purpose, fit) in [("sslserver", serves), ("sslclient", connects)] {
            let line = ["verify", "-x509_strict", "-purpose", purpose];
            let (good, said) = openssl(&line, &[("-CAfile", &ca), ("", &file)]);
            assert_eq!(good, fit, "{purpose}: {said}");
            assert!(!openssl(&line, &[("-CAfile", &other), ("", &file)]).0);
        }
        // A board's clock may be years behind, or many ahead.
        for (time, fit) in [("946684801", true), ("4102000000", true), ("946684799", false)] {
            let line = ["verify", "-attime", time];
            assert_eq!(openssl(&line, &[("-CAfile", &ca), ("", &file)]).0, fit, "{time}");
        }
    }
}

#[test]
fn openssl_reads_keys_in_both_forms_as_the_certificates_own() {
    let desk = Desk::new();
    for (form, head) in [(Form::Pkcs8, "PRIVATE KEY"), (Form::Sec1, "EC PRIVATE KEY")] {
        let ca = authority("a CA", None, form).unwrap();
        assert!(ca.key.expose().starts_with(&format!("-----BEGIN {head}-----\n")));
        let (key, certificate) =
            (desk.put("key", ca.key.expose()), desk.put("crt", &ca.certificate));
        let (good, said) = openssl(&["ec", "-check", "-noout"], &[("-in", &key)]);
        assert!(good && said.contains("EC Key valid"), "{said}");
        let (_, of_key) = openssl(&["pkey", "-pubout"], &[("-in", &key)]);
        let (_, of_certificate) = openssl(&["x509", "-noout", "-pubkey"], &[("-in", &certificate)]);
        assert!(of_key.contains("BEGIN PUBLIC KEY"));
        assert_eq!(of_key, of_certificate);
        assert!(issue(&ca, &leaf("x", &[], Usage::Client)).is_ok(), "its own key signs");
    }
}

#[test]
fn authorities_have_what_k3s_asks_for() {
    let desk = Desk::new();
    let ca = desk.put("ca", &authority("a CA", None, Form::Sec1).unwrap().certificate);
    let (_, text) = openssl(&["x509", "-noout", "-text"], &[("-in", &ca)]);
    for wanted in [
        "X509v3 Key Usage: critical",
        "Digital Signature, Key Encipherment, Certificate Sign",
        "X509v3 Basic Constraints: critical",
        "CA:TRUE",
        "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier",
        "Not Before: Jan  1 00:00:00 2000 GMT",
        "Not After : Dec 31 00:00:00 2099 GMT",
        "NIST CURVE: P-256",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}

#[test]
fn a_cross_certificate_leads_to_its_issuer_and_replaces_the_own_one() {
    let desk = Desk::new();
    let root = authority("a root", None, Form::Pkcs8).unwrap();
    let ca = authority("a CA", None, Form::Sec1).unwrap();
    let cross = desk.put("cross", &cross_sign(&root, "a CA", &ca).unwrap());
    let server = issue(&ca, &leaf("server", &[], Usage::Server)).unwrap();
    let server = desk.put("server", &server.certificate);
    let root = desk.put("root", &root.certificate);
    let line = ["verify", "-x509_strict"];
    let (good, said) = openssl(&line, &[("-CAfile", &root), ("-untrusted", &cross), ("", &server)]);
    assert!(good, "{said}");
    assert!(!openssl(&line, &[("-CAfile", &root), ("", &server)]).0);
}

#[test]
fn every_organisation_is_in_the_subject() {
    let desk = Desk::new();
    let ca = authority("a CA", None, Form::Sec1).unwrap();
    let groups = ["dev", "ops:admins", &"é".repeat(64)];
    for count in 0..=groups.len() {
        let made = issue(&ca, &leaf("jane", &groups[..count], Usage::Client)).unwrap();
        let file = desk.put("leaf", &made.certificate);
        let line = ["x509", "-noout", "-subject", "-nameopt", "RFC2253,utf8,-esc_msb"];
        let (_, said) = openssl(&line, &[("-in", &file)]);
        // RFC 2253 names the last first.
        let all: String = groups[..count].iter().rev().map(|g| format!(",O={g}")).collect();
        assert_eq!(said.trim(), format!("subject=CN=jane{all}"));
    }
}

#[test]
fn names_that_no_certificate_holds_are_usage_errors() {
    let ca = authority("a CA", None, Form::Sec1).unwrap();
    let long = "x".repeat(65);
    for name in ["", "a\nb", long.as_str()] {
        let error = issue(&ca, &leaf(name, &[], Usage::Client)).unwrap_err();
        assert_eq!(error.exit(), crate::error::Exit::Usage, "{name}");
        assert!(issue(&ca, &leaf("fine", &[name, "b"], Usage::Client)).is_err());
    }
}

#[test]
fn damage_is_not_quoted() {
    let mut ca = authority("a CA", None, Form::Sec1).unwrap();
    let key = ca.key.expose().to_owned();
    let body = key.lines().nth(1).unwrap().to_owned();
    for damaged in [key.replace('M', "N"), key[..60].to_owned(), String::new()] {
        ca.key = Secret::new(damaged);
        let error = issue(&ca, &leaf("x", &[], Usage::Client)).unwrap_err();
        assert!(!format!("{error:?}").contains(&body[..20]));
    }
    assert!(!format!("{ca:?}").contains(&body));
}

#[test]
fn the_end_may_be_nearer() {
    let desk = Desk::new();
    let ca = authority("a CA", None, Form::Sec1).unwrap();
    let until = Some(1_790_000_000);
    let made = issue(&ca, &Leaf { until, ..leaf("x", &["g"], Usage::Client) }).unwrap();
    let file = desk.put("leaf", &made.certificate);
    let (_, said) = openssl(&["x509", "-noout", "-enddate"], &[("-in", &file)]);
    assert_eq!(said.trim(), "notAfter=Sep 21 14:13:20 2026 GMT");
}
