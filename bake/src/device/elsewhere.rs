//! Systems on which nothing is flashed yet.

use std::path::Path;

use super::{Cleared, Device, Platform, Transport};
use crate::error::{Error, Result};

/// A system that we know no block devices of.
#[derive(Debug, Clone, Copy)]
pub struct Elsewhere;

fn unavailable<T>() -> Result<T> {
    let what = format!("flashing on {}", std::env::consts::OS);
    let feature = "flashing is not available here".into();
    Err(Error::Unsupported { what, feature }
        .hint("bake the image with `--out` and flash it with Raspberry Pi Imager"))
}

impl Platform for Elsewhere {
    fn list(&self) -> Result<Vec<Device>> {
        unavailable()
    }

    fn look(&self, _: &Path) -> Result<Device> {
        unavailable()
    }

    fn open(&self, _: &Cleared) -> Result<Box<dyn Transport>> {
        unavailable()
    }
}
