//! Secrets that nobody needs any more are erased: bake's copy of the node's secrets, and on servers
//! the administrator's certificate that was good until K3s made its own.
//!
//! What is read at every start stays, mode 0600: K3s's configuration, tokens and CAs, and the
//! witness's key. K3s keeps its own state.

use std::io;
use std::path::Path;

use nodeconf::paths;

use super::Context;
use crate::finding::{Condition, Finding};

/// Keys first: a certificate is worth nothing without its key.
const SECRETS: [&str; 3] = [paths::NODE_SECRETS, paths::API_ADMIN_KEY, paths::API_ADMIN_CERT];

pub(super) fn check(ctx: &Context) -> Result<Finding, Condition> {
    for secret in SECRETS {
        if is_there(ctx, secret)? {
            let what = format!("{secret} is still there");
            return Ok(Finding::Unmet(Condition::new(what, "it is erased")));
        }
    }
    Ok(Finding::Met)
}

pub(super) fn apply(ctx: &Context) -> Result<(), Condition> {
    for secret in SECRETS {
        if is_there(ctx, secret)? {
            erase(ctx, Path::new(secret))
                .map_err(|e| Condition::io(format!("erasing {secret}"), &e))?;
        }
    }
    Ok(())
}

fn is_there(ctx: &Context, file: &str) -> Result<bool, Condition> {
    match ctx.sys.stat(Path::new(file)) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Condition::io(format!("looking for {file}"), &e)),
    }
}

/// Overwrites before it removes: on most media that takes the bytes out of the file system's free
/// space, though a flash card may keep an old copy of a block where nobody can address it.
fn erase(ctx: &Context, file: &Path) -> io::Result<()> {
    let len = usize::try_from(ctx.sys.stat(file)?.len).unwrap_or(0);
    ctx.sys.overwrite(file, &vec![0; len])?;
    ctx.sys.sync_file(file)?;
    ctx.sys.remove(file)?;
    ctx.sys.sync_dir(file.parent().unwrap_or(Path::new("/")))
}
