//! A server of an external datastore needs it to be there: K3s ends at once where it is not. The
//! datastore itself sees to it that there is one cluster.

use std::time::Duration;

use crate::finding::{Condition, Finding};
use crate::machine::StepId;
use crate::steps::Context;

const LIMIT: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_secs(2);
const CONNECT: Duration = Duration::from_secs(3);

pub(super) fn check(ctx: &Context) -> Result<Finding, Condition> {
    let Some(datastore) = &ctx.config.cluster.datastore else {
        let what = "the node configuration names no datastore";
        return Ok(Finding::Wrong(Condition::new(what, "bake and flash the card again")));
    };
    let mut refused = Vec::new();
    for host in &datastore.hosts {
        match ctx.sys.connect(host, CONNECT) {
            Ok(()) => return Ok(Finding::Met),
            Err(error) => refused.push(format!("{host} ({error})")),
        }
    }
    let remedy = match &datastore.node {
        Some(node) => format!("waiting for node {node}, which runs it: power it on"),
        None => "start it, or let this node reach it; it goes on by itself".into(),
    };
    let what = format!("the cluster's database does not answer at {}", refused.join(", "));
    Ok(Finding::Unmet(Condition::new(what, remedy)))
}

pub(super) fn apply(ctx: &Context) -> Result<(), Condition> {
    ctx.wait(StepId::Bootstrap, LIMIT, PAUSE, || check(ctx).unwrap_or_else(Finding::Blocked));
    Ok(())
}
