//! `bake secrets`: a cluster's secrets file.

mod decrypt;
mod encrypt;
mod export;
mod rotate;
mod show;

use std::fmt::Write as _;
use std::io::IsTerminal;

use super::Session;
use crate::error::{Error, Result};
use crate::io::sealed::Lock;

/// Arguments of `bake secrets`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Encrypt the file with age, or make a new one that was never clear text
    Encrypt(encrypt::Args),
    /// Keep the file as clear text again
    Decrypt(decrypt::Args),
    /// Show what is in the file, without the secrets
    Show(show::Args),
    /// Write the secrets, or one of them, to a file of its own
    Export(export::Args),
    /// Replace tokens or the database's password, on a cluster that runs
    Rotate(rotate::Args),
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    match &args.verb {
        Verb::Encrypt(args) => encrypt::run(args, session),
        Verb::Decrypt(args) => decrypt::run(args, session),
        Verb::Show(args) => show::run(args, session),
        Verb::Export(args) => export::run(args, session),
        Verb::Rotate(args) => rotate::run(args, session),
    }
}

/// Refuses to write secrets where more than their owner may read them: to standard output that is a
/// file of others too, and to a terminal unless it was asked for.
fn refuse_readers(action: &str, terminal: bool) -> Result<()> {
    let refused = |reason: String| Err(Error::Refused { action: action.into(), reason });
    if !terminal && std::io::stdout().is_terminal() {
        return refused("standard output is a terminal, which keeps what it showed".into());
    }
    match readers() {
        Some(mode) => {
            refused(format!("standard output is a file that others can read (mode {mode:04o})"))
        }
        None => Ok(()),
    }
}

/// The mode of a file that is standard output, where others than its owner can read it.
#[cfg(unix)]
fn readers() -> Option<u32> {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::MetadataExt as _;
    let out = std::io::stdout().as_fd().try_clone_to_owned().ok()?;
    let about = std::fs::File::from(out).metadata().ok()?;
    let mode = about.mode() & 0o7777;
    (about.is_file() && mode & 0o044 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn readers() -> Option<u32> {
    None
}

/// How the file is kept, for people.
fn kept(lock: Option<&Lock>) -> String {
    match lock {
        None => "clear text".into(),
        Some(Lock::Passphrase(_)) => "encrypted with a passphrase".into(),
        Some(Lock::Recipients(all)) => {
            let mut text = String::from("encrypted for ");
            for (i, recipient) in all.iter().enumerate() {
                let _ = write!(text, "{}{recipient}", if i > 0 { ", " } else { "" });
            }
            text
        }
    }
}
