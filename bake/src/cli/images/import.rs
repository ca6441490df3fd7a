//! `bake images import`: Raspberry Pi Imager's list into the user's catalogue.

use std::path::PathBuf;

use serde::Serialize;

use crate::catalogue::{Catalogue, Entry, imager, parse, render};
use crate::cli::Session;
use crate::error::{Error, IoContext, Result};
use crate::event::{Event, Sink};
use crate::job::fetch::parse_url;

/// The published list has about 300 KiB.
const LIMIT: u64 = 32 << 20;
const PUBLISHED: &str = "https://downloads.raspberrypi.com/os_list_imagingutility_v4.json";

/// Arguments of `bake images import`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// File or HTTPS URL of the list
    #[arg(value_name = "LIST", default_value = PUBLISHED)]
    list: String,
    /// Only images whose id, system, release or name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Name of the catalogue file to write; one of this name is replaced
    #[arg(long, value_name = "NAME", default_value = "imager")]
    name: String,
    /// Print the catalogue file instead of writing it
    #[arg(short = 'n', long)]
    dry_run: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    path: String,
    images: usize,
    skipped: Vec<String>,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let what = if is_url(&args.list) { "the list of images" } else { &args.list };
    let mut imported = imager::import(what, &read(args, session)?)?;
    let only = args.only.as_deref().unwrap_or_default().to_lowercase();
    imported.entries.retain(|e| {
        let name = e.notes.as_deref().unwrap_or_default();
        [&*e.id, &e.os, &e.release, name].iter().any(|w| w.to_lowercase().contains(&only))
    });
    let path = target(args)?;
    // An id that two files have is an error from then on.
    let others = Catalogue::load_without(path.parent(), &path)?;
    let known = others.names();
    imported.entries.retain(|entry| !known.contains(entry.id.as_str()));
    for skipped in &imported.skipped {
        session.ui.emit(Event::Note { message: format!("left out {skipped}") });
    }
    let text = render(&imported.entries)?;
    readable(&imported.entries, &text)?;
    if args.dry_run {
        return session.ui.data(text);
    }
    let folder = path.parent().unwrap_or(&path);
    std::fs::create_dir_all(folder).at("creating", folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).at("creating a file in", folder)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).at("writing", &path)?;
    file.persist(&path).map_err(|e| Error::io("writing", &path, e.error))?;
    let (images, skipped) = (imported.entries.len(), imported.skipped);
    if session.ui.json() {
        let path = path.display().to_string();
        return session.ui.json_line(&Report { path, images, skipped });
    }
    let left = if skipped.is_empty() {
        String::new()
    } else {
        format!(", {} left out (-v says why)", skipped.len())
    };
    session.ui.line(format!("{}: {images} images{left}", path.display()))
}

fn is_url(list: &str) -> bool {
    list.starts_with("https://") || list.starts_with("http://")
}

fn read(args: &Args, session: &Session) -> Result<String> {
    if !is_url(&args.list) {
        return crate::io::whole::read_text(args.list.as_ref()).at("reading", &args.list);
    }
    session.fetcher()?.text("the list of images", &parse_url(&args.list)?, LIMIT)
}

/// What is written is read by every verb that looks at images.
fn readable(entries: &[Entry], text: &str) -> Result<()> {
    let Err(error) = parse("the catalogue file", text) else { return Ok(()) };
    let reason = match &error {
        Error::Invalid { faults, .. } => faults.first().map(|fault| fault.message.clone()),
        _ => None,
    };
    let what = format!("a catalogue file of {} images", entries.len());
    let reason = reason.unwrap_or_else(|| error.to_string());
    let feature = format!("it could not be read again ({reason})");
    Err(Error::Unsupported { what, feature }.hint("take some of them: --only TEXT"))
}

fn target(args: &Args) -> Result<PathBuf> {
    let sound = !args.name.is_empty()
        && args.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if !sound {
        return Err(Error::Usage(format!(
            "`{}` is no name of a catalogue file: it has letters, digits, `-` and `_` only",
            args.name
        )));
    }
    let folder = Catalogue::user_folder()
        .ok_or_else(|| Error::Usage("no home folder is known: set XDG_CONFIG_HOME".into()))?;
    Ok(folder.join(format!("{}.yaml", args.name)))
}
