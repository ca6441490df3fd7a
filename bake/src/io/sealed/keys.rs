//! Where the keys of sealed files come from.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use age::x25519::Identity;
use nodeconf::Secret;

use super::Lock;
use crate::error::{Error, IoContext, Result};
use crate::io::whole;

/// Tells a passphrase for the thing named, or `None` where there is nobody to ask.
type Ask = dyn Fn(&str) -> Result<Option<Secret>> + Send + Sync;

/// Keys that are read only once something sealed is met. Clones share them.
#[derive(Clone, Default)]
pub struct Keys(Arc<Inner>);

#[derive(Default)]
struct Inner {
    identities: Vec<PathBuf>,
    ask: Option<Box<Ask>>,
    /// Nobody is asked twice.
    told: Mutex<Option<Secret>>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("identities", &self.0.identities).finish_non_exhaustive()
    }
}

impl Keys {
    /// Keys from files of age identities, and a passphrase from whoever `ask` asks.
    pub fn new(
        identities: Vec<PathBuf>,
        ask: impl Fn(&str) -> Result<Option<Secret>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner { identities, ask: Some(Box::new(ask)), told: Mutex::default() }))
    }

    /// For what is not sealed.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    pub(super) fn passphrase(&self, what: &str) -> Result<Secret> {
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*told {
            return Ok(known.clone());
        }
        let asked = self.0.ask.as_ref().map(|ask| ask(what)).transpose()?.flatten();
        let asked = asked.ok_or_else(|| {
            Error::Usage(format!("{what} is encrypted with a passphrase"))
                .hint("`--passphrase-fd N` reads it from an open file, BAKE_PASSPHRASE holds it, or run this in a terminal")
        })?;
        Ok(told.insert(asked).clone())
    }

    /// The lock that these identities open.
    ///
    /// # Errors
    /// [`Error::Usage`] where there are none, and what reading them fails with.
    pub fn recipients(&self, what: &str) -> Result<Lock> {
        let all = self.identities(what)?;
        Lock::of(&all.iter().map(|one| one.to_public().to_string()).collect::<Vec<_>>())
    }

    pub(super) fn identities(&self, what: &str) -> Result<Vec<Identity>> {
        if self.0.identities.is_empty() {
            return Err(Error::Usage(format!("{what} is encrypted, and no identity was given"))
                .hint("`--identity FILE`, or BAKE_AGE_IDENTITY, names the private key's file"));
        }
        let mut all = Vec::new();
        for path in &self.0.identities {
            all.extend(read(path)?);
        }
        Ok(all)
    }
}

/// The identities of a file as `age-keygen` writes it.
fn read(path: &Path) -> Result<Vec<Identity>> {
    let text = whole::read_text(path).at("reading", path)?;
    let text = zeroize::Zeroizing::new(text);
    let mut all = Vec::new();
    for (number, line) in
        text.lines().enumerate().filter(|(_, l)| !l.is_empty() && !l.starts_with('#'))
    {
        all.push(line.parse().map_err(|_| {
            // Never the line: it may be a key all the same.
            let what = format!("{}, line {}", path.display(), number + 1);
            Error::Corrupt { what, reason: "not an age identity (AGE-SECRET-KEY-1…)".into() }
        })?);
    }
    Ok(all)
}
