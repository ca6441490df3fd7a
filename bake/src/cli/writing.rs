//! What the verbs that write one image have in common: how it is written.

use std::path::Path;

use crate::emit::Spec;
use crate::job::build::documents;

/// How an image is written.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Writing {
    /// Replace the output where it exists
    #[arg(long)]
    pub force: bool,
    /// Write a block map (FILE.bmap) beside the output
    #[arg(long)]
    pub bmap: bool,
    /// Neither take the output's sha256 nor wait until the disk has it: as fast as cp, as safe
    #[arg(long)]
    pub fast: bool,
}

impl Writing {
    /// An output at `path`.
    #[must_use]
    pub fn spec(self, path: &Path) -> Spec {
        Spec {
            force: self.force,
            bmap: self.bmap.then(|| documents::beside(path, ".bmap")),
            digest: !self.fast,
            sync: !self.fast,
            ..Spec::new(path)
        }
    }
}
