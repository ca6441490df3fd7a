//! Where the password of a signing key comes from: an open file or a terminal, never the command
//! line.

use std::fs::File;
use std::process::{Command, Output};

use super::support::terminal::asked;
use super::{bench, run, text};

const PASSWORD: &str = "correct horse";

fn release(bench: &super::Bench) -> String {
    let fixed = "release --profiles ./edge.yaml --out-dir dist --compress zst --cache-dir cache \
                 --k3s k3s --firstboot firstboot --sign key";
    format!("cd {}; exec {} {fixed}", text(bench.dir.path()), env!("CARGO_BIN_EXE_bake"))
}

/// In a session of its own, which has no terminal.
fn without_terminal(bench: &super::Bench, more: &str, password: &str) -> Output {
    std::fs::write(bench.path("password"), format!("{password}\n")).unwrap();
    Command::new("setsid")
        .args(["--wait", "sh", "-c", &format!("{} {more}", release(bench))])
        .stdin(File::open(bench.path("password")).unwrap())
        .env("SOURCE_DATE_EPOCH", "1750000000")
        .env_remove("BAKE_SIGN_PASSWORD")
        .output()
        .unwrap()
}

/// Whether it succeeded at a terminal where `answer` was typed, and what was seen.
fn at_a_terminal(bench: &super::Bench, answer: &str) -> (bool, String) {
    let mut script = Command::new("script");
    script.env_remove("BAKE_SIGN_PASSWORD");
    asked(script, &release(bench), "password of key: ", answer)
}

#[test]
fn passwords_come_from_an_open_file_or_a_terminal() {
    let bench = bench();
    let (public, secret) = (text(&bench.path("key.pub")), text(&bench.path("key")));
    let make = format!(
        "printf '%s\\n%s\\n' '{PASSWORD}' '{PASSWORD}' | minisign -G -p {public} -s {secret}"
    );
    run("sh", &["-ec", &make]);
    let said = |out: &Output| String::from_utf8_lossy(&out.stderr).into_owned();
    for (more, expected) in [
        ("", "--sign-password-fd N"),
        ("--sign-password-fd 0", "the password is not this key's"),
        ("--sign-password 'wrong pony'", "--sign-password"),
    ] {
        let out = without_terminal(&bench, more, "wrong pony");
        assert!(out.status.code() == Some(2) && said(&out).contains(expected), "{}", said(&out));
        assert!(!bench.path("dist").exists(), "{more}: nothing is baked before");
    }
    let (done, seen) = at_a_terminal(&bench, "wrong pony");
    assert!(!done && seen.contains("the password is not this key's"), "{seen}");
    assert!(!seen.contains("wrong pony"), "{seen}");
    let out = without_terminal(&bench, "--sign-password-fd 3 3<&0", PASSWORD);
    assert!(out.status.success(), "{}", said(&out));
    run("minisign", &["-Vm", &text(&bench.path("dist/SHA256SUMS")), "-p", &public]);
}
