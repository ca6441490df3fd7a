//! What moves the shared address runs.

use super::Context;
use crate::finding::{Condition, Finding};

pub(super) fn check(_: &Context) -> Result<Finding, Condition> {
    Ok(Finding::Wrong(Condition::new(
        "this firstboot cannot bring up a shared address yet",
        "bake the card with a newer release",
    )))
}

/// Nothing is ever found unmet.
pub(super) fn apply(_: &Context) -> Result<(), Condition> {
    Ok(())
}
