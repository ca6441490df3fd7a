//! Catalogue files: YAML in, entries or faults with line and column out.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_saphyr::{DefaultMessageFormatter, Location, MessageFormatter, Spanned};

use super::{Entry, Trust};
use crate::error::{Error, Fault, Position, Result};

const VERSION: u32 = 1;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Spanned<u32>,
    images: Vec<Spanned<Entry>>,
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    images: &'a [Entry],
}

/// Reads a catalogue file; `what` names it in messages.
///
/// # Errors
/// [`Error::Invalid`].
pub fn parse(what: &str, text: &str) -> Result<Vec<Entry>> {
    let file: File = read(what, text)?;
    let mut faults = Vec::new();
    if file.version.value != VERSION {
        let message = format!("version {} is not known, only {VERSION}", file.version.value);
        faults.push(fault("version", file.version.referenced, message));
    }
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let series: BTreeSet<&str> =
        file.images.iter().filter_map(|entry| entry.value.series.as_deref()).collect();
    for entry in &file.images {
        let line = entry.referenced.line();
        let mut wrong =
            |message: String| faults.push(fault(&entry.value.id, entry.referenced, message));
        if let Some(first) = seen.insert(entry.value.id.clone(), line) {
            wrong(format!("the image of line {first} has the same id"));
        }
        for message in contradictions(&entry.value, &series) {
            wrong(message);
        }
    }
    if faults.is_empty() {
        Ok(file.images.into_iter().map(|e| e.value).collect())
    } else {
        Err(Error::Invalid { what: what.into(), faults })
    }
}

/// Writes a catalogue file.
///
/// # Errors
/// [`Error::Corrupt`] where an entry cannot be written as YAML.
pub fn render(entries: &[Entry]) -> Result<String> {
    serde_saphyr::to_string(&Written { version: VERSION, images: entries }).map_err(|e| {
        Error::Corrupt { what: "the catalogue to be written".into(), reason: e.to_string() }
    })
}

/// Reads YAML into `T`; the first fault ends it.
pub(super) fn read<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_saphyr::from_str(text).map_err(|error| {
        let inner = error.without_snippet();
        let message = DefaultMessageFormatter.format_message(inner).escape_debug().to_string();
        let at = error.location().and_then(position);
        let fault = Fault { key: String::new(), at, message, help: None };
        Error::Invalid { what: what.into(), faults: vec![fault] }
    })
}

fn contradictions(entry: &Entry, series: &BTreeSet<&str>) -> Vec<String> {
    let mut found = Vec::new();
    if entry.id.is_empty()
        || !entry.id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._+".contains(&b))
    {
        found.push("an id has letters, digits, `-`, `.`, `_` and `+` only".into());
    }
    if series.contains(entry.id.as_str()) {
        found.push("its id is the name of a series".into());
    }
    if entry.trust == Trust::Confirmed && entry.sha256.is_none() && entry.image_sha256.is_none() {
        found.push("it is confirmed but has no digest".into());
    }
    if entry.version.bytes().all(|b| !b.is_ascii_digit()) {
        found.push("its version has no number to sort by".into());
    }
    found
}

fn fault(key: &str, at: Location, message: String) -> Fault {
    Fault { key: key.into(), at: position(at), message, help: None }
}

fn position(at: Location) -> Option<Position> {
    let (line, column) = (usize::try_from(at.line()).ok()?, usize::try_from(at.column()).ok()?);
    (line > 0).then_some(Position { line, column })
}
