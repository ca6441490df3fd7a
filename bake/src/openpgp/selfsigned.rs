//! What a certificate says about its keys: which of them may sign, until when (RFC 9580, 10.1).
//!
//! Whoever can change a key file can add anything to it; only what the primary key signed counts.

use pgp::composed::{SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{KeyFlags, PublicKey, Signature, SignatureType, SubpacketData};
use pgp::types::{KeyDetails, Tag};

use super::key::{Key, Material};
use super::rules::{self, Digests};

/// The keys of a certificate that may sign data.
pub(super) fn signing(certificate: &SignedPublicKey) -> Vec<Key> {
    let primary = &certificate.primary_key;
    let own = newest(own_signatures(certificate));
    let expires = own.and_then(|own| expires(primary, own));
    let said = own.map_or(0, at);
    let details = &certificate.details;
    let mut revocations = details.revocation_signatures.iter();
    let revoked = revocations.any(|s| sound(s, primary) && s.verify_key(primary).is_ok());
    let mut keys: Vec<Key> = certificate
        .public_subkeys
        .iter()
        .filter_map(|subkey| signing_subkey(primary, subkey))
        .collect();
    for key in &mut keys {
        key.revoked |= revoked;
        key.expires = [key.expires, expires].into_iter().flatten().min();
        key.said = key.said.max(said);
    }
    if own.and_then(flags).is_none_or(|flags| flags.sign()) {
        keys.push(Key {
            fingerprint: primary.fingerprint(),
            certificate: primary.fingerprint(),
            created: primary.created_at().as_secs().into(),
            material: Material::Primary(Box::new(primary.clone())),
            expires,
            revoked,
            said,
        });
    }
    keys
}

/// The signatures of a primary key over itself and the names it bears.
fn own_signatures(certificate: &SignedPublicKey) -> impl Iterator<Item = &Signature> {
    let primary = &certificate.primary_key;
    let details = &certificate.details;
    let direct = details.direct_signatures.iter().filter(|s| {
        s.typ() == Some(SignatureType::Key) && sound(s, primary) && s.verify_key(primary).is_ok()
    });
    let names = details.users.iter().flat_map(|user| {
        user.signatures.iter().filter(|s| {
            certifies(s)
                && sound(s, primary)
                && s.verify_certification(primary, Tag::UserId, &user.id).is_ok()
        })
    });
    let attributes = details.user_attributes.iter().flat_map(|user| {
        user.signatures.iter().filter(|s| {
            certifies(s)
                && sound(s, primary)
                && s.verify_certification(primary, Tag::UserAttribute, &user.attr).is_ok()
        })
    });
    direct.chain(names).chain(attributes)
}

fn certifies(signature: &Signature) -> bool {
    signature.is_certification() && signature.typ() != Some(SignatureType::CertRevocation)
}

/// A subkey that belongs to `primary`, that agrees to it, and that may sign.
fn signing_subkey(primary: &PublicKey, subkey: &SignedPublicSubKey) -> Option<Key> {
    let key = &subkey.key;
    let mut bound = Vec::new();
    let mut revoked = false;
    for signature in subkey.signatures.iter().filter(|s| sound(s, primary)) {
        if signature.verify_subkey_binding(primary, key).is_ok() {
            match signature.typ() {
                Some(SignatureType::SubkeyRevocation) => revoked = true,
                _ => bound.push(signature),
            }
        }
    }
    let binding = newest(bound.into_iter())?;
    let back = binding.embedded_signature()?;
    let agrees = sound(back, key) && back.verify_primary_key_binding(key, primary).is_ok();
    (agrees && flags(binding)?.sign()).then(|| Key {
        fingerprint: key.fingerprint(),
        certificate: primary.fingerprint(),
        created: key.created_at().as_secs().into(),
        material: Material::Subkey(Box::new(key.clone())),
        expires: expires(key, binding),
        revoked,
        said: at(binding),
    })
}

/// Whether a signature of `key` about keys is strong enough to count.
fn sound(signature: &Signature, key: &impl KeyDetails) -> bool {
    rules::version(signature)
        && rules::digest(signature, Digests::Legacy).is_ok()
        && rules::key(key).is_ok()
        && !rules::conditions(signature)
}

/// Of several signatures about the same, the newest counts (RFC 9580, 5.2.3.10).
fn newest<'s>(signatures: impl Iterator<Item = &'s Signature>) -> Option<&'s Signature> {
    signatures.max_by_key(|signature| signature.created())
}

/// When it was made, in seconds since 1970-01-01 UTC.
fn at(signature: &Signature) -> u64 {
    signature.created().map_or(0, |time| time.as_secs().into())
}

fn expires(key: &impl KeyDetails, signature: &Signature) -> Option<u64> {
    let lifetime = signature.key_expiration_time().map(|d| u64::from(d.as_secs()));
    lifetime.filter(|&s| s > 0).map(|s| u64::from(key.created_at().as_secs()) + s)
}

/// What a key may be used for, where that is said.
fn flags(signature: &Signature) -> Option<&KeyFlags> {
    signature.config()?.hashed_subpackets().find_map(|subpacket| match &subpacket.data {
        SubpacketData::KeyFlags(flags) => Some(flags),
        _ => None,
    })
}
