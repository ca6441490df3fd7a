//! Structure of a profile: walks the text's tree along the JSON Schema of `raw`.
//!
//! What it hands on fits the schema wherever it reported nothing; values with a fault are left
//! out, or mended where the meaning is plain, so that the later checks see as much as possible.

use serde_json::{Map, Number, Value as Json};

use super::faults::{Faults, did_you_mean, one_of};
use super::path::Path;
use super::tree::{Entry, Kind, Scalar, Tree, Value};

/// Checks `tree` and converts it to JSON; `None` where nothing of it can be used.
pub fn check(tree: &Tree, schema: &Json, faults: &mut Faults<'_>) -> Option<Json> {
    Walker { root: schema, faults }.walk(tree, schema, &Path::default())
}

struct Walker<'s, 'f, 't> {
    root: &'s Json,
    faults: &'f mut Faults<'t>,
}

impl<'s> Walker<'s, '_, '_> {
    fn walk(&mut self, tree: &Tree, schema: &'s Json, path: &Path) -> Option<Json> {
        if schema == &Json::Bool(true) {
            return Some(self.any(tree, path));
        }
        let branches = self.branches(schema);
        let words: Vec<&str> =
            branches.iter().filter_map(|b| b.get("const").and_then(Json::as_str)).collect();
        let branch = branches.iter().copied().find(|b| {
            fits(tree, b) && b.get("const").is_none_or(|c| scalar_json(tree).as_ref() == Some(c))
        });
        match (branch, &tree.value) {
            (Some(branch), Value::Map(entries)) => self.map(entries, branch, path),
            (Some(branch), Value::List(items)) => self.list(items, branch, path),
            (Some(branch), Value::Scalar(scalar)) => self.scalar(scalar, branch, path),
            (None, Value::Scalar(scalar)) if !words.is_empty() => {
                let help = did_you_mean(&scalar.text, words.iter().copied());
                let expected = one_of(words.iter().copied());
                let message = format!("expected {expected}, found `{}`", shorten(&scalar.text));
                self.faults.key(path, None, message, help);
                None
            }
            (None, _) => self.mismatch(tree, &branches, path),
        }
    }

    /// The schemas a value may satisfy, references resolved.
    fn branches(&self, schema: &'s Json) -> Vec<&'s Json> {
        let mut open = vec![schema];
        let mut branches = Vec::new();
        while let Some(schema) = open.pop() {
            let reference = schema.get("$ref").and_then(Json::as_str);
            if let Some(target) = reference.and_then(|r| self.root.pointer(r.strip_prefix('#')?)) {
                open.push(target);
                continue;
            }
            match schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Json::as_array) {
                Some(choices) => open.extend(choices.iter().rev()),
                None => branches.push(schema),
            }
        }
        branches
    }

    fn map(&mut self, entries: &[Entry], schema: &'s Json, path: &Path) -> Option<Json> {
        let properties = schema.get("properties").and_then(Json::as_object);
        let rest = schema.get("additionalProperties");
        let mut map = Map::new();
        for entry in entries {
            let here = path.key(&entry.key);
            let known = properties.and_then(|p| p.get(&entry.key));
            match known.or(rest.filter(|r| **r != Json::Bool(false))) {
                Some(schema) => {
                    if let Some(value) = self.walk(&entry.value, schema, &here) {
                        map.insert(entry.key.clone(), value);
                    }
                }
                None => {
                    let keys = properties.into_iter().flatten().map(|(k, _)| k.as_str());
                    let help = did_you_mean(&entry.key, keys.clone())
                        .unwrap_or_else(|| format!("known here: {}", one_of(keys)));
                    self.faults.key(&here, entry.at, "unknown key".into(), Some(help));
                }
            }
        }
        let required = schema.get("required").and_then(Json::as_array);
        for key in required.into_iter().flatten().filter_map(Json::as_str) {
            if !entries.iter().any(|e| e.key == key) {
                let about = properties
                    .and_then(|p| p.get(key)?.get("description")?.as_str())
                    .and_then(|d| d.split(". ").next())
                    .map(|d| d.replace('\n', " ").trim_end_matches('.').to_owned());
                self.faults.key(&path.key(key), None, format!("`{key}` is missing"), about);
            }
        }
        Some(Json::Object(map))
    }

    fn list(&mut self, items: &[Tree], schema: &'s Json, path: &Path) -> Option<Json> {
        let item = schema.get("items").unwrap_or(&Json::Bool(true));
        if (items.len() as u64) < schema.get("minItems").and_then(Json::as_u64).unwrap_or(0) {
            self.faults.add(path, "the list is empty");
        }
        let walked: Vec<Option<Json>> =
            items.iter().enumerate().map(|(i, t)| self.walk(t, item, &path.index(i))).collect();
        walked.into_iter().collect::<Option<Vec<Json>>>().map(Json::Array)
    }

    fn scalar(&mut self, scalar: &Scalar, schema: &Json, path: &Path) -> Option<Json> {
        if is_octal(schema) {
            return Some(scalar.text.clone().into());
        }
        if let Kind::Integer(number) = scalar.kind {
            let bound = |key| schema.get(key).and_then(Json::as_i64);
            let (low, high) = (bound("minimum"), bound("maximum"));
            if low.is_some_and(|low| number < low) || high.is_some_and(|high| number > high) {
                let range = match (low, high) {
                    (Some(low), Some(high)) if low == high => format!("must be {low}"),
                    (Some(low), Some(high)) => format!("must be {low} to {high}"),
                    (Some(low), None) => format!("must be at least {low}"),
                    (_, high) => format!("must be at most {}", high.unwrap_or(i64::MAX)),
                };
                self.faults.add(path, range);
                return None;
            }
        }
        Some(to_json(scalar))
    }

    /// A value of no allowed type. A number where text belongs is taken as that text, so that
    /// the checks of its meaning can go on.
    fn mismatch(&mut self, tree: &Tree, branches: &[&Json], path: &Path) -> Option<Json> {
        let types = branches.iter().flat_map(|b| types(b)).filter(|t| *t != "null");
        let mut names: Vec<&str> = types.map(type_name).collect();
        names.dedup();
        let message = format!("expected {}, found {}", names.join(" or "), found(tree));
        let wants_text = names.contains(&"text");
        match &tree.value {
            Value::Scalar(Scalar { kind: Kind::Null, .. }) => {
                self.faults.advise(path, message, "write a value or leave the key out");
                None
            }
            Value::Scalar(scalar) if wants_text => {
                self.faults.advise(path, message, "put it in quotes");
                Some(scalar.text.clone().into())
            }
            _ => {
                self.faults.add(path, message);
                None
            }
        }
    }

    /// A value that is passed through as it is.
    fn any(&mut self, tree: &Tree, path: &Path) -> Json {
        match &tree.value {
            Value::Scalar(scalar) => to_json(scalar),
            Value::List(items) => {
                let item = |(i, t)| self.any(t, &path.index(i));
                Json::Array(items.iter().enumerate().map(item).collect())
            }
            Value::Map(entries) => {
                let entry = |e: &Entry| (e.key.clone(), self.any(&e.value, &path.key(&e.key)));
                Json::Object(entries.iter().map(entry).collect())
            }
        }
    }
}

fn types(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(many)) => many.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

fn fits(tree: &Tree, schema: &Json) -> bool {
    let kind: &[&str] = match &tree.value {
        Value::Map(_) => &["object"],
        Value::List(_) => &["array"],
        Value::Scalar(scalar) => match scalar.kind {
            Kind::Null => &["null"],
            Kind::Bool(_) => &["boolean"],
            Kind::Integer(_) => &["integer", "number"],
            Kind::Float(_) => &["number"],
            Kind::String => &["string"],
        },
    };
    types(schema).iter().any(|t| kind.contains(t))
}

fn is_octal(schema: &Json) -> bool {
    schema.get("format").and_then(Json::as_str) == Some("octal")
}

fn type_name(schema_type: &str) -> &'static str {
    match schema_type {
        "object" => "a mapping",
        "array" => "a list",
        "string" => "text",
        "boolean" => "`true` or `false`",
        "integer" => "a whole number",
        _ => "a number",
    }
}

fn scalar_json(tree: &Tree) -> Option<Json> {
    match &tree.value {
        Value::Scalar(scalar) => Some(to_json(scalar)),
        _ => None,
    }
}

/// The kind of a value; its text may be a secret.
fn found(tree: &Tree) -> &'static str {
    match &tree.value {
        Value::Map(_) => "a mapping",
        Value::List(_) => "a list",
        Value::Scalar(scalar) => match scalar.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "`true` or `false`",
            Kind::Integer(_) | Kind::Float(_) => "a number",
            Kind::String => "text",
        },
    }
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(30).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn to_json(scalar: &Scalar) -> Json {
    match scalar.kind {
        Kind::Null => Json::Null,
        Kind::Bool(b) => b.into(),
        Kind::Integer(i) => i.into(),
        // YAML's infinities and NaN have no JSON; their text is the best there is.
        Kind::Float(f) => Number::from_f64(f).map_or(scalar.text.clone().into(), Json::Number),
        Kind::String => scalar.text.clone().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every keyword of a schema, and the name of every property it describes.
    fn keywords(schema: &Json, found: &mut BTreeSet<String>) {
        let Json::Object(map) = schema else { return };
        for (keyword, value) in map {
            found.insert(keyword.clone());
            match (keyword.as_str(), value) {
                ("properties" | "$defs", Json::Object(named)) => {
                    named.values().for_each(|schema| keywords(schema, found));
                }
                ("anyOf" | "oneOf", Json::Array(choices)) => {
                    choices.iter().for_each(|schema| keywords(schema, found));
                }
                ("items" | "additionalProperties", schema) => keywords(schema, found),
                _ => {}
            }
        }
    }

    #[test]
    fn no_keyword_of_the_schema_goes_unchecked() {
        let mut found = BTreeSet::new();
        keywords(crate::profile::schema(), &mut found);
        let annotations = ["description", "title", "default", "$schema", "$defs"];
        let checked = [
            "type",
            "format",
            "properties",
            "required",
            "additionalProperties",
            "items",
            "minItems",
            "minimum",
            "maximum",
            "const",
            "anyOf",
            "oneOf",
            "$ref",
        ];
        for keyword in &annotations {
            found.remove(*keyword);
        }
        let known: BTreeSet<String> = checked.iter().map(ToString::to_string).collect();
        assert_eq!(found, known);
    }
}
