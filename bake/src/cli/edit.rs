//! `bake edit`: a script of operations on the files of an image, all or nothing.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::Session;
use crate::emit::Spec;
use crate::error::{IoContext, Result};
use crate::job::edit::{self, script};
use crate::job::open;

const OPERATIONS: &str = "\
Operations, one a line, words quoted as in a shell, # for comments:
  put SRC DEST [mode=0644] [uid=0] [gid=0]   copy a host file into the image
  mkdir PATH [mode=0755]                     make a directory
  symlink TARGET PATH                        make a symbolic link at PATH
  link OLD NEW                               add a hard link
  rm PATH                                    remove a file or link
  rmdir PATH                                 remove an empty directory
  mv A B                                     move, replacing a file or empty directory
  chmod MODE PATH                            set the mode (octal)
  chown UID:GID PATH                         set owner and group (numeric)
  mtime SECONDS PATH                         set the times, seconds since 1970 UTC
  setxattr PATH NAME HEX                     set an extended attribute
  rmxattr PATH NAME                          remove an extended attribute
  grow SIZE                                  grow the root to 8GiB or by +1GiB

Paths are those of the running system: links are followed inside the image.
Every operation succeeds, or the image stays as it was.";

/// Arguments of `bake edit`.
#[derive(Debug, clap::Args)]
#[command(after_help = OPERATIONS)]
pub struct Args {
    /// Disk image, or bare ext4 file system image
    image: PathBuf,
    /// File with the operations, - for standard input
    #[arg(long, value_name = "FILE")]
    script: PathBuf,
    /// Write the result here and leave the image as it is
    #[arg(long, value_name = "OUT")]
    out: Option<PathBuf>,
    /// Replace an existing OUT
    #[arg(long, requires = "out")]
    force: bool,
    /// Neither take the output's sha256 nor wait until the disk has it: as fast as cp, as safe
    #[arg(long)]
    fast: bool,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let lines = script::parse(&args.script.display().to_string(), &read(&args.script)?)?;
    let mut spec = match &args.out {
        Some(out) => Spec { force: args.force, ..Spec::new(out) },
        None => in_place(&args.image),
    };
    (spec.digest, spec.sync) = (!args.fast, !args.fast);
    let opened = open::open(&args.image, &session.fetcher()?)?;
    edit::edit(opened, &lines, &spec, &session.ui, &session.cancel)?;
    Ok(())
}

/// Writes the result over the image, which stands until all of the result is on disk.
pub(super) fn in_place(image: &Path) -> Spec {
    Spec { force: true, ..Spec::new(image) }
}

fn read(path: &Path) -> Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).at("reading", "standard input")?;
        return Ok(text);
    }
    crate::io::whole::read_text(path).at("reading", path)
}
