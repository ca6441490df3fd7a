//! `bake build`

use super::Session;
use crate::error::{Error, Result};

/// Arguments of `bake build`.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) fn run(_: &Args, _: &Session) -> Result<()> {
    Err(Error::Usage("`bake build` is not there yet".into()))
}
