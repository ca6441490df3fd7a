//! Subjects with several organisations, which rcgen's distinguished names cannot hold.
//!
//! Kubernetes reads every organisation of a client's certificate as a group it is in, so the
//! subject is replaced in a finished certificate and that signed again.

use rcgen::{KeyPair, SigningKey};

use super::{damaged, failed, key};
use crate::error::Result;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const UTF8_STRING: u8 = 0x0c;
const BIT_STRING: u8 = 0x03;
/// Object identifiers 2.5.4.10 and 2.5.4.3, encoded whole.
const ORGANIZATION: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x0a];
const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];
/// Where the subject stands in a `TBSCertificate` with a version (RFC 5280 section 4.1): after
/// version, serial number, signature, issuer and validity.
const SUBJECT: usize = 5;

/// The certificate `der` with the subject `organizations`, `name`, signed by `issuer`. PEM.
pub(super) fn with_organizations(
    der: &[u8],
    organizations: &[&str],
    name: &str,
    issuer: &KeyPair,
) -> Result<String> {
    let [tbs, algorithm, _] = parts(content(der)?)?[..] else { return Err(malformed()) };
    let fields = parts(content(tbs)?)?;
    if fields.len() <= SUBJECT {
        return Err(malformed());
    }
    let subject = subject(organizations, name);
    let (before, after) = (fields[..SUBJECT].concat(), fields[SUBJECT + 1..].concat());
    let tbs = element(SEQUENCE, &[before, subject, after].concat());
    let signature = issuer.sign(&tbs).map_err(|e| failed(&e))?;
    let signature = element(BIT_STRING, &[&[0], signature.as_slice()].concat());
    let whole = element(SEQUENCE, &[&tbs, algorithm, &signature].concat());
    Ok(key::encode("CERTIFICATE", whole))
}

fn subject(organizations: &[&str], name: &str) -> Vec<u8> {
    let attribute = |kind: &[u8], value: &str| {
        let value = element(UTF8_STRING, value.as_bytes());
        element(SET, &element(SEQUENCE, &[kind, &value].concat()))
    };
    let groups = organizations.iter().map(|group| attribute(&ORGANIZATION, group));
    let all: Vec<u8> = groups.chain([attribute(&COMMON_NAME, name)]).flatten().collect();
    element(SEQUENCE, &all)
}

/// One element of the Distinguished Encoding Rules (X.690 section 10).
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut all = vec![tag];
    if content.len() < 0x80 {
        all.push(u8::try_from(content.len()).unwrap_or(0x7f));
    } else {
        let len = content.len().to_be_bytes();
        let len: &[u8] = &len[len.iter().take_while(|b| **b == 0).count()..];
        all.push(0x80 | u8::try_from(len.len()).unwrap_or(8));
        all.extend_from_slice(len);
    }
    all.extend_from_slice(content);
    all
}

/// Lengths of the header and the content of the element that `der` starts with.
fn measure(der: &[u8]) -> Option<(usize, usize)> {
    let first = usize::from(*der.get(1)?);
    if first < 0x80 {
        return Some((2, first));
    }
    let bytes = der.get(2..2 + (first & 0x7f))?;
    let len = bytes.iter().try_fold(0usize, |len, b| Some(len.checked_mul(256)? + usize::from(*b)));
    Some((2 + bytes.len(), len?))
}

fn content(der: &[u8]) -> Result<&[u8]> {
    let (head, len) = measure(der).ok_or_else(malformed)?;
    der.get(head..head + len).ok_or_else(malformed)
}

/// The elements that follow each other in `der`, whole.
fn parts(mut der: &[u8]) -> Result<Vec<&[u8]>> {
    let mut all = Vec::new();
    while !der.is_empty() {
        let (head, len) = measure(der).ok_or_else(malformed)?;
        let (one, rest) = der.split_at_checked(head + len).ok_or_else(malformed)?;
        all.push(one);
        der = rest;
    }
    Ok(all)
}

fn malformed() -> crate::error::Error {
    damaged("certificate")
}
