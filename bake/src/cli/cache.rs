//! `bake cache`

use super::Session;
use crate::error::{Error, Result};

/// Arguments of `bake cache`.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) fn run(_: &Args, _: &Session) -> Result<()> {
    Err(Error::Usage("`bake cache` is not there yet".into()))
}
