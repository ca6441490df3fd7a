//! YAML text as a tree that knows where each value stands.
//!
//! Bounded against hostile text: size, depth and the number of nodes (aliases count for what they
//! expand to) have limits far above any real profile.

use std::collections::BTreeMap;

use saphyr::{Marker, Scalar as YamlScalar};
use saphyr_parser::{Event, Parser, ScanError, Span};

use crate::error::{Fault, Position};

/// Bytes of YAML text.
const MAX_BYTES: usize = 1 << 20;
/// Values in a document, aliases expanded.
const MAX_NODES: usize = 20_000;
/// Lists and mappings within each other.
const MAX_DEPTH: usize = 32;

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// Where it stands in the text; `None` for what did not come from the file.
    pub at: Option<Position>,
    /// The value.
    pub value: Value,
}

/// What a YAML node can be.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Anything without parts.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<Tree>),
    /// A mapping, in the order of the text, without duplicates.
    Map(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key stands.
    pub at: Option<Position>,
    /// Its value.
    pub value: Tree,
}

/// A value without parts (YAML 1.2 core schema).
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// As it stands in the text, quotes removed.
    pub text: String,
    /// What it means.
    pub kind: Kind,
}

/// What a scalar means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Float(f64),
    /// Everything else, and everything quoted.
    String,
}

impl Tree {
    /// Reads one YAML document.
    ///
    /// # Errors
    /// Every duplicate key and non-text key, or the first syntax error or exceeded limit.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        if text.len() > MAX_BYTES {
            return Err(vec![fault(None, "the text is larger than 1 MiB")]);
        }
        let mut builder = Builder::default();
        match builder.run(text) {
            Ok(Some(tree)) if builder.faults.is_empty() => Ok(tree),
            Ok(Some(_)) => Err(builder.faults),
            Ok(None) => Err(vec![fault(None, "the text is empty")]),
            Err(stop) => {
                builder.faults.push(stop);
                Err(builder.faults)
            }
        }
    }

    /// The value of `key` in a mapping.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Tree> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.value),
            _ => None,
        }
    }

    /// Whether this is YAML's null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(Scalar { kind: Kind::Null, .. }))
    }

    /// Forgets where the tree and its parts stand, for values that come from the command line.
    pub fn detach(&mut self) {
        self.at = None;
        match &mut self.value {
            Value::Scalar(_) => {}
            Value::List(items) => items.iter_mut().for_each(Self::detach),
            Value::Map(entries) => {
                for entry in entries {
                    entry.at = None;
                    entry.value.detach();
                }
            }
        }
    }
}

fn fault(at: Option<Position>, message: impl Into<String>) -> Fault {
    Fault { key: String::new(), at, message: message.into(), help: None }
}

fn position(mark: Marker) -> Position {
    Position { line: mark.line(), column: mark.col() + 1 }
}

fn scan_fault(error: &ScanError) -> Fault {
    fault(Some(position(*error.marker())), format!("not valid YAML: {}", error.info()))
}

/// A list or mapping that is still open.
struct Open {
    at: Position,
    anchor: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Tree>),
    Map { entries: Vec<Entry>, key: Option<(String, Position)> },
}

#[derive(Default)]
struct Builder {
    stack: Vec<Open>,
    anchors: BTreeMap<usize, (Tree, usize)>,
    nodes: usize,
    faults: Vec<Fault>,
    root: Option<Tree>,
}

impl Builder {
    /// Pulls events one by one: the parser's own loader recurses and would overflow the stack on
    /// deep nesting.
    fn run(&mut self, text: &str) -> Result<Option<Tree>, Fault> {
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|e| scan_fault(&e))?;
            self.take(event, span)?;
        }
        Ok(self.root.take())
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let at = position(span.start);
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(fault(Some(at), "a second YAML document: a profile is one document"))
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_tag(tag.is_some_and(|t| !t.is_yaml_core_schema()), at);
                self.open(at, anchor, OpenKind::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.check_tag(tag.is_some_and(|t| !t.is_yaml_core_schema()), at);
                self.open(at, anchor, OpenKind::Map { entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                let Some((mut tree, size)) = self.anchors.get(&anchor).cloned() else {
                    return Err(fault(Some(at), "an alias to a value that contains it"));
                };
                tree.at = Some(at);
                self.count(size, at)?;
                self.add(tree)
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.check_tag(tag.as_ref().is_some_and(|t| !t.is_yaml_core_schema()), at);
                let kind = match YamlScalar::parse_from_cow_and_metadata(
                    text.clone(),
                    style,
                    tag.as_ref(),
                ) {
                    Some(YamlScalar::Null) => Kind::Null,
                    Some(YamlScalar::Boolean(b)) => Kind::Bool(b),
                    Some(YamlScalar::Integer(i)) => Kind::Integer(i),
                    Some(YamlScalar::FloatingPoint(f)) => Kind::Float(f.into_inner()),
                    Some(YamlScalar::String(_)) => Kind::String,
                    None => {
                        self.faults.push(fault(Some(at), "the value does not fit its YAML tag"));
                        Kind::Null
                    }
                };
                let scalar = Scalar { text: text.into_owned(), kind };
                let tree = Tree { at: Some(at), value: Value::Scalar(scalar) };
                self.count(1, at)?;
                if anchor != 0 {
                    self.anchors.insert(anchor, (tree.clone(), 1));
                }
                self.add(tree)
            }
            _ => Ok(()),
        }
    }

    fn check_tag(&mut self, foreign: bool, at: Position) {
        if foreign {
            self.faults.push(fault(Some(at), "YAML tags of your own have no meaning here"));
        }
    }

    fn open(&mut self, at: Position, anchor: usize, kind: OpenKind) -> Result<(), Fault> {
        if self.stack.len() == MAX_DEPTH {
            return Err(fault(Some(at), format!("more than {MAX_DEPTH} levels deep")));
        }
        self.count(1, at)?;
        self.stack.push(Open { at, anchor, kind });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        let Some(open) = self.stack.pop() else { return Ok(()) };
        let value = match open.kind {
            OpenKind::List(items) => Value::List(items),
            OpenKind::Map { entries, .. } => Value::Map(entries),
        };
        let tree = Tree { at: Some(open.at), value };
        if open.anchor != 0 {
            let size = size(&tree);
            self.anchors.insert(open.anchor, (tree.clone(), size));
        }
        self.add(tree)
    }

    fn count(&mut self, nodes: usize, at: Position) -> Result<(), Fault> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(fault(Some(at), format!("more than {MAX_NODES} values")));
        }
        Ok(())
    }

    /// Puts a finished value where it belongs. A faulty key is reported and its value dropped.
    fn add(&mut self, tree: Tree) -> Result<(), Fault> {
        let Some(open) = self.stack.last_mut() else {
            self.root = Some(tree);
            return Ok(());
        };
        match &mut open.kind {
            OpenKind::List(items) => items.push(tree),
            OpenKind::Map { entries, key } => match key.take() {
                None => {
                    let at = tree.at.unwrap_or(open.at);
                    let Value::Scalar(Scalar { text, kind }) = tree.value else {
                        return Err(fault(Some(at), "a key must be text"));
                    };
                    if text == "<<" && kind == Kind::String {
                        self.faults
                            .push(fault(Some(at), "YAML merge keys (`<<`) are not supported"));
                    }
                    *key = Some((text, at));
                }
                Some((name, at)) => {
                    if let Some(first) = entries.iter().find(|e| e.key == name) {
                        let line = first.at.map_or(0, |p| p.line);
                        self.faults.push(Fault {
                            key: name,
                            at: Some(at),
                            message: format!("the key stands here again, first on line {line}"),
                            help: Some("keep one of the two".into()),
                        });
                    } else {
                        entries.push(Entry { key: name, at: Some(at), value: tree });
                    }
                }
            },
        }
        Ok(())
    }
}

fn size(tree: &Tree) -> usize {
    1 + match &tree.value {
        Value::Scalar(_) => 0,
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|e| size(&e.value)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<Fault> {
        Tree::parse(text).expect_err(text)
    }

    #[test]
    fn values_know_where_they_stand() {
        let tree = Tree::parse("a: 1\nb:\n  - x\n  - {c: \"0644\"}\n").unwrap();
        let Value::List(items) = &tree.get("b").unwrap().value else { panic!() };
        assert_eq!(items[0].at, Some(Position { line: 3, column: 5 }));
        let c = items[1].get("c").unwrap();
        assert_eq!(c.at, Some(Position { line: 4, column: 9 }));
        assert_eq!(c.value, Value::Scalar(Scalar { text: "0644".into(), kind: Kind::String }));
    }

    #[test]
    fn yaml_1_2_words_are_text() {
        let tree = Tree::parse("swap: off\nx: yes").unwrap();
        let Value::Scalar(swap) = &tree.get("swap").unwrap().value else { panic!() };
        assert_eq!((swap.text.as_str(), swap.kind), ("off", Kind::String));
    }

    #[test]
    fn all_duplicates_are_reported() {
        let found = faults("a: 1\nb: 2\na: 3\nb: 4\n");
        let lines: Vec<_> = found.iter().map(|f| f.at.unwrap().line).collect();
        assert_eq!(lines, [3, 4]);
    }

    #[test]
    fn aliases_expand_within_limits() {
        let tree = Tree::parse("a: &x [1, 2]\nb: *x\n").unwrap();
        assert_eq!(tree.get("a").unwrap().value, {
            let Value::List(items) = &tree.get("b").unwrap().value else { panic!() };
            Value::List(items.clone())
        });
        let mut bomb = String::from("a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n");
        for i in 1..12 {
            let list = vec![format!("*a{}", i - 1); 9].join(", ");
            bomb += &format!("a{i}: &a{i} [{list}]\n");
        }
        assert!(faults(&bomb)[0].message.contains("more than 20000 values"));
        assert!(faults("a: &a [*a]")[0].message.contains("alias"));
    }

    #[test]
    fn depth_and_documents_are_limited() {
        let nested = format!("{}{}", "[".repeat(40), "]".repeat(40));
        assert!(faults(&nested)[0].message.contains("levels deep"));
        assert!(faults(&"- ".repeat(100_000))[0].message.contains("levels deep"));
        // The scanner reads ahead and has a limit of its own.
        assert!(faults(&"[".repeat(100_000))[0].message.contains("recursion limit"));
        assert!(faults("a: 1\n---\nb: 2\n")[0].message.contains("second YAML document"));
        assert!(faults("")[0].message.contains("empty"));
        assert!(faults(&"x".repeat(MAX_BYTES + 1))[0].message.contains("1 MiB"));
    }
}
