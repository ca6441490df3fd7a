//! `bake secrets`: a cluster's secrets file.

mod decrypt;
mod encrypt;
mod export;
mod rotate;
mod show;

use std::fmt::Write as _;

use super::Session;
use crate::error::Result;
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
