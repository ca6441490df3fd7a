//! From files to packets and certificates.

use std::io::Read;

use pgp::armor::Dearmor;
use pgp::composed::{Deserializable, SignedPublicKey};
use pgp::packet::{Packet, PacketParser, PacketTrait};
use pgp::types::Tag;

/// What each armoured block begins with.
const BEGIN: &str = "-----BEGIN PGP ";

/// What is inside the armour; bytes that wear none are as they are. Several blocks are joined.
pub(super) fn unarmoured(input: &[u8]) -> Option<Vec<u8>> {
    if input.first().is_some_and(|b| b & 0x80 != 0) {
        return Some(input.to_vec());
    }
    let text = std::str::from_utf8(input).ok()?;
    let mut all = Vec::new();
    for (at, _) in text.match_indices(BEGIN) {
        let more = text[at + BEGIN.len()..].find(BEGIN);
        let block = &text[at..more.map_or(text.len(), |more| at + BEGIN.len() + more)];
        Dearmor::new(block.as_bytes()).read_to_end(&mut all).ok()?;
    }
    Some(all).filter(|all| !all.is_empty())
}

/// The packets of a file.
pub(super) fn packets(bytes: &[u8]) -> impl Iterator<Item = pgp::errors::Result<Packet>> {
    PacketParser::new(bytes)
}

/// The public keys of a file, with what is signed about them; what is not understood is left out.
pub(super) fn certificates(bytes: &[u8]) -> impl Iterator<Item = SignedPublicKey> {
    // GnuPG's own keyrings have a note of trust after each packet.
    let known = packets(bytes).filter(|packet| {
        packet.as_ref().is_ok_and(|p| !matches!(p.tag(), Tag::Trust | Tag::Marker | Tag::Padding))
    });
    SignedPublicKey::from_packets(known.peekable()).filter_map(Result::ok)
}
