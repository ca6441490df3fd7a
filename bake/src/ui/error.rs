//! How an error looks: what happened, every cause, every fault, then what to do.

use std::error::Error as _;
use std::fmt::Write as _;

use serde::Serialize;

use crate::error::{Error, Fault};

/// The error as one JSON line.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    event: &'static str,
    exit: u8,
    message: String,
    causes: Vec<String>,
    faults: Vec<FaultReport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<PartReport>,
    hints: Vec<String>,
}

#[derive(Debug, Serialize)]
struct PartReport {
    part: String,
    messages: Vec<String>,
}

#[derive(Debug, Serialize)]
struct FaultReport {
    key: String,
    line: Option<usize>,
    column: Option<usize>,
    message: String,
    help: Option<String>,
}

impl Report {
    pub(super) fn new(error: &Error) -> Self {
        let mut messages = chain(error);
        let faults = faults(error).iter().map(|f| FaultReport {
            key: f.key.clone(),
            line: f.at.map(|p| p.line),
            column: f.at.map(|p| p.column),
            message: f.message.clone(),
            help: f.help.clone(),
        });
        Self {
            event: "error",
            exit: error.exit() as u8,
            message: messages.remove(0),
            causes: messages,
            faults: faults.collect(),
            parts: parts(error)
                .iter()
                .map(|(part, error)| PartReport { part: part.clone(), messages: chain(error) })
                .collect(),
            hints: error.hints().into_iter().map(str::to_owned).collect(),
        }
    }
}

pub(super) fn render(error: &Error) -> String {
    let mut text = String::new();
    for (depth, message) in chain(error).iter().enumerate() {
        let head = if depth == 0 { "error:" } else { "  because:" };
        let _ = writeln!(text, "{head} {message}");
    }
    for (name, error) in parts(error) {
        for (depth, message) in chain(error).iter().enumerate() {
            let head = if depth == 0 { format!("  {name}:") } else { "    because:".into() };
            let _ = writeln!(text, "{head} {message}");
        }
    }
    for fault in faults(error) {
        let _ = writeln!(text, "  {}", fault_line(fault));
        if let Some(help) = &fault.help {
            let _ = writeln!(text, "      help: {help}");
        }
    }
    let hints = error.hints();
    if !hints.is_empty() {
        text.push('\n');
    }
    for hint in hints {
        let _ = writeln!(text, "hint: {hint}");
    }
    text
}

/// A reader of our output that went away (`bake ls … | head`) is no failure.
pub(super) fn is_closed_pipe(error: &Error) -> bool {
    matches!(error, Error::Io { path, source, .. }
        if source.kind() == std::io::ErrorKind::BrokenPipe
            && path.as_os_str() == "standard output")
}

fn fault_line(fault: &Fault) -> String {
    let at = fault.at.map(|p| format!("line {}, column {}: ", p.line, p.column));
    let key = if fault.key.is_empty() { String::new() } else { format!("{}: ", fault.key) };
    format!("{}{key}{}", at.unwrap_or_default(), fault.message)
}

/// Messages from the outermost to the innermost cause, without repeats.
fn chain(error: &Error) -> Vec<String> {
    let mut messages = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if messages.last() != Some(&text) {
            messages.push(text);
        }
        cause = inner.source();
    }
    messages
}

fn parts(error: &Error) -> &[(String, Error)] {
    match error {
        Error::Parts { failed, .. } => failed,
        Error::Context { source, .. } | Error::Hinted { source, .. } => parts(source),
        _ => &[],
    }
}

fn faults(error: &Error) -> &[Fault] {
    match error {
        Error::Invalid { faults, .. } => faults,
        Error::Context { source, .. } | Error::Hinted { source, .. } => faults(source),
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Context, Position, Result};

    #[test]
    fn everything_is_said_once() {
        let fault = Fault {
            key: "nodes[1].adress".into(),
            at: Some(Position { line: 12, column: 5 }),
            message: "unknown key".into(),
            help: Some("did you mean `address`?".into()),
        };
        let invalid = Error::Invalid { what: "profile p.yaml".into(), faults: vec![fault] };
        let error: Result<()> = Err(invalid.hint("see `bake profile schema`"));
        let error = error.context("reading the profile").unwrap_err();
        assert_eq!(
            render(&error),
            "error: reading the profile\n  \
             because: profile p.yaml has 1 fault\n  \
             line 12, column 5: nodes[1].adress: unknown key\n      \
             help: did you mean `address`?\n\n\
             hint: see `bake profile schema`\n"
        );
    }
}
