//! `bake images`: the catalogue of base images and what of it is here.

mod import;
mod show;
mod verify;

use std::path::Path;

use clap::Subcommand;
use serde::Serialize;

use super::Session;
use crate::catalogue::Catalogue;
use crate::error::{Error, Result};
use crate::fetch::{Base, BaseRequest, Verification};
use crate::io::digest::Sha256;
use crate::job;
use crate::units::human;

/// Arguments of `bake images`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the images of the catalogue
    List(show::List),
    /// Show all that is known of an image
    Show(show::Show),
    /// Download an image into the cache, verified and unpacked
    Pull(Pull),
    /// Read cached images again and compare them with their digests
    Verify(verify::Args),
    /// Add the images of a Raspberry Pi Imager list to the user's catalogue
    Import(import::Args),
}

/// Arguments of `bake images pull`.
#[derive(Debug, clap::Args)]
struct Pull {
    /// Id or series of the catalogue, an HTTPS URL, or a file
    #[arg(value_name = "IMAGE")]
    name: String,
    /// What the SHA-256 of the file as published must be
    #[arg(long, value_name = "DIGEST")]
    sha256: Option<Sha256>,
}

#[derive(Debug, Serialize)]
struct Pulled {
    path: String,
    source: String,
    bytes: u64,
    source_sha256: Option<Sha256>,
    sha256: Option<Sha256>,
    #[serde(flatten)]
    verified: Verification,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    match &args.verb {
        Verb::List(args) => show::list(args, session),
        Verb::Show(args) => show::show(args, session),
        Verb::Pull(args) => pull(args, session),
        Verb::Verify(args) => verify::run(args, session),
        Verb::Import(args) => import::run(args, session),
    }
}

fn catalogue() -> Result<Catalogue> {
    Catalogue::load(Catalogue::user_folder().as_deref())
}

fn pull(args: &Pull, session: &Session) -> Result<()> {
    let fetcher = session.fetcher()?;
    let base = match request(&args.name, args.sha256)? {
        Some(request) => fetcher.base(&request)?,
        None => fetcher.local_base(Path::new(&args.name), args.sha256)?,
    };
    let Base { path, source, len, source_sha256, sha256, verified, .. } = base;
    let path = path.display().to_string();
    if session.ui.json() {
        let bytes = len;
        let pulled = Pulled { path, source, bytes, source_sha256, sha256, verified };
        return session.ui.json_line(&pulled);
    }
    let digest = sha256.map_or_else(String::new, |d| format!(", sha256 {d}"));
    session.ui.line(format!("{path}: {}{digest}, verified by {verified}", human(len)))
}

/// What a name means: a URL, an image of the catalogue, or, `None`, a file.
fn request(name: &str, sha256: Option<Sha256>) -> Result<Option<BaseRequest>> {
    if name.starts_with("https://") || name.starts_with("http://") {
        return job::fetch::from_url(name, sha256).map(Some);
    }
    match catalogue()?.find(name) {
        Ok(entry) => entry.request(sha256).map(Some),
        Err(Error::Invalid { what, faults }) => Err(Error::Invalid { what, faults }),
        Err(_) if Path::new(name).exists() => Ok(None),
        Err(unknown) => Err(unknown),
    }
}
