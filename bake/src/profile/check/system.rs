//! Users, Wi-Fi, time zone, packages.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::profile::faults::Faults;
use crate::profile::path::{Path, at};
use crate::profile::raw;

pub fn check(raw: &raw::Profile, faults: &mut Faults<'_>) {
    let path = at!("system");
    let system = &raw.system;
    let zone = system.timezone.split('/').all(|part| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
    });
    if !zone {
        faults.add(&path.key("timezone"), "not a time zone: write one such as `Europe/Berlin`");
    }
    if system.locale.as_ref().is_some_and(|locale| !is_locale(locale)) {
        faults.add(&path.key("locale"), "not a locale: write one such as `en_GB.UTF-8`");
    }
    for (i, package) in system.packages.iter().enumerate() {
        if !is_package(package) {
            let message = format!("`{package}` cannot be the name of a Debian package");
            faults.add(&path.key("packages").index(i), message);
        }
    }
    check_users(raw, faults);
    if let Some(wifi) = &system.wifi {
        check_wifi(&path.key("wifi"), wifi, faults);
    }
}

fn check_users(raw: &raw::Profile, faults: &mut Faults<'_>) {
    let mut names = BTreeSet::new();
    for (i, user) in raw.system.users.iter().enumerate() {
        let path = at!("system", "users", i);
        if !is_user(&user.name) {
            let message = format!("`{}` cannot be a login name", user.name);
            let help = "use 1 to 32 of a-z, 0-9, `-` and `_`, a letter first";
            faults.advise(&path.key("name"), message, help);
        } else if user.name == "root" {
            faults.add(&path.key("name"), "root exists and stays locked: name another user");
        }
        if !names.insert(&user.name) {
            faults.add(&path.key("name"), format!("user `{}` stands here again", user.name));
        }
        if user.password_hash.as_ref().is_some_and(|hash| !is_hash(hash)) {
            faults.advise(
                &path.key("password_hash"),
                "not a hash of a password that Linux logins accept",
                "paste what `openssl passwd -6` prints, in single quotes",
            );
        }
        for (k, key) in user.ssh_keys.iter().enumerate() {
            if let Some(message) = key_fault(key) {
                faults.add(&path.key("ssh_keys").index(k), message);
            }
        }
        if user.password_hash.is_none() && user.ssh_keys.is_empty() {
            faults.warn(&path, format!("user `{}` has neither password nor key", user.name));
        }
        let clean = user.shell.starts_with('/') && !user.shell.contains([':', '\n', ' ']);
        if !clean {
            faults.add(&path.key("shell"), "not an absolute path");
        }
    }
    let can_enter = raw
        .system
        .users
        .iter()
        .any(|user| !user.ssh_keys.is_empty() || user.password_hash.is_some());
    if raw.system.ssh == Some(true) && !can_enter {
        faults.warn(&at!("system", "ssh"), "no user of this profile could log in");
    }
}

fn check_wifi(path: &Path, wifi: &raw::Wifi, faults: &mut Faults<'_>) {
    // IEEE 802.11: an SSID has at most 32 octets.
    if wifi.ssid.is_empty() || wifi.ssid.len() > 32 || wifi.ssid.contains(['\n', '\0']) {
        faults.add(&path.key("ssid"), "the name of a wireless network has 1 to 32 bytes");
    }
    if let Some(psk) = &wifi.psk {
        let key = psk.len() == 64 && psk.bytes().all(|b| b.is_ascii_hexdigit());
        let printable = psk.bytes().all(|b| (0x20..0x7f).contains(&b));
        let passphrase = (8..=63).contains(&psk.len()) && printable;
        if !key && !passphrase {
            let message = "a passphrase has 8 to 63 ASCII characters, a key 64 hexadecimal digits";
            faults.add(&path.key("psk"), message);
        }
    }
    if wifi.country.len() != 2 || !wifi.country.bytes().all(|b| b.is_ascii_uppercase()) {
        faults.add(&path.key("country"), "not a country: two capital letters, such as `DE`");
    }
}

/// adduser's default NAME_REGEX without `$`, and useradd's length limit.
fn is_user(name: &str) -> bool {
    name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
}

/// crypt(5): the methods that are still safe to store.
fn is_hash(hash: &str) -> bool {
    let methods = ["$y$", "$gy$", "$7$", "$2b$", "$2y$", "$6$", "$5$"];
    methods.iter().any(|method| hash.starts_with(method))
        && hash.len() > 20
        && hash.bytes().all(|b| b.is_ascii_graphic() && !b":!*;\\".contains(&b))
}

/// What keeps `key` from being a line of `authorized_keys` (sshd(8)).
fn key_fault(key: &str) -> Option<&'static str> {
    if key.contains(['\n', '\r', '\0']) {
        return Some("a key is one line");
    }
    if key.contains("PRIVATE KEY") {
        return Some("this is a private key: use the line of the .pub file");
    }
    let types = ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"];
    let mut words = key.split_whitespace();
    let kind = words.find(|word| types.iter().any(|t| word.starts_with(t)));
    let blob = words.next().and_then(|body| STANDARD.decode(body).ok());
    let sound = kind.zip(blob).is_some_and(|(kind, blob)| is_key(kind, &blob));
    (!sound).then_some("not a public key: use the line of the .pub file")
}

/// RFC 4253, section 6.6: the type again, with its length before it, then what makes the key.
fn is_key(kind: &str, blob: &[u8]) -> bool {
    let len = u32::try_from(kind.len()).unwrap_or(u32::MAX).to_be_bytes();
    let named = blob.strip_prefix(&len).and_then(|rest| rest.strip_prefix(kind.as_bytes()));
    named.is_some_and(|rest| !rest.is_empty())
}

fn is_locale(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.len() <= 40
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.@-".contains(&b))
}

/// Debian policy 5.6.1, with an architecture or a version after it as apt accepts them.
fn is_package(text: &str) -> bool {
    let (name, version) = text.split_once('=').map_or((text, None), |(n, v)| (n, Some(v)));
    let (name, architecture) = name.split_once(':').map_or((name, "any"), |(n, a)| (n, a));
    let of = |text: &str, more: &[u8]| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || more.contains(&b))
    };
    name.len() >= 2
        && of(name, b"+-.")
        && name.as_bytes()[0].is_ascii_alphanumeric()
        && of(architecture, b"")
        && version.is_none_or(|v| of(&v.to_ascii_lowercase(), b"+-.~:"))
}
