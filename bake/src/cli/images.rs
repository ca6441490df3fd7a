//! `bake images`

use super::Session;
use crate::error::{Error, Result};

/// Arguments of `bake images`.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) fn run(_: &Args, _: &Session) -> Result<()> {
    Err(Error::Usage("`bake images` is not there yet".into()))
}
