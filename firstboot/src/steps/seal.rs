//! Secrets that nobody needs any more are erased.
//!
//! On a `single` server that is `/etc/bake/secrets.json`. What K3s reads at every start (its
//! configuration and token files) stays, mode 0600, and K3s keeps its own state.

use std::io;
use std::path::Path;

use nodeconf::paths;

use super::Context;
use crate::finding::{Condition, Finding};

const SECRETS: &str = paths::NODE_SECRETS;

pub(super) fn check(ctx: &Context) -> Result<Finding, Condition> {
    match ctx.sys.stat(Path::new(SECRETS)) {
        Ok(_) => {
            Ok(Finding::Unmet(Condition::new(format!("{SECRETS} is still there"), "it is erased")))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Finding::Met),
        Err(e) => Err(Condition::io(format!("looking for {SECRETS}"), &e)),
    }
}

/// Overwrites before it removes: on most media that takes the bytes out of the file system's free
/// space, though a flash card may keep an old copy of a block where nobody can address it.
pub(super) fn apply(ctx: &Context) -> Result<(), Condition> {
    let file = Path::new(SECRETS);
    let failed = |e: io::Error| Condition::io(format!("erasing {SECRETS}"), &e);
    let len = usize::try_from(ctx.sys.stat(file).map_err(failed)?.len).unwrap_or(0);
    ctx.sys.overwrite(file, &vec![0; len]).map_err(failed)?;
    ctx.sys.sync_file(file).map_err(failed)?;
    ctx.sys.remove(file).map_err(failed)?;
    ctx.sys.sync_dir(Path::new(paths::CONFIG_DIR)).map_err(failed)
}
