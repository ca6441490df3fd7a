//! Signatures of base images: beside the image, or over a list of checksums that names it.

use std::fmt;
use std::fs::File;
use std::io::Cursor;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use url::Url;

use super::base::BaseRequest;
use super::client::Way;
use super::{Fetcher, sums};
use crate::error::{Error, IoContext, Result};
use crate::event::{Event, Sink};
use crate::io::digest::Sha256;
use crate::openpgp::{self, Fault};

/// Longest list of checksums or signature in bytes; Ubuntu's lists have some 2,000.
const LIMIT: u64 = 1 << 20;

/// What a publisher signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignedBy {
    /// The file itself: the signature is `FILE.sig` beside it.
    Detached,
    /// `SHA256SUMS` beside it: the signature is `SHA256SUMS.gpg`.
    Sums,
}

/// How a base image is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// What is signed.
    pub by: SignedBy,
    /// Fingerprints of the keys that may sign it, upper-case hexadecimal.
    pub keys: Vec<String>,
}

/// What a base image was verified by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Whether its digest was known beforehand.
    pub digest: bool,
    /// Fingerprint of the key whose signature holds.
    pub signed_by: Option<String>,
    /// Why no signature was verified, where none was.
    pub unsigned: Option<String>,
}

impl Verification {
    fn by(key: String) -> Self {
        Self { digest: true, signed_by: Some(key), unsigned: None }
    }

    fn without(why: impl Into<String>) -> Self {
        Self { digest: true, signed_by: None, unsigned: Some(why.into()) }
    }

    /// Of an image that lies in the cache.
    pub(super) fn cached(signed_by: Option<String>) -> Self {
        let unsigned =
            signed_by.is_none().then(|| "no signature was verified when it was downloaded".into());
        Self { digest: true, signed_by, unsigned }
    }

    /// Of a file of the user's.
    pub(super) fn of_yours(digest: bool) -> Self {
        Self { digest, ..Self::without("it is a file of yours, and nobody says who signed it") }
    }

    /// The same, unless a signature is required and there is none.
    pub(super) fn required_of(self, fetcher: &Fetcher<'_>, name: &str) -> Result<Self> {
        match &self.unsigned {
            Some(why) if fetcher.options.require_signature => {
                let reason = format!("its signature is required, and was not verified: {why}");
                Err(Error::Verification { what: name.into(), reason })
            }
            _ => Ok(self),
        }
    }

    /// As [`Verification::required_of`], with advice.
    pub(super) fn required(self, fetcher: &Fetcher<'_>, request: &BaseRequest) -> Result<Self> {
        self.required_of(fetcher, &request.name).map_err(|error| match &request.signature {
            Some(signature) => error.hint(format!(
                "give the publisher's key, {}, with --keyring FILE; or do without \
                 --require-signature: the digest was compared in any case",
                signature.keys.join(" or ")
            )),
            None => error.hint("do without --require-signature, or use an image that is signed"),
        })
    }

    /// Tells the user what could not be verified.
    pub(super) fn tell(&self, sink: &dyn Sink, name: &str) {
        if let Some(why) = &self.unsigned {
            let message = format!("{name} is verified by its digest, not by a signature: {why}");
            sink.emit(Event::Warning { message });
        }
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.digest, &self.signed_by) {
            (_, Some(key)) => write!(f, "digest, signature by {key}"),
            (true, None) => f.write_str("digest"),
            (false, None) => f.write_str("nothing"),
        }
    }
}

impl Fetcher<'_> {
    /// The request with the digest that a signed list gives, where nothing else does.
    pub(super) fn with_digest(&self, request: &BaseRequest) -> Result<BaseRequest> {
        let known = request.sha256.is_some() || request.image_sha256.is_some();
        let (false, Some(signature)) = (known, &request.signature) else {
            return Ok(request.clone());
        };
        if signature.by != SignedBy::Sums {
            return Ok(request.clone());
        }
        let unknown = |reason: String| Error::Refused {
            action: format!("download {}", request.name),
            reason: format!("no digest of it is known, and no signed list gives it: {reason}"),
        };
        match self.signed_list(request, signature)? {
            Ok((list, _)) => match lookup(request, &list)? {
                Some(sha256) => Ok(BaseRequest { sha256: Some(sha256), ..request.clone() }),
                None => Err(unknown("it is not in the list".into())),
            },
            Err(why) => Err(unknown(why)),
        }
    }

    /// Verifies what was downloaded to `path` and has the digest `sha256`.
    pub(super) fn signature_of(
        &self,
        request: &BaseRequest,
        sha256: Sha256,
        path: &Path,
    ) -> Result<Verification> {
        let verified = match &request.signature {
            None => Verification::without("nothing says how its publisher signs it"),
            Some(signature) if signature.by == SignedBy::Sums => {
                self.listed(request, signature, sha256)?
            }
            Some(signature) => self.beside(request, signature, path)?,
        };
        verified.required(self, request)
    }

    /// Whether the signed list beside an image names it with `sha256`.
    pub(super) fn listed(
        &self,
        request: &BaseRequest,
        signature: &Signature,
        sha256: Sha256,
    ) -> Result<Verification> {
        let (list, key) = match self.signed_list(request, signature)? {
            Ok(found) => found,
            Err(why) => return Ok(Verification::without(why)),
        };
        match lookup(request, &list)? {
            Some(listed) if listed == sha256 => Ok(Verification::by(key)),
            Some(listed) => {
                let reason =
                    format!("its sha256 is {sha256}, and the list signed by {key} says {listed}");
                Err(Error::Verification { what: request.name.clone(), reason })
            }
            None => Ok(Verification::without("the publisher's signed list does not name it")),
        }
    }

    /// The list beside an image and the key that signed it; inside, why there is none.
    fn signed_list(
        &self,
        request: &BaseRequest,
        signature: &Signature,
    ) -> Result<Result<(String, String), String>> {
        let at = |name: &str| {
            request.url.join(name).map_err(|e| Error::Usage(format!("{}: {e}", request.url)))
        };
        let (list, beside) = (at("SHA256SUMS")?, at("SHA256SUMS.gpg")?);
        let (Some(text), Some(signed)) = (self.side(request, &list)?, self.side(request, &beside)?)
        else {
            return Ok(Err(format!("{list} or its signature is not there")));
        };
        let verdict = self.judge(request, signature, &list, &mut Cursor::new(&text), &signed)?;
        let Ok(key) = verdict else { return Ok(verdict.map(|key| (String::new(), key))) };
        self.remember(&request.name, &list, &text)?;
        self.remember(&request.name, &beside, &signed)?;
        let corrupt = |_| Error::Corrupt { what: list.to_string(), reason: "it is no text".into() };
        Ok(Ok((String::from_utf8(text).map_err(corrupt)?, key)))
    }

    /// Verifies the signature beside an image that was downloaded to `path`.
    fn beside(
        &self,
        request: &BaseRequest,
        signature: &Signature,
        path: &Path,
    ) -> Result<Verification> {
        let mut url = request.url.clone();
        url.set_path(&format!("{}.sig", request.url.path()));
        let Some(signed) = self.side(request, &url)? else {
            return Ok(Verification::without(format!("{url} is not there")));
        };
        let mut file = File::open(path).at("opening", path)?;
        let verdict = self.judge(request, signature, &request.url, &mut file, &signed)?;
        Ok(verdict.map_or_else(Verification::without, Verification::by))
    }

    fn side(&self, request: &BaseRequest, url: &Url) -> Result<Option<Vec<u8>>> {
        if self.offline() {
            return self.signed(&request.name, url, LIMIT);
        }
        Ok(self.small(&format!("signature of {}", request.name), url, Way::Plain, LIMIT)?.ok())
    }

    /// The key whose signature over `data` holds; inside, why that cannot be told. A signature
    /// that does not hold, or of a key that the catalogue does not name, is an error.
    fn judge(
        &self,
        request: &BaseRequest,
        signature: &Signature,
        of: &Url,
        data: &mut (impl std::io::Read + std::io::Seek),
        signed: &[u8],
    ) -> Result<Result<String, String>> {
        let keys = self.options.keyring.only(&signature.keys);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let refused = |reason: String| Error::Verification { what: request.name.clone(), reason };
        match openpgp::detached(data, signed, &keys, now) {
            Ok(by) => Ok(Ok(by.into_iter().next().unwrap_or_default())),
            Err(Fault::UnknownKey { signers, .. }) => {
                let ours = |signer: &&String| signature.keys.iter().any(|k| k.ends_with(*signer));
                match signers.iter().find(ours) {
                    Some(key) => Ok(Err(format!("it is signed by {key}, a key bake does not have"))),
                    None => Err(refused(format!(
                        "{of} is signed by {}, not by {}",
                        signers.join(" and "),
                        signature.keys.join(" or ")
                    ))),
                }
            }
            Err(fault) => Err(refused(format!("the signature of {of} does not hold: {fault}"))
                .hint("the server is out of step, or something on the way changed it: try again, or another mirror")),
        }
    }
}

/// What a list says of the file a request is for.
fn lookup(request: &BaseRequest, list: &str) -> Result<Option<Sha256>> {
    let name = request.url.path_segments().and_then(|mut s| s.next_back()).unwrap_or_default();
    sums::lookup(list, name).map_err(|reason| Error::Corrupt {
        what: format!("the list of checksums beside {}", request.url),
        reason,
    })
}
