//! No text makes the parser panic, hang or swell.

use std::time::{Duration, Instant};

use bake::profile::{SHIPPED, parse};
use proptest::prelude::*;

use super::GOOD;

/// Parses and insists on an answer in time; debug builds on a busy machine get a lot of it.
fn answers(text: &str) {
    let start = Instant::now();
    let _ = parse(text);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?} for {} bytes", text.len());
}

#[test]
fn bombs_are_defused() {
    let mut aliases = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..30 {
        let list = vec![format!("*a{}", i - 1); 10].join(", ");
        aliases += &format!("a{i}: &a{i} [{list}]\n");
    }
    let many = |unit: &str| unit.repeat((1 << 20) / unit.len());
    let distinct: String = (0..30_000).map(|i| format!("key{i}: 1\n")).collect();
    for text in [
        aliases,
        many("["),
        many("{"),
        many("- "),
        many("a: "),
        many("? "),
        many("&a "),
        many("*a "),
        many("!!x "),
        many("\""),
        many("'"),
        many("|\n"),
        many("%YAML 1.2\n"),
        many("---\n"),
        many("#"),
        many("\t"),
        many("- [a, b]\n"),
        many("a: b\n"),
        distinct,
        format!("version: {}", "9".repeat(100_000)),
        format!("{GOOD}manifests: ['{}']\n", "*".repeat(2_000)),
    ] {
        answers(&text);
    }
}

/// A profile with some of its characters replaced, removed, doubled or moved.
fn mutant() -> impl Strategy<Value = String> {
    let texts: Vec<String> =
        SHIPPED.iter().map(|(_, text)| *text).chain([GOOD]).map(str::to_owned).collect();
    let spice = prop::sample::select(vec![
        "",
        ":",
        "- ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "\n",
        "  ",
        "\t",
        "\"",
        "'",
        "&a ",
        "*a",
        "!!str ",
        "|",
        ">",
        "#",
        "%",
        "@",
        "null",
        "-1",
        "1e999",
        "99999999999999999999",
        "0x",
        "é",
        "\u{0}",
        "\u{feff}",
        "192.168.24.12",
        "dhcp",
        "true",
        "<<: ",
        "---\n",
        "...\n",
    ]);
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, spice), 1..6);
    (prop::sample::select(texts), edits).prop_map(|(text, edits)| {
        let mut chars: Vec<char> = text.chars().collect();
        for (at, gone, new) in edits {
            let start = at.index(chars.len() + 1);
            let end = (start + gone).min(chars.len());
            chars.splice(start..end, new.chars());
        }
        chars.into_iter().collect()
    })
}

/// `PROPTEST_CASES` asks for more than the usual number.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(1500)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_profiles_are_answered(text in mutant()) {
        answers(&text);
    }

    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        answers(&text);
    }
}
