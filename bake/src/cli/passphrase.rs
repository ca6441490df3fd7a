//! Where a passphrase comes from: an open file, the environment, a person; never the command line,
//! which everybody on the machine can read.

use std::fs::File;
use std::io::Read;

use nodeconf::Secret;
use zeroize::Zeroizing;

use super::Common;
use crate::error::{Error, IoContext, Result};
use crate::io::sealed::Keys;
use crate::sys::interrupt::Cancel;
use crate::ui::ask_hidden;

/// Of encrypted secrets.
const PASSPHRASE: Place =
    Place { option: "--passphrase-fd", variable: "BAKE_PASSPHRASE", empty: false };
/// Of minisign's key that signs a release.
pub(super) const SIGNING: Place =
    Place { option: "--sign-password-fd", variable: "BAKE_SIGN_PASSWORD", empty: false };
/// Of cosign's; the variable is cosign's own, where an empty one is a password too.
pub(super) const COSIGN: Place =
    Place { option: "--sign-cosign-password-fd", variable: "COSIGN_PASSWORD", empty: true };
/// Longest passphrase.
const LIMIT: u64 = 4096;

/// Where one is looked for, before a person is asked.
pub(super) struct Place {
    option: &'static str,
    variable: &'static str,
    /// Whether a variable that is empty holds one.
    empty: bool,
}

/// The keys for encrypted secrets. Nobody is asked before something encrypted is met.
pub(super) fn keys(common: &Common, cancel: &Cancel) -> Keys {
    let (fd, cancel) = (common.passphrase_fd, cancel.clone());
    Keys::new(common.identities.clone(), move |what| match PASSPHRASE.given(fd)? {
        Some(text) => Ok(Some(text)),
        None => ask_hidden(&format!("passphrase of {what}"), &cancel),
    })
}

/// A passphrase for what is going to be encrypted, from `fd`, where `variable` says so the
/// environment, or a person.
pub(super) fn new(fd: Option<u32>, variable: bool, cancel: &Cancel) -> Result<Secret> {
    let told = if fd.is_some() || variable { PASSPHRASE.given(fd)? } else { None };
    if let Some(text) = told {
        return Ok(text);
    }
    let nobody = || {
        Error::Usage("encrypting with a passphrase, and nobody can be asked for one".into())
            .hint(PASSPHRASE.hint())
    };
    let first = ask_hidden("new passphrase", cancel)?.ok_or_else(nobody)?;
    match ask_hidden("the same again", cancel)? {
        Some(second) if second == first => Ok(first),
        _ => Err(Error::Usage("the two passphrases differ; nothing was changed".into())),
    }
}

/// The password of the key `name`, which signs.
pub(super) fn signing(
    place: &Place,
    fd: Option<u32>,
    name: &str,
    cancel: &Cancel,
) -> Result<Secret> {
    let told = match place.given(fd)? {
        Some(text) => Some(text),
        None => ask_hidden(&format!("password of {name}"), cancel)?,
    };
    told.ok_or_else(|| {
        Error::Usage(format!("{name} has a password, and nobody can be asked for it"))
            .hint(place.hint())
    })
}

impl Place {
    fn given(&self, fd: Option<u32>) -> Result<Option<Secret>> {
        if let Some(fd) = fd {
            return self.in_file(fd).map(Some);
        }
        let told = std::env::var(self.variable).ok();
        Ok(told.filter(|text| self.empty || !text.is_empty()).map(Secret::new))
    }

    /// The first line of an open file.
    fn in_file(&self, fd: u32) -> Result<Secret> {
        // Opened by its name, because taking over a number is not safe; but standard input may be
        // another user's pipe, which cannot be opened again.
        let path = format!("/dev/fd/{fd}");
        let file: Box<dyn Read> = match fd {
            0 => Box::new(std::io::stdin().lock()),
            _ => Box::new(File::open(&path).at("opening", &path)?),
        };
        let mut text = Zeroizing::new(String::with_capacity(LIMIT as usize));
        file.take(LIMIT).read_to_string(&mut text).at("reading", &path)?;
        let line = text.lines().next().unwrap_or_default();
        if line.is_empty() {
            return Err(Error::Usage(format!("{} {fd}: there is nothing in it", self.option)));
        }
        Ok(Secret::new(line))
    }

    fn hint(&self) -> String {
        format!("`{} N` reads it from an open file, {} holds it", self.option, self.variable)
    }
}
