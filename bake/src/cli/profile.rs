//! `bake profile`

use super::Session;
use crate::error::{Error, Result};

/// Arguments of `bake profile`.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) fn run(_: &Args, _: &Session) -> Result<()> {
    Err(Error::Usage("`bake profile` is not there yet".into()))
}
