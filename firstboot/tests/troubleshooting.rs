//! `docs/troubleshooting.md` has every message that firstboot can stop at, with its remedy. It is
//! read from the sources: what a `Condition` is made of. After changing one:
//! `BAKE_UPDATE_DOCS=1 cargo test -p firstboot --test troubleshooting`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const BEGIN: &str =
    "<!-- generated from firstboot's sources: run the tests with BAKE_UPDATE_DOCS=1 -->\n";
const END: &str = "<!-- end of the generated part -->\n";

/// Text of a source from `at` on up to what closes it: `)` of a call, `;` of a statement.
fn span(source: &str, at: usize, close: char) -> &str {
    let (mut depth, mut chars) = (0, source[at..].char_indices());
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => skip_string(&mut chars),
            '\'' => {
                // A character, not a lifetime: `'"'`, `'\n'`.
                let rest = &source[at + i..];
                let len = if rest.starts_with("'\\") { 4 } else { 3 };
                if rest.chars().nth(len - 1) == Some('\'') {
                    chars.nth(len - 2);
                }
            }
            c if c == close && depth == 0 => return &source[at..at + i],
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    &source[at..]
}

fn skip_string(chars: &mut std::str::CharIndices<'_>) {
    while let Some((_, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '"' => return,
            _ => {}
        }
    }
}

/// Where the first argument of a call ends.
fn first_comma(arguments: &str) -> usize {
    span(arguments, 0, ',').len()
}

/// Sentences among the string literals, with `…` for what is filled in.
fn sentences(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut chars = code.char_indices();
    while let Some((i, c)) = chars.next() {
        if c != '"' {
            continue;
        }
        let start = i + 1;
        skip_string(&mut chars);
        let end = chars.offset() - 1;
        let text = filled(&code[start..end]);
        if text.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic)).count() > 1
        {
            found.push(text);
        }
    }
    found
}

/// A literal as it reads: continued lines joined, `{…}` as `…`.
fn filled(literal: &str) -> String {
    let (mut text, mut depth) = (String::new(), 0);
    let mut chars = literal.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('\n') => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                Some('n') => text.push(' '),
                Some(other) => text.push(other),
                None => {}
            },
            '{' if chars.next_if_eq(&'{').is_some() => text.push('{'),
            '}' if depth == 0 && chars.next_if_eq(&'}').is_some() => text.push('}'),
            '{' => {
                depth += 1;
                text.push('…');
            }
            '}' => depth -= 1,
            _ if depth > 0 => {}
            c => text.push(c),
        }
    }
    text
}

/// Sentences of a call's first argument, and its second.
fn arguments(code: &str, at: usize) -> (Vec<String>, String) {
    let (what, remedy) = span(code, at, ')').split_at(first_comma(span(code, at, ')')));
    let mut whats = sentences(what);
    if whats.is_empty() {
        whats.extend(only(what));
    }
    (whats, sentences(remedy).join("; or: "))
}

/// The literal that is all there is to a message, short as it may be: `{unit} is {state}`.
fn only(argument: &str) -> Option<String> {
    let argument = argument.trim().trim_start_matches('&');
    let literal = argument.strip_prefix("format!(").unwrap_or(argument).strip_prefix('"')?;
    let mut chars = literal.char_indices();
    skip_string(&mut chars);
    let text = filled(&literal[..chars.offset() - 1]);
    text.contains(char::is_alphabetic).then_some(text)
}

/// What `Condition::io` advises, by what the system says.
const FILE: &str = "no space: free some; read-only, or an error of the card: check or replace it; else it is tried again";

/// Messages and remedies of one source.
fn conditions(source: &str) -> Vec<(String, String)> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let mut found = Vec::new();
    for (at, call) in code.match_indices("Condition::new(") {
        let (what, remedy) = arguments(code, at + call.len());
        found.extend(what.into_iter().map(|what| (what, remedy.clone())));
    }
    for (at, call) in code.match_indices("Condition::io(") {
        let (what, _) = arguments(code, at + call.len());
        found.extend(what.into_iter().map(|what| (format!("{what}: …"), FILE.to_owned())));
    }
    for (at, binding) in code.match_indices("let what = ") {
        let what = span(code, at + binding.len(), ';');
        // Its remedy stands where it is used.
        const USE: &str = "Condition::new(what,";
        let after = &code[at + binding.len()..];
        let after = after.split("let what = ").next().unwrap_or_default();
        let remedy = after.find(USE).map(|used| sentences(span(after, used + USE.len(), ')')));
        let remedy = remedy.unwrap_or_default().join("; or: ");
        found.extend(sentences(what).into_iter().map(|what| (what, remedy.clone())));
    }
    // What is lacking to found or join puts itself into words.
    for write in ["write!(f, ", "f.write_str("] {
        for (at, _) in code.match_indices(write) {
            let what = span(code, at + write.len(), ')');
            found.extend(sentences(what).into_iter().map(|what| (what, String::new())));
        }
    }
    found
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("sources") {
        let path = entry.expect("entry").path();
        if path.is_dir() { sources(&path, found) } else { found.push(path) }
    }
}

fn index() -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![here.join("bootstrap/src/lack.rs")];
    sources(&here.join("src"), &mut files);
    let mut rooms: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for file in files {
        let source = fs::read_to_string(&file).expect("a source");
        let lack = file.ends_with("lack.rs");
        if !lack && !source.contains("Condition::") {
            continue;
        }
        let inside = file.strip_prefix(here).expect("below").with_extension("");
        let mut parts: Vec<_> =
            inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let stem = parts.pop().unwrap_or_default();
        let room = match parts.last().map(String::as_str) {
            _ if lack => "bootstrap".into(),
            Some("src" | "steps") | None => stem,
            Some(folder) => folder.to_owned(),
        };
        let rows = rooms.entry(room).or_default();
        for (what, remedy) in conditions(&source) {
            let known = rows.entry(what).or_default();
            if !known.contains(&remedy) {
                *known = if known.is_empty() { remedy } else { format!("{known}; or: {remedy}") };
            }
        }
    }
    let mut text = String::new();
    for (room, rows) in rooms.iter().filter(|(_, rows)| !rows.is_empty()) {
        let _ = write!(
            text,
            "### {room}\n\n| message | what to do, or what it waits for |\n|---|---|\n"
        );
        for (what, remedy) in rows {
            let cell = |text: &str| text.trim_end_matches([' ', ',']).replace('|', "\\|");
            let remedy = match (remedy.as_str(), room.as_str()) {
                ("", "bootstrap") => "[bootstrap.md](bootstrap.md#what-each-message-means) says it",
                ("", _) => "it is waited for, or the line goes on to say",
                (remedy, _) => remedy,
            };
            let _ = writeln!(text, "| *{}* | {} |", cell(what), cell(remedy));
        }
        text.push('\n');
    }
    text
}

#[test]
fn every_message_of_firstboot_is_in_the_guide_to_trouble() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/troubleshooting.md");
    let page = fs::read_to_string(&path).expect("docs/troubleshooting.md");
    let (head, rest) = page.split_once(BEGIN).expect("the mark that the index begins");
    let (old, tail) = rest.split_once(END).expect("the mark that it ends");
    let new = index();
    if std::env::var_os("BAKE_UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{head}{BEGIN}{new}{END}{tail}")).expect("written");
        return;
    }
    assert!(old == new, "the index is out of date; the head of this test says how to renew it");
}

#[test]
fn the_reader_of_sources_reads() {
    let source = r#"
        let what = format!("{name} is at {address:?}, not {}", other(")"));
        Finding::Unmet(Condition::new(what, "look there first"));
        Err(Condition::new(
            format!("{file} says {:?}; \
                     so be it", '"'),
            match x { 1 => "do this now", _ => "do that then" },
        ))
        Condition::io("looking for it", &e)
        Condition::io(&format!("reading {FILE}"), &e)
        Condition::new(format!("{unit} is {state}"), "it is started")
    "#;
    let read = conditions(source);
    let expected = [
        ("… says …; so be it", "do this now; or: do that then"),
        ("… is …", "it is started"),
        ("looking for it: …", FILE),
        ("reading …: …", FILE),
        ("… is at …, not …", "look there first"),
    ];
    assert_eq!(read, expected.map(|(what, remedy)| (what.to_owned(), remedy.to_owned())));
    let all = index();
    assert!(all.matches("| *").count() > 60, "{all}");
    for known in ["no link", "memory cgroup"] {
        assert!(all.contains(known), "nothing about {known}");
    }
}
