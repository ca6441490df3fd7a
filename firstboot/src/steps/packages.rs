//! The staged packages are installed.

use super::Context;
use crate::finding::{Condition, Finding};

pub(super) fn check(ctx: &Context) -> Result<Finding, Condition> {
    if ctx.config.packages.is_empty() {
        return Ok(Finding::Met);
    }
    Ok(Finding::Wrong(Condition::new(
        "this firstboot cannot install packages yet",
        "bake the card with a newer release",
    )))
}

/// Nothing is ever found unmet.
pub(super) fn apply(_: &Context) -> Result<(), Condition> {
    Ok(())
}
