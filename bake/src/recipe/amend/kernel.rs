//! Kernel command lines: the Raspberry Pi's `cmdline.txt`, and GRUB's.

use super::lines::{fields, join, split};

/// The firmware reads one line; whatever follows it is kept but means nothing.
pub(super) fn words(
    old: &[u8],
    add: &[String],
    set: &[(String, String)],
    drop: &[String],
) -> Vec<u8> {
    let mut lines = split(old);
    let first = if lines.is_empty() { &b""[..] } else { lines.remove(0) };
    let mut words: Vec<Vec<u8>> = Vec::new();
    for word in fields(first) {
        let set_again = set.iter().any(|(key, _)| is_value_of(word, key));
        if !set_again && !drop.iter().any(|d| d.as_bytes() == word) {
            words.push(word.to_vec());
        }
    }
    let wanted = add.iter().cloned().chain(set.iter().map(|(k, v)| format!("{k}={v}")));
    for word in wanted.map(String::into_bytes) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    let mut new = vec![words.join(&b' ')];
    new.extend(lines.into_iter().map(<[u8]>::to_vec));
    join(&new)
}

fn is_value_of(word: &[u8], key: &str) -> bool {
    word.strip_prefix(key.as_bytes()).is_some_and(|rest| rest.starts_with(b"="))
}

/// Whether a `linux` line of a grub.cfg, or any line of another file, has `word`.
pub(in crate::recipe) fn grub_has(text: &[u8], word: &str) -> bool {
    split(text)
        .into_iter()
        .any(|line| is_linux_line(line) && fields(line).any(|w| w == word.as_bytes()))
}

fn is_linux_line(line: &[u8]) -> bool {
    matches!(fields(line).next(), Some(b"linux" | b"linux16" | b"linuxefi"))
}

pub(super) fn grub_without(old: &[u8], drop: &[String]) -> Vec<u8> {
    let clean = |line: &[u8]| -> Vec<u8> {
        if !is_linux_line(line) || !fields(line).any(|w| drop.iter().any(|d| d.as_bytes() == w)) {
            return line.to_vec();
        }
        let indent = line.iter().take_while(|b| b.is_ascii_whitespace()).count();
        let kept: Vec<&[u8]> =
            fields(line).filter(|w| !drop.iter().any(|d| d.as_bytes() == *w)).collect();
        [&line[..indent], &kept.join(&b' ')[..]].concat()
    };
    let lines: Vec<Vec<u8>> = split(old).into_iter().map(clean).collect();
    if old.ends_with(b"\n") || old.is_empty() { join(&lines) } else { lines.join(&b'\n') }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(old: &str) -> String {
        let add = ["cgroup_memory=1".to_owned(), "cgroup_enable=memory".to_owned()];
        let set = [("cfg80211.ieee80211_regdom".to_owned(), "DE".to_owned())];
        let drop = ["cgroup_disable=memory".to_owned()];
        let once = words(old.as_bytes(), &add, &set, &drop);
        assert_eq!(words(&once, &add, &set, &drop), once);
        String::from_utf8(once).unwrap()
    }

    #[test]
    fn flags_are_appended_once_and_growth_words_stay() {
        const TAIL: &str = "cgroup_memory=1 cgroup_enable=memory cfg80211.ieee80211_regdom=DE\n";
        for (old, start) in [
            ("root=X rootwait resize\n", "root=X rootwait resize "),
            (
                "root=X init=/usr/lib/raspberrypi-sys-mods/firstboot",
                "root=X init=/usr/lib/raspberrypi-sys-mods/firstboot ",
            ),
            ("a cgroup_disable=memory cfg80211.ieee80211_regdom=GB\r\n", "a "),
            ("cgroup_enable=cpuset", "cgroup_enable=cpuset "),
            ("", ""),
        ] {
            assert_eq!(flags(old), format!("{start}{TAIL}"));
        }
        assert_eq!(flags("cgroup_enable=memory a\nsecond line\n"), {
            "cgroup_enable=memory a cgroup_memory=1 cfg80211.ieee80211_regdom=DE\nsecond line\n"
        });
    }

    #[test]
    fn grub_keeps_every_other_line() {
        let old = "menuentry 'a' {\n\tlinux   /vmlinuz root=X cgroup_disable=memory quiet\n\techo cgroup_disable=memory\n}\n";
        let new = grub_without(old.as_bytes(), &["cgroup_disable=memory".into()]);
        assert_eq!(
            String::from_utf8(new.clone()).unwrap(),
            "menuentry 'a' {\n\tlinux /vmlinuz root=X quiet\n\techo cgroup_disable=memory\n}\n"
        );
        assert!(grub_has(old.as_bytes(), "cgroup_disable=memory"));
        assert!(!grub_has(&new, "cgroup_disable=memory"));
    }
}
