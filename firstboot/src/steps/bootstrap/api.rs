//! An agent joins as soon as the API answers; who serves it is not its business.

use std::path::Path;
use std::time::Duration;

use nodeconf::paths;

use super::words::{NO_PLACE, unanswered};
use crate::finding::{Condition, Finding};
use crate::kube::Api;
use crate::machine::StepId;
use crate::steps::Context;

const LIMIT: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_secs(1);

pub(super) fn check(ctx: &Context) -> Result<Finding, Condition> {
    let Some((address, port)) = ctx.config.api_endpoint() else {
        return Ok(Finding::Wrong(Condition::new(NO_PLACE, "bake and flash the card again")));
    };
    let ca = ctx
        .sys
        .read(Path::new(paths::API_CA))
        .map_err(|e| Condition::io(format!("reading {}", paths::API_CA), &e))?;
    let place = format!("the cluster's API at {address}:{port}");
    let api = Api::at((address, port).into(), ca).within(Duration::from_secs(5));
    Ok(match api.ping(ctx.sys) {
        Ok(true) => Finding::Met,
        Ok(false) => Finding::Unmet(Condition::new(
            format!("{place} is starting"),
            "waiting for a server to be ready",
        )),
        Err(error) => Finding::Unmet(unanswered(&place, &error)),
    })
}

pub(super) fn apply(ctx: &Context) -> Result<(), Condition> {
    ctx.wait(StepId::Bootstrap, LIMIT, PAUSE, || check(ctx).unwrap_or_else(Finding::Blocked));
    Ok(())
}
