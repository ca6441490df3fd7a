//! Container images in Kubernetes manifests: found where pods name them, and pinned in place.
//!
//! A pod names them in `containers`, `initContainers` and `ephemeralContainers` (`image`), and in
//! image volumes (`volumes[].image.reference`): Kubernetes API, `PodSpec`. Pods stand in many kinds
//! of objects, so the place inside an object does not matter. What custom resources
//! call `image` may be half of a name that their controller completes: it is told and left alone.

use std::collections::BTreeMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::error::{Fault, Position};
use crate::io::digest::Sha256;

const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// A container image where a manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The name as it is written there.
    pub name: String,
    /// Line, from 1.
    pub line: usize,
    /// Whether it is a container's, or a volume's, and can be pinned.
    pub of_pod: bool,
    /// Its bytes in the text, quotes and all.
    at: Range<usize>,
    quote: Option<char>,
}

/// What a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Every container image, in the order of the text.
    pub images: Vec<Named>,
    /// Lines, from 1, where a Helm chart begins that K3s installs (`kind: HelmChart`): it names
    /// container images that nobody sees here.
    pub charts: Vec<usize>,
}

/// A manifest with digests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pinned {
    /// Its text, where it changes.
    pub text: Option<String>,
    /// Names of pods' container images that have no digest then.
    pub loose: Vec<String>,
}

/// Reads a manifest.
///
/// # Errors
/// A fault where it is no YAML.
pub fn read(text: &str) -> Result<Manifest, Fault> {
    let mut finder = Finder::new(text);
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|e| Fault {
            key: String::new(),
            at: Some(Position { line: e.marker().line(), column: e.marker().col() + 1 }),
            message: format!("not valid YAML: {}", e.info()),
            help: None,
        })?;
        finder.take(&event, span);
    }
    Ok(Manifest { images: finder.found, charts: finder.charts })
}

/// The manifest with a digest behind each name that `digests` knows and that has none; everything
/// else is left as it is, and what is no YAML altogether.
///
/// # Errors
/// A fault for a name that is written in a way which cannot be completed.
pub fn pin(text: &str, digests: &BTreeMap<String, Sha256>) -> Result<Pinned, Fault> {
    let Ok(Manifest { images, .. }) = read(text) else { return Ok(Pinned::default()) };
    let mut wanted: Vec<String> = Vec::new();
    let (mut pinned, mut from) = (String::new(), 0);
    for named in images.iter().filter(|named| named.of_pod) {
        let digest = digests.get(&named.name).filter(|_| !named.name.contains('@'));
        let Some(digest) = digest else {
            wanted.push(named.name.clone());
            continue;
        };
        let name = format!("{}@sha256:{digest}", named.name);
        pinned += &text[from..named.at.start];
        let quote = named.quote.map(String::from).unwrap_or_default();
        pinned += &format!("{quote}{name}{quote}");
        from = named.at.end;
        wanted.push(name);
    }
    let loose = |all: Vec<String>| all.into_iter().filter(|name| !name.contains('@')).collect();
    if from == 0 {
        return Ok(Pinned { text: None, loose: loose(wanted) });
    }
    pinned += &text[from..];
    // Read again: what was not a plain scalar on one line may have come out as something else.
    let again = read(&pinned)?.images;
    let again = again.iter().filter(|named| named.of_pod).map(|named| &named.name);
    match again.eq(&wanted) {
        true => Ok(Pinned { text: Some(pinned), loose: loose(wanted) }),
        false => Err(Fault {
            key: "image".into(),
            at: None,
            message: "a name of a container image stands there in a way that bake cannot pin"
                .into(),
            help: Some("write it plainly, on one line".into()),
        }),
    }
}

/// Where a value stands: below a key, or in the list below a key.
#[derive(Debug, Clone, Default, PartialEq)]
struct Under {
    key: String,
    listed: bool,
}

#[derive(Debug)]
struct Open {
    under: Under,
    /// In a mapping: the key whose value is next; `None` where a key is next.
    key: Option<String>,
    mapping: bool,
}

struct Finder<'t> {
    text: &'t str,
    /// Characters that were counted, and the bytes they take: spans come in order, and in characters.
    counted: (usize, usize),
    stack: Vec<Open>,
    anchors: BTreeMap<usize, String>,
    found: Vec<Named>,
    charts: Vec<usize>,
}

impl<'t> Finder<'t> {
    fn new(text: &'t str) -> Self {
        let (stack, anchors) = (Vec::new(), BTreeMap::new());
        Self { text, counted: (0, 0), stack, anchors, found: Vec::new(), charts: Vec::new() }
    }

    fn take(&mut self, event: &Event<'_>, span: Span) {
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                let under = self.under();
                let mapping = matches!(event, Event::MappingStart(..));
                self.stack.push(Open { under, key: None, mapping });
            }
            Event::MappingEnd | Event::SequenceEnd => {
                self.stack.pop();
                self.done();
            }
            Event::Scalar(text, style, anchor, _) => {
                if *anchor > 0 {
                    self.anchors.insert(*anchor, text.to_string());
                }
                let quote = match style {
                    ScalarStyle::SingleQuoted => Some('\''),
                    ScalarStyle::DoubleQuoted => Some('"'),
                    _ => None,
                };
                self.scalar(text, quote, span);
            }
            Event::Alias(anchor) => match self.anchors.get(anchor).cloned() {
                Some(text) => self.scalar(&text, None, span),
                // A whole container: where that was written out, its image was found.
                None => self.scalar("", None, span),
            },
            _ => {}
        }
    }

    /// Where the next value stands.
    fn under(&self) -> Under {
        match self.stack.last() {
            None => Under::default(),
            Some(open) if open.mapping => {
                Under { key: open.key.clone().unwrap_or_default(), listed: false }
            }
            Some(open) => Under { key: open.under.key.clone(), listed: true },
        }
    }

    /// A value is complete.
    fn done(&mut self) {
        if let Some(open) = self.stack.last_mut() {
            open.key = None;
        }
    }

    fn scalar(&mut self, text: &str, quote: Option<char>, span: Span) {
        match self.stack.last_mut() {
            Some(open) if open.mapping && open.key.is_none() => {
                open.key = Some(text.to_owned());
                return;
            }
            _ => {}
        }
        if text == "HelmChart"
            && self.stack.last().is_some_and(|o| o.key.as_deref() == Some("kind"))
        {
            self.charts.push(span.start.line());
        }
        if let Some(of_pod) = self.is_image()
            && !text.is_empty()
        {
            let (start, end) = (self.bytes(span.start.index()), self.bytes(span.end.index()));
            let at = start + properties(&self.text[start..end])..end;
            let (name, line) = (text.to_owned(), span.start.line());
            self.found.push(Named { name, line, of_pod, at, quote });
        }
        self.done();
    }

    /// Whether the value that comes is the name of an image, and one of a pod.
    fn is_image(&self) -> Option<bool> {
        let [.., outer, open] = &self.stack[..] else { return None };
        if !open.mapping {
            return None;
        }
        let holder = &open.under;
        match open.key.as_deref()? {
            "image" => Some(holder.listed && CONTAINERS.contains(&holder.key.as_str())),
            "reference" if *holder == (Under { key: "image".into(), listed: false }) => {
                (outer.under == Under { key: "volumes".into(), listed: true }).then_some(true)
            }
            _ => None,
        }
    }

    /// The place of a character in bytes.
    fn bytes(&mut self, character: usize) -> usize {
        let (from, mut bytes) = self.counted;
        let (from, rest) = match character.checked_sub(from) {
            Some(more) => (more, &self.text[bytes..]),
            None => {
                bytes = 0;
                (character, self.text)
            }
        };
        bytes += rest.chars().take(from).map(char::len_utf8).sum::<usize>();
        self.counted = (character, bytes);
        bytes
    }
}

/// Length of an anchor and a tag before a value (YAML 1.2, 6.9), which are part of its span.
fn properties(value: &str) -> usize {
    let mut rest = value;
    while rest.starts_with(['&', '!']) {
        let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
        rest = rest[word..].trim_start();
    }
    value.len() - rest.len()
}
