//! Keys and X.509 certificates (RFC 5280): ECDSA on P-256, signed with SHA-256.
//!
//! Knows nothing of clusters. Certificates are valid from [`NOT_BEFORE`], long before any board's
//! clock: one without a battery starts at the time its image was made, and what is not valid yet
//! then keeps a node from joining.

mod key;
mod subject;

use std::net::IpAddr;
use std::time::Duration;

use nodeconf::Secret;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

pub use key::new_key;

/// When everything becomes valid: 2000-01-01, before any image for these boards was made.
pub const NOT_BEFORE: (i32, u8, u8) = (2000, 1, 1);
/// When what lives as long as its cluster ends: 2099-12-31.
pub const NOT_AFTER: (i32, u8, u8) = (2099, 12, 31);
/// Longest common name and organisation (RFC 5280 appendix A.1, `ub-common-name`).
pub const NAME_LIMIT: usize = 64;

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// PEM, one certificate.
    pub certificate: String,
    /// PEM, PKCS#8 or SEC 1.
    pub key: Secret,
}

/// What a certificate is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// Serving TLS.
    Server,
    /// Connecting by TLS.
    Client,
    /// Both.
    Both,
}

/// What is certified.
#[derive(Debug, Clone)]
pub struct Leaf<'a> {
    /// Common name.
    pub name: &'a str,
    /// Organisations; Kubernetes reads them as groups.
    pub organizations: &'a [&'a str],
    /// DNS names it is reached by.
    pub dns: &'a [&'a str],
    /// Addresses it is reached by.
    pub addresses: &'a [IpAddr],
    /// What it is good for.
    pub usage: Usage,
    /// Last second, since 1970-01-01 UTC; `None` for [`NOT_AFTER`].
    pub until: Option<u64>,
}

/// Where the key of a new authority is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `PRIVATE KEY` (RFC 5958).
    Pkcs8,
    /// `EC PRIVATE KEY` (RFC 5915), which every reader of Kubernetes takes: `client-go` reads
    /// service account keys of elliptic curves in no other form.
    Sec1,
}

/// A new certificate authority that signs itself. `depth` limits how many may be below it.
///
/// # Errors
/// [`Error::Io`] where the system has no randomness.
pub fn authority(name: &str, depth: Option<u8>, form: Form) -> Result<Identity> {
    let pair = key::generate()?;
    let params = authority_params(name, depth);
    let certificate = params.self_signed(&pair).map_err(|e| failed(&e))?;
    Ok(Identity { certificate: certificate.pem(), key: key::write(&pair, form) })
}

/// A second certificate of `authority`'s key, issued by `issuer`: whoever trusts the issuer then
/// trusts the authority.
///
/// # Errors
/// [`Error::Corrupt`] where either is no authority.
pub fn cross_sign(issuer: &Identity, name: &str, authority: &Identity) -> Result<String> {
    let pair = key::read(&authority.key)?;
    let certificate = sign(authority_params(name, None), &pair, issuer)?;
    Ok(certificate.pem())
}

/// A new key and a certificate for it, issued by `issuer`.
///
/// # Errors
/// [`Error::Usage`] for a name that no certificate can hold, [`Error::Corrupt`] where `issuer` is
/// no authority.
pub fn issue(issuer: &Identity, leaf: &Leaf<'_>) -> Result<Identity> {
    for name in leaf.organizations.iter().chain([&leaf.name]) {
        if name.is_empty() || name.chars().count() > NAME_LIMIT || name.contains(char::is_control) {
            let message = format!("a certificate's names have 1 to {NAME_LIMIT} characters");
            return Err(Error::Usage(format!("`{}`: {message}", name.escape_debug())));
        }
    }
    let pair = key::generate()?;
    let certificate = sign(leaf_params(leaf)?, &pair, issuer)?;
    let certificate = match leaf.organizations {
        [] | [_] => certificate.pem(),
        several => {
            let issuer = key::read(&issuer.key)?;
            subject::with_organizations(certificate.der(), several, leaf.name, &issuer)?
        }
    };
    Ok(Identity { certificate, key: key::write(&pair, Form::Pkcs8) })
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let day = |(y, m, d)| date_time_ymd(y, m, d);
    (params.not_before, params.not_after) = (day(NOT_BEFORE), day(NOT_AFTER));
    params.use_authority_key_identifier_extension = true;
    params
}

/// K3s issues its own certificates anew unless their AKI is the SKI of the authority, so both
/// are there (k3s `pkg/daemons/control/deps`).
fn authority_params(name: &str, depth: Option<u8>) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(match depth {
        Some(depth) => BasicConstraints::Constrained(depth),
        None => BasicConstraints::Unconstrained,
    });
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
        KeyUsagePurpose::KeyCertSign,
    ];
    params
}

fn leaf_params(leaf: &Leaf<'_>) -> Result<CertificateParams> {
    let mut params = params(leaf.name);
    if let Some(organization) = leaf.organizations.first() {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, *organization);
        params.distinguished_name.push(DnType::CommonName, leaf.name);
    }
    if let Some(until) = leaf.until {
        params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(until);
    }
    for name in leaf.dns {
        let name = (*name).try_into().map_err(|e| failed(&e))?;
        params.subject_alt_names.push(SanType::DnsName(name));
    }
    params.subject_alt_names.extend(leaf.addresses.iter().copied().map(SanType::IpAddress));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = match leaf.usage {
        Usage::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
        Usage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        Usage::Both => {
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
        }
    };
    Ok(params)
}

fn sign(params: CertificateParams, pair: &KeyPair, issuer: &Identity) -> Result<Certificate> {
    let key = key::read(&issuer.key)?;
    let issuer =
        Issuer::from_ca_cert_pem(&issuer.certificate, key).map_err(|_| damaged("certificate"))?;
    params.signed_by(pair, &issuer).map_err(|e| failed(&e))
}

/// No message of rcgen's own: some quote what they met.
fn damaged(what: &str) -> Error {
    Error::Corrupt { what: format!("a {what} of the secrets file"), reason: "unreadable".into() }
}

fn failed(error: &rcgen::Error) -> Error {
    Error::Corrupt { what: "a certificate".into(), reason: error.to_string() }
}

#[cfg(test)]
mod tests;
