//! Signature packets, version 4 (RFC 9580, 5.2).

use super::packet::{integer, new_length, number, seconds};

/// Over a document, byte by byte.
pub(super) const BINARY: u8 = 0x00;
/// Over a text with line ends CR LF.
pub(super) const TEXT: u8 = 0x01;
/// By a primary key over one of its subkeys.
pub(super) const SUBKEY_BINDING: u8 = 0x18;
/// By a subkey over its primary key: it agrees to be its subkey.
pub(super) const PRIMARY_BINDING: u8 = 0x19;
/// By a key over itself.
pub(super) const DIRECT: u8 = 0x1F;
pub(super) const KEY_REVOCATION: u8 = 0x20;
pub(super) const SUBKEY_REVOCATION: u8 = 0x28;
/// By a key over a user id: four degrees of certainty.
pub(super) const CERTIFICATION: std::ops::RangeInclusive<u8> = 0x10..=0x13;

/// A signature.
#[derive(Debug, Clone)]
pub(super) struct Signature {
    pub(super) kind: u8,
    pub(super) algorithm: u8,
    pub(super) hash: u8,
    /// Version to the end of the hashed subpackets: what is hashed of the signature itself.
    pub(super) hashed: Vec<u8>,
    /// First two octets of the digest.
    pub(super) check: [u8; 2],
    /// Algorithm-specific.
    pub(super) value: Vec<u8>,
    /// Seconds since 1970-01-01 UTC.
    pub(super) created: Option<u64>,
    /// Seconds after `created`; `None` where it never expires.
    pub(super) lifetime: Option<u64>,
    /// Seconds after the key's creation; `None` where it never expires.
    pub(super) key_lifetime: Option<u64>,
    /// What the key may be used for (RFC 9580, 5.2.3.29): bit 1 for signing data.
    pub(super) key_flags: Option<u8>,
    pub(super) issuer_id: Option<[u8; 8]>,
    pub(super) issuer_fingerprint: Option<Vec<u8>>,
    /// Signature packets inside: the primary key binding.
    pub(super) embedded: Option<Vec<u8>>,
    /// Whether something critical stands in it that we do not know.
    pub(super) critical: bool,
}

impl Signature {
    /// Reads the body of a packet; `None` for other versions and for what is broken.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let &[version, kind, algorithm, hash, ..] = body else { return None };
        if version != 4 {
            return None;
        }
        let (hashed_len, rest) = number(&body[4..], 2)?;
        let (hashed, rest) = rest.split_at_checked(hashed_len)?;
        let (plain_len, rest) = number(rest, 2)?;
        let (plain, rest) = rest.split_at_checked(plain_len)?;
        let (check, value) = rest.split_at_checked(2)?;
        let mut signature = Self {
            kind,
            algorithm,
            hash,
            hashed: body[..6 + hashed_len].to_vec(),
            check: check.try_into().ok()?,
            value: value.to_vec(),
            created: None,
            lifetime: None,
            key_lifetime: None,
            key_flags: None,
            issuer_id: None,
            issuer_fingerprint: None,
            embedded: None,
            critical: false,
        };
        signature.subpackets(hashed, true)?;
        signature.subpackets(plain, false)?;
        Some(signature)
    }

    /// Of the subpackets that nobody signed, only those that tell who to ask count, and the
    /// embedded signature, which vouches for itself.
    fn subpackets(&mut self, mut bytes: &[u8], signed: bool) -> Option<()> {
        while !bytes.is_empty() {
            let (len, rest) = new_length(bytes)?;
            let (subpacket, rest) = rest.split_at_checked(len)?;
            bytes = rest;
            let (&kind, data) = subpacket.split_first()?;
            match kind & 0x7F {
                2 if signed => self.created = Some(seconds(data)?),
                3 if signed => self.lifetime = Some(seconds(data)?).filter(|&s| s > 0),
                9 if signed => self.key_lifetime = Some(seconds(data)?).filter(|&s| s > 0),
                27 if signed => self.key_flags = Some(data.first().copied().unwrap_or(0)),
                16 => self.issuer_id = Some(data.try_into().ok()?),
                32 => self.embedded = Some(data.to_vec()),
                33 => self.issuer_fingerprint = Some(data.get(1..)?.to_vec()),
                // Preferences, notations for people, policies, flags: nothing here hangs on them.
                4 | 5 | 7 | 11 | 12 | 20..=26 | 28..=31 | 34 | 35 | 39 => {}
                _ if signed && kind & 0x80 != 0 => self.critical = true,
                _ => {}
            }
        }
        Some(())
    }

    /// Who it says it is by.
    pub(super) fn issuer(&self) -> String {
        match (&self.issuer_fingerprint, &self.issuer_id) {
            (Some(fingerprint), _) => hex::encode_upper(fingerprint),
            (None, Some(id)) => hex::encode_upper(id),
            (None, None) => "nobody it names".into(),
        }
    }

    /// Its integers, as many as `count`.
    pub(super) fn integers(&self, count: usize) -> Option<Vec<&[u8]>> {
        let mut rest = self.value.as_slice();
        let mut found = Vec::new();
        for _ in 0..count {
            let (value, after) = integer(rest)?;
            found.push(value);
            rest = after;
        }
        rest.is_empty().then_some(found)
    }

    /// What is hashed after the signed data (RFC 9580, 5.2.4).
    pub(super) fn trailer(&self) -> Vec<u8> {
        let len = u32::try_from(self.hashed.len()).unwrap_or(u32::MAX);
        [self.hashed.as_slice(), &[4, 0xFF], &len.to_be_bytes()].concat()
    }
}
