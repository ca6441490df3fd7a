//! `bake cp`: copy files out of an image, or one file into it.

use std::path::{Path, PathBuf};

use super::Session;
use super::edit::in_place;
use super::image_path::ImagePath;
use crate::error::{Error, Result};
use crate::event::{Event, Sink};
use crate::job::edit as job;
use crate::job::edit::script::{Line, Operation};
use crate::job::{extract, open};

/// Arguments of `bake cp`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where from: IMG:PATH, or a host file
    from: String,
    /// Where to: a host path, or IMG:PATH
    to: String,
    /// Copy folders with everything below them
    #[arg(short, long)]
    recursive: bool,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    match (ImagePath::is_inside(&args.from), ImagePath::is_inside(&args.to)) {
        (true, false) => out(&parsed(&args.from)?, Path::new(&args.to), args.recursive, session),
        (false, true) => into(Path::new(&args.from), parsed(&args.to)?, session),
        _ => Err(Error::Usage("exactly one side of the copy is an IMG:PATH".into())),
    }
}

fn parsed(text: &str) -> Result<ImagePath> {
    text.parse().map_err(Error::Usage)
}

fn out(from: &ImagePath, to: &Path, recursive: bool, session: &Session) -> Result<()> {
    let opened = open::open(&from.image, &session.fetcher()?)?;
    let name = from.path.rsplit('/').find(|part| !part.is_empty());
    let target = match name {
        Some(name) if to.is_dir() => to.join(name),
        _ => to.to_owned(),
    };
    for path in extract::extract(opened.root()?, from.path.as_bytes(), &target, recursive)? {
        let message = format!("left out {path}: a device node, FIFO, socket or lone link");
        session.ui.emit(Event::Warning { message });
    }
    Ok(())
}

fn into(source: &Path, to: ImagePath, session: &Session) -> Result<()> {
    let name = source.file_name().unwrap_or_default().to_string_lossy();
    let path = if to.path.ends_with('/') { format!("{}{name}", to.path) } else { to.path };
    let put = Operation::Put { source: PathBuf::from(source), path, mode: 0o644, uid: 0, gid: 0 };
    let script = [Line { number: 1, operation: put }];
    let opened = open::open(&to.image, &session.fetcher()?)?;
    let spec = in_place(&to.image);
    match job::edit(opened, &script, &spec, &session.ui, &session.cancel) {
        // The script is ours, and its one line this copy.
        Err(Error::Context { source: why, .. }) => {
            let doing = format!("copying {} into {}", source.display(), to.image.display());
            Err(Error::Context { doing, source: why })
        }
        done => done.map(drop),
    }
}
