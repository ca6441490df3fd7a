//! `bake cat`: content of files inside an image.

use std::io::Read;

use super::Session;
use super::image_path::ImagePath;
use crate::error::{IoContext, Result};
use crate::job::open;

/// Arguments of `bake cat`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Images and paths in them, such as node1.img:/etc/hostname
    #[arg(value_name = "IMG:PATH", required = true)]
    what: Vec<ImagePath>,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let mut buffer = vec![0; 1 << 17];
    for what in &args.what {
        let opened = open::open(&what.image, &session.fetcher()?)?;
        let mut reader = opened.root()?.open(what.path.as_bytes())?;
        loop {
            let n = reader.read(&mut buffer).at("reading", &what.image)?;
            if n == 0 {
                break;
            }
            session.ui.data(&buffer[..n])?;
        }
    }
    Ok(())
}
