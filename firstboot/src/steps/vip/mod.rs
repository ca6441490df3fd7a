//! keepalived and HAProxy run with the configurations that were baked, and nobody outside the
//! cluster uses the address they move.
//!
//! Which server holds the address is theirs to decide: a server need not hold it.

mod stranger;

use std::time::Duration;

use nodeconf::paths;
use nodeconf::vip::OURS;

use super::Context;
use crate::finding::{Condition, Finding};
use crate::machine::StepId;
use crate::servers::service::{SERVICES, Service};
use crate::sys::{Sys, read_text_if_there};
use crate::witness::Progress;

const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn check(ctx: &Context) -> Result<Finding, Condition> {
    for service in &SERVICES {
        if let Some(finding) = misconfigured(service, ctx.sys)? {
            return Ok(finding);
        }
    }
    for service in &SERVICES {
        if let Some(condition) = idle(service, ctx.sys)? {
            return Ok(Finding::Unmet(condition));
        }
    }
    Ok(stranger::stranger(ctx).map_or(Finding::Met, Finding::Blocked))
}

pub(super) fn apply(ctx: &Context) -> Result<(), Condition> {
    for service in &SERVICES {
        service.judge(ctx.sys, service.config)?;
        service.enable(ctx.sys)?;
        if idle(service, ctx.sys)?.is_some() {
            service.start(ctx.sys)?;
        }
    }
    ctx.wait(StepId::Vip, LIMIT, Duration::from_millis(200), || {
        let idle = SERVICES.iter().find_map(|service| idle(service, ctx.sys).transpose());
        match idle {
            None => Finding::Met,
            Some(Ok(condition)) => Finding::Unmet(condition),
            Some(Err(condition)) => Finding::Blocked(condition),
        }
    });
    Ok(())
}

/// Debian's package brings a configuration of its own, which must not have replaced ours.
fn misconfigured(service: &Service, sys: &dyn Sys) -> Result<Option<Finding>, Condition> {
    let file = service.config;
    let text =
        read_text_if_there(sys, file).map_err(|e| Condition::io(format!("reading {file}"), &e))?;
    Ok(match text {
        None => Some(Finding::Wrong(Condition::new(
            format!("{file} is missing"),
            "bake and flash the card again",
        ))),
        Some(text) if !text.starts_with(OURS) => Some(Finding::Blocked(Condition::new(
            format!("{file} is not the one that was baked"),
            format!("bring ours back (dpkg may have kept it as {file}.dpkg-old)"),
        ))),
        Some(_) => None,
    })
}

/// Why it does not run as it should; `None` if it does.
fn idle(service: &Service, sys: &dyn Sys) -> Result<Option<Condition>, Condition> {
    let unit = service.unit;
    if !service.is_enabled(sys) {
        let what = format!("{unit} is not enabled");
        return Ok(Some(Condition::new(what, "it is enabled")));
    }
    let state = service.state(sys)?;
    if matches!(&*state, "active" | "reloading") {
        return Ok(None);
    }
    // A condition of its unit keeps it from starting (`servers`).
    if service.config == paths::KEEPALIVED_CONFIG
        && let Some(held) = Progress::read(sys).held
    {
        return Ok(Some(Condition::new("keepalived is held back", held)));
    }
    Ok(Some(Condition::new(
        format!("{unit} is {state}"),
        format!("it is started; see `journalctl -u {unit}`"),
    )))
}
