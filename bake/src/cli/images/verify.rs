//! `bake images verify`: cached images read again, every byte.

use serde::Serialize;

use super::{catalogue, request};
use crate::cli::Session;
use crate::error::{Error, Result};
use crate::fetch::{Kind, Listed};

/// Arguments of `bake images verify`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Ids or series of the catalogue; all cached images where none is named
    #[arg(value_name = "IMAGE")]
    names: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Verdict<'a> {
    name: &'a str,
    sha256: String,
    sound: bool,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let fetcher = session.fetcher()?;
    let bases = fetcher.cache().list()?.into_iter().filter(|e| e.kind == Some(Kind::Base));
    let bases: Vec<Listed> = bases.collect();
    let mut chosen: Vec<&Listed> = Vec::new();
    for name in &args.names {
        // A digest of one's own plays no part here: what is cached was verified by it.
        let known = catalogue()?.find(name)?.clone();
        let wanted = request(name, known.sha256)?;
        let path = wanted.map(|r| fetcher.cached(&r)).transpose()?.flatten().map(|base| base.path);
        let found = path.and_then(|path| bases.iter().find(|e| e.path() == path));
        chosen.push(found.ok_or_else(|| {
            Error::NotFound { what: "image in the cache", name: name.clone() }
                .hint(format!("download it with `bake images pull {name}`"))
        })?);
    }
    if args.names.is_empty() {
        chosen = bases.iter().collect();
    }
    let mut damaged = Vec::new();
    for entry in chosen {
        let Some(record) = &entry.record else { continue };
        let sound = fetcher.verify(entry)?;
        if session.ui.json() {
            let sha256 = record.sha256.to_string();
            session.ui.json_line(&Verdict { name: &record.name, sha256, sound })?;
        } else {
            let verdict = if sound { "sound" } else { "DAMAGED, removed" };
            session.ui.line(format!("{}: {verdict}", record.name))?;
        }
        if !sound {
            damaged.push(record.name.clone());
        }
    }
    if damaged.is_empty() {
        return Ok(());
    }
    let reason = "they differ from their digests and were removed".into();
    Err(Error::Verification { what: damaged.join(", "), reason })
}
