//! Collects everything wrong with a profile and says where each value stands.

use super::path::{Path, Step};
use super::tree::{Tree, Value};
use crate::error::{Error, Fault, Position};

/// Faults and warnings about one profile.
#[derive(Debug)]
pub struct Faults<'a> {
    tree: &'a Tree,
    /// What came from the command line: the key, and the option as given.
    sets: &'a [(Path, String)],
    found: Vec<(Path, Fault)>,
    /// How many of `found` are about structure.
    structural: usize,
    warnings: Vec<Fault>,
}

impl<'a> Faults<'a> {
    /// None yet.
    pub fn new(tree: &'a Tree, sets: &'a [(Path, String)]) -> Self {
        Self { tree, sets, found: Vec::new(), structural: 0, warnings: Vec::new() }
    }

    /// From here on faults are about meaning: a value whose structure is faulty gets no more.
    pub fn structure_is_known(&mut self) {
        self.structural = self.found.len();
    }

    /// A fault of the value at `path`, or of its absence.
    pub fn add(&mut self, path: &Path, message: impl Into<String>) {
        self.push(path, None, message.into(), None);
    }

    /// As [`Faults::add`], with advice.
    pub fn advise(&mut self, path: &Path, message: impl Into<String>, help: impl Into<String>) {
        self.push(path, None, message.into(), Some(help.into()));
    }

    /// A fault of a key rather than its value.
    pub fn key(
        &mut self,
        path: &Path,
        at: Option<Position>,
        message: String,
        help: Option<String>,
    ) {
        self.push(path, at, message, help);
    }

    /// Something that may well be meant.
    pub fn warn(&mut self, path: &Path, message: impl Into<String>) {
        let fault = self.fault(path, None, message.into(), None);
        self.warnings.push(fault);
    }

    /// Whether nothing is wrong with the value at `path`, its parts, or what it is part of.
    pub fn spares(&self, path: &Path) -> bool {
        !self.found.iter().any(|(at, _)| path.is_within(at) || at.is_within(path))
    }

    /// Whether the structure of the value at `path` has no fault, nor that of any part of it.
    pub fn is_whole(&self, path: &Path) -> bool {
        !self.found[..self.structural].iter().any(|(at, _)| at.is_within(path))
    }

    /// The warnings, or every fault in the order of the text.
    ///
    /// # Errors
    /// [`Error::Invalid`] about `what`.
    pub fn finish(mut self, what: &str) -> Result<Vec<Fault>, Error> {
        if self.found.is_empty() {
            return Ok(self.warnings);
        }
        self.found
            .sort_by_key(|(_, fault)| fault.at.map_or((usize::MAX, 0), |at| (at.line, at.column)));
        let faults = self.found.into_iter().map(|(_, fault)| fault).collect();
        Err(Error::Invalid { what: what.to_owned(), faults })
    }

    fn push(&mut self, path: &Path, at: Option<Position>, message: String, help: Option<String>) {
        if self.found[..self.structural].iter().any(|(faulty, _)| faulty == path) {
            return;
        }
        let fault = self.fault(path, at, message, help);
        self.found.push((path.clone(), fault));
    }

    fn fault(
        &self,
        path: &Path,
        at: Option<Position>,
        message: String,
        help: Option<String>,
    ) -> Fault {
        let set = self.sets.iter().rev().find(|(set, _)| path.is_within(set));
        let (at, message) = match set {
            Some((_, option)) => (None, format!("{message} (from `--set {option}`)")),
            None => (at.or_else(|| self.locate(path)), message),
        };
        Fault { key: path.to_string(), at, message, help }
    }

    /// Where the value stands, or the nearest thing around it.
    fn locate(&self, path: &Path) -> Option<Position> {
        let mut here = self.tree;
        let mut at = None;
        for step in &path.0 {
            let next = match (step, &here.value) {
                (Step::Key(key), _) => here.get(key),
                (Step::Index(index), Value::List(items)) => items.get(*index),
                (Step::Index(_), _) => None,
            };
            let Some(next) = next else { break };
            here = next;
            at = here.at.or(at);
        }
        at.or(self.tree.at)
    }
}

/// The candidate that `word` was probably meant to be.
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let plain = |s: &str| s.to_ascii_lowercase().replace(['_', '-', ' '], "");
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|c| (strsim::damerau_levenshtein(&plain(word), &plain(c)), c))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, c)| format!("did you mean `{c}`?"))
}

/// `a`, `b` or `c`.
pub fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut quoted: Vec<String> = words.into_iter().map(|w| format!("`{w}`")).collect();
    match quoted.pop() {
        None => String::new(),
        Some(last) if quoted.is_empty() => last,
        Some(last) => format!("{} or {last}", quoted.join(", ")),
    }
}
