//! `bake images list` and `bake images show`.

use serde::Serialize;

use super::catalogue;
use crate::catalogue::{Entry, Trust};
use crate::cli::Session;
use crate::error::Result;
use crate::fetch::Fetcher;
use crate::ui::Table;
use crate::units::human;

/// Arguments of `bake images list`.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only images whose id, system, release or architecture contains this
    #[arg(value_name = "TEXT")]
    filter: Option<String>,
    /// Older images of each series too
    #[arg(short, long)]
    all: bool,
}

/// Arguments of `bake images show`.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// Id or series
    #[arg(value_name = "IMAGE")]
    name: String,
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    cached: Option<String>,
}

pub(super) fn list(args: &List, session: &Session) -> Result<()> {
    let catalogue = catalogue()?;
    let fetcher = session.fetcher()?;
    let filter = args.filter.as_deref().unwrap_or_default().to_lowercase();
    let mut entries: Vec<&Entry> = Vec::new();
    for entry in catalogue.entries() {
        let newest = match &entry.series {
            Some(series) => catalogue.find(series)?.id == entry.id,
            None => true,
        };
        let words = [&entry.id, &entry.os, &entry.release, entry.arch.name()];
        if (newest || args.all) && words.iter().any(|w| w.to_lowercase().contains(&filter)) {
            entries.push(entry);
        }
    }
    if session.ui.json() {
        for entry in entries {
            session.ui.json_line(&Shown { entry, cached: cached(&fetcher, entry)? })?;
        }
        return Ok(());
    }
    let mut table = Table::new(&["IMAGE", "VERSION", "ARCH", "DOWNLOAD", "DIGEST", "CACHED"]);
    for entry in entries {
        let name = if args.all { &entry.id } else { entry.series.as_ref().unwrap_or(&entry.id) };
        let size = entry.size.map_or_else(|| "-".into(), human);
        let here = if cached(&fetcher, entry)?.is_some() { "yes" } else { "" };
        table.row([name, &entry.version, entry.arch.name(), &size, trust(entry), here]);
    }
    session.ui.text(table.render())
}

pub(super) fn show(args: &Show, session: &Session) -> Result<()> {
    let catalogue = catalogue()?;
    let entry = catalogue.find(&args.name)?;
    let cached = cached(&session.fetcher()?, entry)?;
    if session.ui.json() {
        return session.ui.json_line(&Shown { entry, cached });
    }
    let bytes = |n: Option<u64>| n.map_or_else(|| "-".into(), |n| format!("{n} ({})", human(n)));
    let digest =
        |d: Option<crate::io::digest::Sha256>| d.map_or_else(|| "-".into(), |d| d.to_string());
    let or_dash = |text: Option<&String>| text.cloned().unwrap_or_else(|| "-".into());
    for (key, value) in [
        ("id", entry.id.clone()),
        ("series", or_dash(entry.series.as_ref())),
        ("system", format!("{} {} {}", entry.os, entry.release, entry.version)),
        ("architecture", entry.arch.to_string()),
        ("boards", entry.boards.join(", ")),
        ("url", entry.url.to_string()),
        ("download", bytes(entry.size)),
        ("sha256", digest(entry.sha256)),
        ("image", bytes(entry.image_size)),
        ("image sha256", digest(entry.image_sha256)),
        ("digest", trust(entry).into()),
        ("signed by", signed(entry)),
        ("notes", or_dash(entry.notes.as_ref())),
        ("cached", or_dash(cached.as_ref())),
    ] {
        session.ui.line(format!("{key:<13} {value}"))?;
    }
    Ok(())
}

fn trust(entry: &Entry) -> &'static str {
    match (entry.trust, entry.sha256.is_some() || entry.image_sha256.is_some()) {
        (_, false) => "none",
        (Trust::Confirmed, true) => "confirmed",
        (Trust::Unconfirmed, true) => "one source",
    }
}

fn signed(entry: &Entry) -> String {
    entry.signature.as_ref().map_or_else(|| "-".into(), |signature| signature.keys.join(" or "))
}

/// Where the image lies in the cache, if it does.
fn cached(fetcher: &Fetcher<'_>, entry: &Entry) -> Result<Option<String>> {
    let Ok(request) = entry.request(entry.sha256) else { return Ok(None) };
    Ok(fetcher.cached(&request)?.map(|base| base.path.display().to_string()))
}
