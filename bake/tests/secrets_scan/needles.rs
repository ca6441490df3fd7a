//! A secret in every form it could leak in, and a search of all of them at once.

use std::collections::BTreeMap;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::Value;

/// How often each form of each secret was met: secret, form.
pub type Found = BTreeMap<(String, &'static str), usize>;

pub struct Needles {
    names: Vec<(String, &'static str)>,
    search: AhoCorasick,
}

impl Needles {
    /// Secrets by what they are. Of a PEM key the private number counts, and a line of the text.
    pub fn new(secrets: &BTreeMap<String, String>) -> Self {
        let (mut names, mut all) = (Vec::new(), Vec::new());
        for (what, text) in secrets {
            let mut forms = Vec::new();
            if text.starts_with("-----BEGIN") {
                let line = text.lines().nth(1).unwrap();
                forms.push(("PEM", line.as_bytes().to_vec()));
                forms.extend(encoded(&private_number(text)));
            } else {
                forms.extend(encoded(text.as_bytes()));
                if let Ok(bytes) = hex::decode(text) {
                    forms.push(("binary", bytes));
                }
            }
            for (form, bytes) in forms {
                assert!(bytes.len() >= 8, "{what} as {form} is too short to be told from chance");
                names.push((what.clone(), form));
                all.push(bytes);
            }
        }
        Self { names, search: AhoCorasick::new(all).unwrap() }
    }

    /// Counts them in what is not zero.
    pub fn count(&self, bytes: &[u8]) -> Found {
        let mut found = Found::new();
        let mut rest = bytes;
        while let Some(start) = rest.chunks(BLOCK).position(|block| block.iter().any(|b| *b != 0)) {
            rest = &rest[start * BLOCK..];
            let end = rest.chunks(BLOCK).position(|block| block.iter().all(|b| *b == 0));
            let end = end.map_or(rest.len(), |blocks| blocks * BLOCK);
            for hit in self.search.find_overlapping_iter(&rest[..end]) {
                *found.entry(self.names[hit.pattern().as_usize()].clone()).or_default() += 1;
            }
            rest = &rest[end..];
        }
        found
    }
}

const BLOCK: usize = 4096;

/// As it is, in hexadecimal, and in base64 behind 0, 1 or 2 other bytes.
fn encoded(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![
        ("plain", bytes.to_vec()),
        ("hex", hex::encode(bytes).into_bytes()),
        ("HEX", hex::encode_upper(bytes).into_bytes()),
    ];
    for (before, form) in [(0, "base64"), (1, "base64, second byte"), (2, "base64, third byte")] {
        let padded = [&vec![0; before][..], bytes].concat();
        // Letters that depend on these bytes alone.
        let (first, last) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        for engine in [&STANDARD, &URL_SAFE] {
            forms.push((form, engine.encode(&padded).as_bytes()[first..last].to_vec()));
        }
    }
    forms.dedup();
    forms
}

/// The 32 bytes of a P-256 key, which stand behind the octet string's header in both forms (SEC 1,
/// PKCS#8).
fn private_number(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(body).unwrap();
    let header = [0x02, 0x01, 0x01, 0x04, 0x20];
    let at = der.windows(header.len()).position(|w| w == header).expect("a private key");
    der[at + header.len()..][..32].to_vec()
}

/// Every secret of a cluster's file, by its key in it.
pub fn of_file(json: &str) -> BTreeMap<String, String> {
    fn walk(value: &Value, at: &str, found: &mut BTreeMap<String, String>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| {
                walk(
                    value,
                    &if at.is_empty() { key.clone() } else { format!("{at}.{key}") },
                    found,
                );
            }),
            Value::String(text) => {
                let last = at.rsplit('.').next().unwrap();
                if last.ends_with("token") || last.ends_with("password") || text.contains("PRIVATE")
                {
                    found.insert(at.to_owned(), text.clone());
                }
            }
            _ => {}
        }
    }
    let mut found = BTreeMap::new();
    walk(&serde_json::from_str(json).unwrap(), "", &mut found);
    found
}
