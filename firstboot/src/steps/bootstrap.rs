//! There is a cluster to join, or it is this node that founds it.

use super::Context;
use crate::finding::{Condition, Finding};

pub(super) fn check(_: &Context) -> Result<Finding, Condition> {
    Ok(Finding::Wrong(Condition::new(
        "this firstboot cannot form or join a cluster yet",
        "bake the card with a newer release",
    )))
}

/// Nothing is ever found unmet.
pub(super) fn apply(_: &Context) -> Result<(), Condition> {
    Ok(())
}
