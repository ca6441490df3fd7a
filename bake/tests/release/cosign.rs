//! Private keys in cosign's own form. Python's hashlib and NaCl (libsodium) make them; OpenSSL verifies.

use std::fs::{self, File};
use std::process::{Command, Output};

use super::{bench, run, text};

const PASSWORD: &str = "correct horse";

/// What go-securesystemslib's `encrypted` does, with what is to be wrong about it.
const SEAL: &str = r#"
import base64, hashlib, json, os, subprocess, sys
import nacl.secret
key, out, label, cost, password, wrong = sys.argv[1:]
der = subprocess.check_output(["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", key, "-outform", "DER"])
salt, nonce = os.urandom(32), os.urandom(24)
box = hashlib.scrypt(password.encode(), salt=salt, n=1 << int(cost), r=8, p=1, maxmem=1 << 29, dklen=32)
text = nacl.secret.SecretBox(box).encrypt(der, nonce).ciphertext
b64 = lambda data: base64.b64encode(data).decode()
sealed = {
    "kdf": {"name": "scrypt", "params": {"N": 1 << int(cost), "r": 8, "p": 1}, "salt": b64(salt)},
    "cipher": {"name": "nacl/secretbox", "nonce": b64(nonce)},
    "ciphertext": b64(text),
}
exec(wrong)
body = base64.encodebytes(json.dumps(sealed, separators=(",", ":")).encode()).decode()
open(out, "w").write(f"-----BEGIN {label}-----\n{body}-----END {label}-----\n")
"#;

const LABEL: &str = "ENCRYPTED SIGSTORE PRIVATE KEY";

struct Keys(super::Bench);

impl Keys {
    fn new() -> Self {
        let bench = bench();
        let [key, public] = ["plain.key", "cosign.pub"].map(|name| text(&bench.path(name)));
        let curve = "ec_paramgen_curve:P-256";
        run("openssl", &["genpkey", "-algorithm", "EC", "-pkeyopt", curve, "-out", &key]);
        run("openssl", &["pkey", "-in", &key, "-pubout", "-out", &public]);
        Self(bench)
    }

    /// Writes the key once more, sealed.
    fn seal(&self, label: &str, cost: &str, password: &str, wrong: &str) {
        let [key, out] = ["plain.key", "cosign.key"].map(|name| text(&self.0.path(name)));
        run("/usr/bin/python3", &["-c", SEAL, &key, &out, label, cost, password, wrong]);
    }

    /// Releases, in a session that has no terminal.
    fn release(&self, variable: Option<&str>, more: &str) -> Output {
        let fixed = "release --profiles ./edge.yaml --out-dir dist --compress zst --cache-dir cache \
                     --k3s k3s --firstboot firstboot --sign-cosign cosign.key";
        let bake = env!("CARGO_BIN_EXE_bake");
        let script = format!("cd {}; exec {bake} {fixed} {more}", text(self.0.dir.path()));
        let mut command = Command::new("setsid");
        command.args(["--wait", "sh", "-c", &script]).env("SOURCE_DATE_EPOCH", "1750000000");
        command.env_remove("COSIGN_PASSWORD").stdin(File::open("/dev/null").unwrap());
        command.envs(variable.map(|password| ("COSIGN_PASSWORD", password)));
        command.output().unwrap()
    }

    fn signs(&self, variable: Option<&str>, more: &str) {
        let out = self.release(variable, more);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let verify = "base64 -d SHA256SUMS.sig >../raw.sig
            openssl dgst -sha256 -verify ../cosign.pub -signature ../raw.sig SHA256SUMS";
        let dist = text(&self.0.path("dist"));
        assert!(run("sh", &["-ec", &format!("cd {dist}; {verify}")]).contains("Verified OK"));
        fs::remove_file(self.0.path("dist/SHA256SUMS.sig")).unwrap();
    }

    fn refuses(&self, variable: Option<&str>, words: &str) {
        let out = self.release(variable, "");
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(2) && said.contains(words), "{words}: {said}");
        assert!(!said.contains(PASSWORD) && !said.contains("panicked"), "{said}");
        assert!(!self.0.path("dist").exists(), "{words}: nothing is baked before");
    }
}

#[test]
fn keys_that_cosign_encrypted_sign_with_its_password() {
    let keys = Keys::new();
    keys.seal(LABEL, "16", PASSWORD, "");
    keys.refuses(None, "--sign-cosign-password-fd N");
    keys.refuses(Some("wrong pony"), "the password is not this key's");
    keys.refuses(Some(""), "the password is not this key's");
    keys.signs(Some(PASSWORD), "");
    fs::write(keys.0.path("password"), format!("{PASSWORD}\n")).unwrap();
    keys.signs(Some("the file comes first"), "--sign-cosign-password-fd 3 3<password");
    // The label of before, the other costs, and no password, which is an empty one.
    for (cost, password) in [("15", PASSWORD), ("17", "")] {
        keys.seal("ENCRYPTED COSIGN PRIVATE KEY", cost, password, "");
        keys.signs(Some(password), "");
    }
}

/// A key that somebody changed could ask for all memory, or for days.
#[test]
fn keys_that_cosign_would_not_take_are_refused_unopened() {
    let keys = Keys::new();
    for (wrong, words) in [
        ("sealed['kdf']['params']['N'] = 1 << 40", "another cost of scrypt"),
        ("sealed['kdf']['params']['N'] = 3", "another cost of scrypt"),
        ("sealed['kdf']['params']['r'] = 1 << 30", "another cost of scrypt"),
        ("sealed['kdf']['params']['p'] = 1 << 30", "another cost of scrypt"),
        ("sealed['kdf']['params']['p'] = -1", "not what cosign writes"),
        ("sealed['kdf']['name'] = 'argon2'", "other means than scrypt"),
        ("sealed['cipher']['name'] = 'aes'", "other means than scrypt"),
        ("sealed['cipher']['nonce'] = 'AAAA'", "not what cosign writes"),
        ("sealed['ciphertext'] = '*'", "not what cosign writes"),
        ("del sealed['kdf']", "not what cosign writes"),
        ("sealed = []", "not what cosign writes"),
        ("sealed['ciphertext'] = ''", "the password is not this key's"),
        ("sealed['ciphertext'] = b64(text[:-1] + bytes([text[-1] ^ 1]))", "the password is not"),
        ("sealed['kdf']['salt'] = ''", "the password is not this key's"),
        (
            "sealed['ciphertext'] = b64(nacl.secret.SecretBox(box).encrypt(b'no key', nonce).ciphertext)",
            "none of P-256",
        ),
    ] {
        keys.seal(LABEL, "15", PASSWORD, wrong);
        keys.refuses(Some(PASSWORD), words);
    }
}
