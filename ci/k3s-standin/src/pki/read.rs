//! What certificates say.

use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};

use crate::Fatal;

/// Whom a client certificate names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Common name: the user.
    pub user: String,
    /// Organizations: the groups.
    pub groups: Vec<String>,
}

/// Reads the subject of a certificate in DER.
pub fn subject(der: &[u8]) -> Option<Subject> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let subject = certificate.subject();
    let texts = |found: Vec<&x509_parser::x509::AttributeTypeAndValue<'_>>| {
        found.iter().filter_map(|a| a.as_str().ok()).map(str::to_owned).collect::<Vec<_>>()
    };
    let user = texts(subject.iter_common_name().collect()).pop()?;
    Some(Subject { user, groups: texts(subject.iter_organization().collect()) })
}

/// When the first certificate of a PEM bundle begins, in seconds since 1970.
pub fn not_before(pem: &str) -> Result<i64, Fatal> {
    let der = bundle(pem)?.into_iter().next().ok_or("no certificate in the bundle")?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|e| e.to_string())?;
    Ok(certificate.validity().not_before.timestamp())
}

/// The hash in a token (K3s `pkg/clientaccess`, `hashCA`): of the file's bytes; where it is a
/// bundle whose first certificate verifies, of the DER of the root it leads to.
pub fn ca_hash(pem: &str) -> Result<String, Fatal> {
    let ders = bundle(pem)?;
    let root = match ders.len() {
        0 => return Err("no certificate in server-ca.crt".into()),
        1 => None,
        _ => root_of(&ders),
    };
    let hash = digest(&SHA256, root.unwrap_or(pem.as_bytes()));
    Ok(hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn bundle(pem: &str) -> Result<Vec<CertificateDer<'static>>, Fatal> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|e| format!("certificate: {e}"))
}

/// Climbs from the first certificate to one that has no other issuer; `None` where a signature
/// or a date on the way is wrong.
fn root_of<'a>(ders: &'a [CertificateDer<'static>]) -> Option<&'a [u8]> {
    let parsed: Vec<X509Certificate<'a>> = ders
        .iter()
        .map(|der| X509Certificate::from_der(der).map(|(_, certificate)| certificate).ok())
        .collect::<Option<_>>()?;
    let mut at = 0;
    for _ in 0..parsed.len() {
        if !parsed[at].validity().is_valid() {
            return None;
        }
        if at > 0 && is_root(&parsed[at]) {
            return Some(&ders[at]);
        }
        at = (1..parsed.len()).find(|&above| {
            above != at
                && parsed[above].subject() == parsed[at].issuer()
                && parsed[at].verify_signature(Some(parsed[above].public_key())).is_ok()
        })?;
    }
    None
}

/// A root has no authority key identifier, or its own.
fn is_root(certificate: &X509Certificate<'_>) -> bool {
    let (mut authority, mut own) = (None, None);
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                authority = id.key_identifier.as_ref().map(|id| id.0.to_vec());
            }
            ParsedExtension::SubjectKeyIdentifier(id) => own = Some(id.0.to_vec()),
            _ => {}
        }
    }
    authority.is_none() || authority == own
}
