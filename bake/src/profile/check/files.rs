//! Files and manifests, as far as their names tell.

use std::collections::BTreeSet;

use crate::profile::faults::Faults;
use crate::profile::path::at;
use crate::profile::raw;

/// Paths, and folders with everything in them, that bake writes itself.
const OWNED: [(&str, &str); 9] = [
    ("/etc/bake", "bake's own"),
    ("/var/lib/bake", "bake's own"),
    ("/usr/local/lib/bake", "bake's own"),
    ("/etc/rancher/k3s/config.yaml", "use `k3s.config`"),
    ("/etc/rancher/k3s/server-token", "tokens come from the secrets file"),
    ("/etc/rancher/k3s/agent-token", "tokens come from the secrets file"),
    ("/etc/rancher/node/password", "bake's own"),
    ("/etc/hostname", "use `name` of the node"),
    ("/usr/local/bin/k3s", "use `k3s.version`, or `--k3s` for a file of your own"),
];

pub fn check(raw: &raw::Profile, faults: &mut Faults<'_>) {
    let mut paths = BTreeSet::new();
    for (i, file) in raw.files.iter().enumerate() {
        let path = at!("files", i);
        check_path(&path.key("path"), &file.path, faults);
        if !paths.insert(&file.path) {
            faults.add(&path.key("path"), format!("{} stands here again", file.path));
        }
        match (&file.source, &file.content) {
            (Some(_), Some(_)) => faults.add(&path, "has both `source` and `content`"),
            (None, None) => faults.add(&path, "needs `source` or `content`"),
            _ => {}
        }
        if mode(&file.mode).is_none() {
            let message = "not permissions: 3 or 4 octal digits, such as `0644`";
            faults.add(&path.key("mode"), message);
        }
    }
    for (i, pattern) in raw.manifests.iter().enumerate() {
        let path = at!("manifests", i);
        if pattern.is_empty() {
            faults.add(&path, "an empty path");
        } else if let Err(error) = glob::Pattern::new(pattern) {
            faults.add(&path, format!("not a path or pattern: {}", error.msg));
        }
    }
}

/// Permission bits of `0644`, `644`, `"1777"` or `0o644`.
pub fn mode(octal: &raw::Octal) -> Option<u16> {
    let digits = octal.0.strip_prefix("0o").unwrap_or(&octal.0);
    let good = (3..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    good.then(|| u16::from_str_radix(digits, 8).ok()).flatten()
}

fn check_path(path: &crate::profile::path::Path, text: &str, faults: &mut Faults<'_>) {
    let mut parts = text.split('/');
    let absolute = parts.next() == Some("") && text.len() > 1 && text.len() < 4096;
    let plain = parts.all(|part| {
        !part.is_empty() && part != "." && part != ".." && part.len() <= 255 && !part.contains('\0')
    });
    if !(absolute && plain) {
        let help = "write it from the root, without `..`, `//` or `/` at the end";
        faults.advise(path, format!("`{text}` is not a plain absolute path"), help);
        return;
    }
    let owned = OWNED.iter().find(|(own, _)| {
        text.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    if let Some((own, instead)) = owned {
        faults.advise(path, format!("bake writes {own} itself"), *instead);
    }
}
