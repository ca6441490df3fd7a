//! Signatures as `cosign verify-blob --key` takes them: ECDSA over P-256 and SHA-256, DER in base64.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nodeconf::Secret;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use zeroize::Zeroizing;

use super::LIMIT;
use super::encrypted::Closed;
use crate::error::{Error, IoContext, Result};

/// A private key, ready to sign. Never printed.
pub struct Key {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

impl Key {
    pub(super) fn open(path: &Path, password: impl FnOnce() -> Result<Secret>) -> Result<Self> {
        let mut text = Zeroizing::new(Vec::new());
        let file = File::open(path).at("opening", path)?;
        file.take(LIMIT).read_to_end(&mut text).at("reading", path)?;
        let no_key = |reason: &str| {
            let shown = path.display();
            Error::Usage(format!("{shown} is no private key to sign with: {reason}")).hint(
                "`cosign generate-key-pair` makes one, and so does `openssl genpkey -algorithm EC \
                 -pkeyopt ec_paramgen_curve:P-256`; `openssl pkcs8 -topk8 -nocrypt` brings another \
                 into that form",
            )
        };
        // The crates' own words may repeat what they read.
        let block = pem::parse(&*text).map_err(|_| no_key("it is not PEM"))?;
        let der = match block.tag() {
            "PRIVATE KEY" => Zeroizing::new(block.into_contents()),
            "ENCRYPTED SIGSTORE PRIVATE KEY" | "ENCRYPTED COSIGN PRIVATE KEY" => {
                let closed = Closed::parse(block.contents()).map_err(|reason| no_key(&reason))?;
                closed.open(&password()?).ok_or_else(|| {
                    Error::Usage(format!("{}: the password is not this key's", path.display()))
                })?
            }
            other => {
                let reason =
                    format!("it is a {other}, neither cosign's nor a PRIVATE KEY (PKCS#8)");
                return Err(no_key(&reason));
            }
        };
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der, &random)
            .map_err(|_| no_key("it is none of P-256 with its public key"))?;
        Ok(Self { pair, random })
    }

    pub(super) fn sign(&self, name: &str, data: &[u8]) -> Result<String> {
        let failed = |_| Error::io("signing", name, io::Error::other("no random numbers"));
        let signature = self.pair.sign(&self.random, data).map_err(failed)?;
        Ok(STANDARD.encode(signature))
    }
}
