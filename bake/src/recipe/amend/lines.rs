//! Files of lines: blocks of ours, assignments, fstab, hosts.

const BEGIN: &[u8] = b"# begin bake";
const END: &[u8] = b"# end bake";
const SWAP_OFF: &[u8] = b"# swap off (bake): ";

/// The lines of `text` without their newlines; a final newline starts no further line.
pub(super) fn split(text: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = text.split(|&b| b == b'\n').collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    lines
}

/// The reverse of [`split`]; every line ends with a newline.
pub(super) fn join<L: AsRef<[u8]>>(lines: &[L]) -> Vec<u8> {
    let mut text = Vec::new();
    for line in lines {
        text.extend_from_slice(line.as_ref());
        text.push(b'\n');
    }
    text
}

/// White-space separated fields.
pub(super) fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| b.is_ascii_whitespace()).filter(|field| !field.is_empty())
}

pub(super) fn block(old: &[u8], body: &str) -> Vec<u8> {
    let mut inside = false;
    let mut kept: Vec<&[u8]> = Vec::new();
    for line in split(old) {
        match line {
            BEGIN => inside = true,
            END => inside = false,
            _ if !inside => kept.push(line),
            _ => {}
        }
    }
    // A begin without its end: a person took the end away, so nothing after it is surely ours.
    if inside {
        kept = split(old).into_iter().filter(|line| *line != BEGIN).collect();
    }
    let mut new = join(&kept);
    if !body.is_empty() {
        new.extend_from_slice(&join(&[BEGIN]));
        new.extend_from_slice(body.as_bytes());
        new.extend_from_slice(&join(&[END]));
    }
    new
}

pub(super) fn setting(old: &[u8], key: &str, value: &str) -> Vec<u8> {
    let wanted = format!("{key}={value}").into_bytes();
    let mut found = false;
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for line in split(old) {
        let is_key = line
            .trim_ascii_start()
            .strip_prefix(key.as_bytes())
            .is_some_and(|rest| rest.trim_ascii_start().starts_with(b"="));
        match (is_key, found) {
            (false, _) => lines.push(line.to_vec()),
            (true, false) => lines.push(wanted.clone()),
            // Of several assignments the last counts; one is enough.
            (true, true) => {}
        }
        found |= is_key;
    }
    if !found {
        lines.push(wanted);
    }
    join(&lines)
}

pub(super) fn first_line(old: &[u8], line: &str) -> Vec<u8> {
    // Not `join`: some of these files end in an empty line that counts.
    let rest = old.iter().position(|&b| b == b'\n').map_or(&b"\n"[..], |at| &old[at..]);
    [line.as_bytes(), rest].concat()
}

/// Whether an fstab line mounts swap (fstab(5): third field).
pub(in crate::recipe) fn is_swap(line: &[u8]) -> bool {
    !line.trim_ascii_start().starts_with(b"#") && fields(line).nth(2) == Some(b"swap")
}

pub(super) fn fstab_without_swap(old: &[u8]) -> Vec<u8> {
    if !split(old).into_iter().any(is_swap) {
        return old.to_vec();
    }
    let lines: Vec<Vec<u8>> = split(old)
        .into_iter()
        .map(|line| if is_swap(line) { [SWAP_OFF, line].concat() } else { line.to_vec() })
        .collect();
    join(&lines)
}

pub(super) fn hosts_name(old: &[u8], name: &str) -> Vec<u8> {
    let wanted = format!("127.0.1.1\t\t{name}").into_bytes();
    let own = |line: &[u8]| fields(line).next() == Some(b"127.0.1.1");
    let lines = split(old);
    if let Some(at) = lines.iter().position(|line| own(line)) {
        let mut new: Vec<&[u8]> = lines.clone();
        new[at] = &wanted;
        let mut index = 0;
        new.retain(|line| {
            index += 1;
            index - 1 <= at || !own(line)
        });
        return join(&new);
    }
    // Debian puts it right below localhost.
    let at = lines.iter().position(|l| fields(l).next() == Some(b"127.0.0.1")).map_or(0, |i| i + 1);
    let mut new = lines;
    new.insert(at, &wanted);
    join(&new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn twice(change: impl Fn(&[u8]) -> Vec<u8>, old: &[u8]) -> Vec<u8> {
        let once = change(old);
        assert_eq!(change(&once), once, "second time of {}", String::from_utf8_lossy(old));
        once
    }

    #[test]
    fn a_block_is_replaced_and_the_rest_stays() {
        let old = b"a\xff\nb";
        let new = twice(|o| block(o, "x\n"), old);
        assert_eq!(new, b"a\xff\nb\n# begin bake\nx\n# end bake\n");
        assert_eq!(block(&new, "y\n"), b"a\xff\nb\n# begin bake\ny\n# end bake\n");
        assert_eq!(block(&new, ""), b"a\xff\nb\n");
        assert_eq!(twice(|o| block(o, "x\n"), b"# begin bake\nkeep\n"), {
            b"keep\n# begin bake\nx\n# end bake\n"
        });
    }

    #[test]
    fn settings() {
        for (old, new) in [
            ("CONF_K=100\n", "CONF_K=100\nK=0\n"),
            ("#K=1\n", "#K=1\nK=0\n"),
            ("K=1\nother\nK=2\n", "K=0\nother\n"),
            (" K = 5", "K=0\n"),
            ("", "K=0\n"),
        ] {
            let got = twice(|o| setting(o, "K", "0"), old.as_bytes());
            assert_eq!(String::from_utf8(got).unwrap(), new, "{old}");
        }
    }

    #[test]
    fn the_first_line_leaves_every_other_byte() {
        assert_eq!(twice(|o| first_line(o, "manual"), b"auto\nx\n\n"), b"manual\nx\n\n");
        assert_eq!(twice(|o| first_line(o, "manual"), b""), b"manual\n");
    }

    #[test]
    fn swap_entries_are_commented_out() {
        let old =
            b"proc /proc proc defaults 0 0\n/swap.img\tnone\tswap\tsw\t0\t0\n#/a none swap sw\n";
        let new = twice(fstab_without_swap, old);
        assert_eq!(
            String::from_utf8(new).unwrap(),
            "proc /proc proc defaults 0 0\n# swap off (bake): /swap.img\tnone\tswap\tsw\t0\t0\n#/a none swap sw\n"
        );
        assert_eq!(fstab_without_swap(b"no newline"), b"no newline");
    }

    #[test]
    fn the_host_name_has_one_line() {
        for (old, new) in [
            ("127.0.0.1\tlocalhost\n::1 x\n", "127.0.0.1\tlocalhost\n127.0.1.1\t\tn\n::1 x\n"),
            (
                "127.0.0.1 localhost\n127.0.1.1\traspberrypi\n::1 x\n127.0.1.1 y\n",
                "127.0.0.1 localhost\n127.0.1.1\t\tn\n::1 x\n",
            ),
            ("", "127.0.1.1\t\tn\n"),
        ] {
            let got = twice(|o| hosts_name(o, "n"), old.as_bytes());
            assert_eq!(String::from_utf8(got).unwrap(), new);
        }
    }
}
