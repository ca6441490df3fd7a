//! `docs/profiles.md` describes every key, from the schema itself.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use bake::profile::schema;
use serde_json::Value;

const BEGIN: &str = "<!-- generated from the schema: run the tests with BAKE_UPDATE_DOCS=1 -->\n";
const END: &str = "<!-- end of the generated part -->\n";

/// Tables of all keys, one heading a mapping, in the order of the types.
fn reference() -> String {
    let mut text = String::new();
    section(&mut text, "", schema());
    text
}

fn section(text: &mut String, path: &str, object: &'static Value) {
    let title = if path.is_empty() { "Top level".to_owned() } else { format!("`{path}`") };
    let _ = write!(text, "### {title}\n\n| key | value | meaning |\n|---|---|---|\n");
    let required: Vec<&str> =
        object["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut inner = Vec::new();
    for (key, property) in object["properties"].as_object().expect("a mapping has keys") {
        let value = describe(property);
        let need = match property.get("default").filter(|d| !d.is_null()) {
            _ if required.contains(&key.as_str()) => "**required**".to_owned(),
            Some(default) => format!("default `{}`", plain(default)),
            None => "optional".to_owned(),
        };
        let described = property["description"].as_str().or(object["description"].as_str());
        let meaning = described.unwrap_or_default().replace('\n', " ");
        let choices = choices(property);
        let _ = writeln!(text, "| `{key}` | {value}; {need} | {meaning}{choices} |");
        if let Some((suffix, object)) = mapping(property) {
            let dot = if path.is_empty() { "" } else { "." };
            inner.push((format!("{path}{dot}{key}{suffix}"), object));
        }
    }
    text.push('\n');
    for (path, object) in inner {
        section(text, &path, object);
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The schema itself, or what it refers to.
fn follow(schema: &'static Value) -> &'static Value {
    let reference = schema.get("$ref").and_then(Value::as_str);
    reference.map_or(schema, |r| {
        let target = r.strip_prefix('#').and_then(|r| bake::profile::schema().pointer(r));
        target.expect("references lead somewhere")
    })
}

fn alternatives(schema: &'static Value) -> Vec<&'static Value> {
    let schema = follow(schema);
    match schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array) {
        Some(many) => many.iter().map(follow).collect(),
        None => vec![schema],
    }
}

/// The mapping a property holds, and what its path gets for it.
fn mapping(property: &'static Value) -> Option<(&'static str, &'static Value)> {
    let object = |schema: &&Value| schema.get("properties").is_some();
    let all = alternatives(property);
    if let Some(own) = all.iter().copied().find(object) {
        return Some(("", own));
    }
    let item = all.iter().find_map(|schema| schema.get("items"))?;
    alternatives(item).into_iter().find(object).map(|item| ("[]", item))
}

fn describe(property: &'static Value) -> String {
    let mut kinds: Vec<String> = Vec::new();
    for schema in alternatives(property) {
        let types = match &schema["type"] {
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect::<Vec<_>>(),
        };
        for kind in types {
            let kind = match kind {
                "null" => continue,
                "boolean" if schema.get("const").is_some() => continue,
                "string" if schema.get("const").is_some() => "one of the words below".to_owned(),
                "string" => "text".to_owned(),
                "integer" => match (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
                    _ if schema["format"] == "octal" => "octal digits".to_owned(),
                    (Some(low), Some(high)) if low == high => format!("`{low}`"),
                    (Some(low), Some(high)) => format!("{low} to {high}"),
                    _ => "number".to_owned(),
                },
                "boolean" => "`true` or `false`".to_owned(),
                "array" => match mapping(property) {
                    Some(_) => "list of mappings".to_owned(),
                    None => "list of texts".to_owned(),
                },
                _ => "mapping".to_owned(),
            };
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
    }
    kinds.join(" or ")
}

fn choices(property: &'static Value) -> String {
    let mut text = String::new();
    for choice in alternatives(property) {
        if let Some(word) = choice.get("const").and_then(Value::as_str) {
            let meaning = choice["description"].as_str().unwrap_or_default().replace('\n', " ");
            let _ = write!(text, "<br>`{word}`: {meaning}");
        }
    }
    text
}

#[test]
fn the_reference_is_current_and_complete() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/profiles.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("where the generated part begins");
    let (written, after) = rest.split_once(END).expect("where the generated part ends");
    let reference = reference();
    if written != reference && std::env::var_os("BAKE_UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{reference}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(written, reference, "run the tests with BAKE_UPDATE_DOCS=1");
    let definitions = schema()["$defs"].as_object().unwrap().values();
    for object in definitions.chain([schema()]) {
        for key in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
            assert!(written.contains(&format!("| `{}` |", key.0)), "{} is missing", key.0);
        }
    }
}
