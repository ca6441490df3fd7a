//! Names: the long one in UTF-16 (specification, "FAT Long Directory Entries") and the 8.3 alias
//! that every entry has ("Basis-Name Generation").

use std::collections::BTreeSet;

/// Characters an alias may have besides letters, digits and those above 127.
const ALIAS_MARKS: &[u8] = b"$%'-_@~`!(){}^#&";
/// Characters that no name may have.
const FORBIDDEN: &[char] = &['"', '*', '/', ':', '<', '>', '?', '\\', '|'];

/// Why `name` cannot be a name here, if it cannot.
pub(super) fn invalid(name: &str) -> Option<&'static str> {
    if name.is_empty() || name == "." || name == ".." {
        return Some("not a name");
    }
    if name.encode_utf16().count() > 255 {
        return Some("longer than 255 characters");
    }
    if name.chars().any(|c| c < ' ' || c == '\u{7f}' || FORBIDDEN.contains(&c)) {
        return Some("has a character that FAT does not allow");
    }
    if name.ends_with(['.', ' ']) {
        return Some("ends in a dot or a space, which FAT drops");
    }
    None
}

/// The form in which two names are the same.
pub(super) fn fold(name: &str) -> String {
    name.chars().flat_map(char::to_uppercase).collect()
}

/// Whether `name` is its own alias, so that no long name is needed.
pub(super) fn is_short(name: &str) -> bool {
    let (base, extension) = name.split_once('.').unwrap_or((name, ""));
    let fits = |part: &str, most: usize| {
        part.len() <= most
            && part
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || ALIAS_MARKS.contains(&b))
    };
    let dot_is_needed = name.contains('.') != extension.is_empty();
    !base.is_empty() && fits(base, 8) && fits(extension, 3) && dot_is_needed
}

/// An alias for `name` that is not in `taken`.
pub(super) fn alias(name: &str, taken: &BTreeSet<[u8; 11]>) -> [u8; 11] {
    let trimmed = name.trim_start_matches(['.', ' ']);
    let (base, extension) = trimmed.rsplit_once('.').unwrap_or((trimmed, ""));
    let mut lossy = trimmed.len() != name.len();
    let mut clean = |part: &str, most: usize| {
        let mut out = Vec::new();
        for c in part.chars().filter(|c| !matches!(c, ' ' | '.')) {
            let byte = u8::try_from(c).unwrap_or(b'_').to_ascii_uppercase();
            let allowed = byte.is_ascii_alphanumeric() || ALIAS_MARKS.contains(&byte);
            lossy |= !allowed || !c.is_ascii();
            out.push(if allowed && c.is_ascii() { byte } else { b'_' });
        }
        lossy |= part.contains([' ', '.']) || out.len() > most;
        out.truncate(most);
        out
    };
    let (base, extension) = (clean(base, 8), clean(extension, 3));
    let plain = join(&base, &extension);
    if !lossy && !base.is_empty() && !taken.contains(&plain) {
        return plain;
    }
    for number in 1..=999_999_u32 {
        let tail = format!("~{number}");
        let kept = base.len().min(8 - tail.len());
        let candidate = join(&[&base[..kept], tail.as_bytes()].concat(), &extension);
        if !taken.contains(&candidate) {
            return candidate;
        }
    }
    unreachable!("a directory has at most 65,536 entries")
}

fn join(base: &[u8], extension: &[u8]) -> [u8; 11] {
    let mut alias = [b' '; 11];
    alias[..base.len()].copy_from_slice(base);
    alias[8..8 + extension.len()].copy_from_slice(extension);
    alias
}

/// An alias for people; `case` are the flags of byte 12 by which Windows NT and Linux keep
/// names in lower case without a long entry (0x08 the base, 0x10 the extension).
pub(super) fn show(alias: &[u8; 11], case: u8) -> String {
    let part = |bytes: &[u8], lower: bool| -> String {
        let len = bytes.iter().rposition(|b| *b != b' ').map_or(0, |last| last + 1);
        let text: String = bytes[..len].iter().map(|&b| cp437(b)).collect();
        if lower { text.to_ascii_lowercase() } else { text }
    };
    let mut first = *alias;
    if first[0] == 0x05 {
        // 0xE5 marks a free entry, so a name that begins with it is stored like this.
        first[0] = 0xe5;
    }
    let (base, extension) =
        (part(&first[..8], case & 0x08 != 0), part(&first[8..], case & 0x10 != 0));
    if extension.is_empty() { base } else { format!("{base}.{extension}") }
}

/// The upper half of code page 437, which Linux and mtools take for aliases unless told else.
const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

fn cp437(byte: u8) -> char {
    match byte {
        0x80.. => CP437.chars().nth(usize::from(byte - 0x80)).unwrap_or('_'),
        _ => char::from(byte),
    }
}

/// Checksum of an alias, which ties the long entries to it ("ChkSum").
pub(super) fn checksum(alias: &[u8; 11]) -> u8 {
    alias.iter().fold(0_u8, |sum, &b| sum.rotate_right(1).wrapping_add(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_follow_the_specification() {
        let mut taken = BTreeSet::new();
        for (name, expected) in [
            ("cmdline.txt", "CMDLINE TXT"),
            ("initramfs_2712", "INITRA~1   "),
            ("initramfs8", "INITRA~2   "),
            ("bcm2711-rpi-4-b.dtb", "BCM271~1DTB"),
            (".profile", "PROFIL~1   "),
            ("a.tar.gz", "ATAR~1  GZ "),
            ("grüße.txt", "GR__E~1 TXT"),
            ("a b", "AB~1       "),
            ("x+y", "X_Y~1      "),
        ] {
            let made = alias(name, &taken);
            assert_eq!(std::str::from_utf8(&made), Ok(expected), "{name}");
            assert!(taken.insert(made));
        }
    }

    #[test]
    fn short_names_need_no_long_entry() {
        for (name, short) in [
            ("README", true),
            ("A.B", true),
            ("FIXUP4CD.DAT", true),
            ("readme", false),
            ("A.", false),
            (".A", false),
            ("A.B.C", false),
            ("LONGNAME9", false),
            ("A.LONG", false),
            ("A B", false),
        ] {
            assert_eq!(is_short(name), short, "{name}");
        }
        assert_eq!(CP437.chars().count(), 128);
        assert_eq!(show(b"KERNEL8 IMG", 0x18), "kernel8.img");
    }
}
