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

const VARIABLE: &str = "BAKE_PASSPHRASE";
/// Longest passphrase.
const LIMIT: u64 = 4096;

/// The keys for encrypted secrets. Nobody is asked before something encrypted is met.
pub(super) fn keys(common: &Common, cancel: &Cancel) -> Keys {
    let (fd, cancel) = (common.passphrase_fd, cancel.clone());
    Keys::new(common.identities.clone(), move |what| match given(fd)? {
        Some(text) => Ok(Some(text)),
        None => ask_hidden(&format!("passphrase of {what}"), &cancel),
    })
}

/// A passphrase for what is going to be encrypted, from `fd`, where `variable` says so the
/// environment, or a person.
pub(super) fn new(fd: Option<u32>, variable: bool, cancel: &Cancel) -> Result<Secret> {
    let told = if fd.is_some() || variable { given(fd)? } else { None };
    if let Some(text) = told {
        return Ok(text);
    }
    let nobody = || {
        Error::Usage("encrypting with a passphrase, and nobody can be asked for one".into())
            .hint(format!("`--passphrase-fd N` reads it from an open file, {VARIABLE} holds it"))
    };
    let first = ask_hidden("new passphrase", cancel)?.ok_or_else(nobody)?;
    match ask_hidden("the same again", cancel)? {
        Some(second) if second == first => Ok(first),
        _ => Err(Error::Usage("the two passphrases differ; nothing was changed".into())),
    }
}

fn given(fd: Option<u32>) -> Result<Option<Secret>> {
    if let Some(fd) = fd {
        return from_file(fd).map(Some);
    }
    Ok(std::env::var(VARIABLE).ok().filter(|text| !text.is_empty()).map(Secret::new))
}

/// The first line of an open file.
fn from_file(fd: u32) -> Result<Secret> {
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
        return Err(Error::Usage(format!("--passphrase-fd {fd}: there is no passphrase in it")));
    }
    Ok(Secret::new(line))
}
