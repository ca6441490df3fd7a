//! Signatures as `cosign verify-blob --key` takes them: ECDSA over P-256 and SHA-256, DER in base64.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use zeroize::Zeroizing;

use super::LIMIT;
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
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut text = Zeroizing::new(Vec::new());
        let file = File::open(path).at("opening", path)?;
        file.take(LIMIT).read_to_end(&mut text).at("reading", path)?;
        let no_key = |reason: &str| {
            let shown = path.display();
            Error::Usage(format!("{shown} is no private key to sign with: {reason}")).hint(
                "`openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` makes one; \
                 `openssl pkcs8 -topk8 -nocrypt` brings another into this form",
            )
        };
        // The crates' own words may repeat what they read.
        let block = pem::parse(&*text).map_err(|_| no_key("it is not PEM"))?;
        match block.tag() {
            "PRIVATE KEY" => {}
            "ENCRYPTED SIGSTORE PRIVATE KEY" | "ENCRYPTED COSIGN PRIVATE KEY" => {
                return Err(no_key("it is in cosign's own form, which only cosign reads"));
            }
            other => return Err(no_key(&format!("it is a {other}, not a PRIVATE KEY (PKCS#8)"))),
        }
        let der = Zeroizing::new(block.into_contents());
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
