//! keepalived and HAProxy run with the configurations that were baked, and nobody outside the
//! cluster uses the address they move.
//!
//! Which server holds the address is theirs to decide: a server need not hold it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use nodeconf::{Address, paths};

use super::Context;
use crate::facts::arp::answering;
use crate::facts::k3s::properties;
use crate::finding::{Condition, Finding};
use crate::machine::StepId;
use crate::sys::{Command, CommandError, Sys, read_text_if_there};

const LIMIT: Duration = Duration::from_secs(30);

/// A service, the configuration that was baked for it, and how it judges it.
struct Service {
    program: &'static str,
    unit: &'static str,
    config: &'static str,
    test: &'static [&'static str],
}

/// HAProxy first: keepalived asks whether it works.
const SERVICES: [Service; 2] = [
    Service {
        program: "haproxy",
        unit: "haproxy.service",
        config: paths::HAPROXY_CONFIG,
        test: &["-c", "-q", "-f"],
    },
    Service {
        program: "keepalived",
        unit: "keepalived.service",
        config: paths::KEEPALIVED_CONFIG,
        test: &["--config-test", "-f"],
    },
];

/// First words of what `bake` writes.
const OURS: &str = "# Written by bake";

pub(super) fn check(ctx: &Context) -> Result<Finding, Condition> {
    for service in &SERVICES {
        if let Some(finding) = service.misconfigured(ctx.sys)? {
            return Ok(finding);
        }
    }
    for service in &SERVICES {
        if let Some(condition) = service.idle(ctx.sys)? {
            return Ok(Finding::Unmet(condition));
        }
    }
    Ok(stranger(ctx).map_or(Finding::Met, Finding::Blocked))
}

pub(super) fn apply(ctx: &Context) -> Result<(), Condition> {
    for service in &SERVICES {
        service.judge(ctx.sys)?;
        service.start(ctx.sys)?;
    }
    ctx.wait(StepId::Vip, LIMIT, Duration::from_millis(200), || {
        let idle = SERVICES.iter().find_map(|service| service.idle(ctx.sys).transpose());
        match idle {
            None => Finding::Met,
            Some(Ok(condition)) => Finding::Unmet(condition),
            Some(Err(condition)) => Finding::Blocked(condition),
        }
    });
    Ok(())
}

impl Service {
    /// Debian's package brings a configuration of its own, which must not have replaced ours.
    fn misconfigured(&self, sys: &dyn Sys) -> Result<Option<Finding>, Condition> {
        let file = self.config;
        let text = read_text_if_there(sys, file)
            .map_err(|e| Condition::io(format!("reading {file}"), &e))?;
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
    fn idle(&self, sys: &dyn Sys) -> Result<Option<Condition>, Condition> {
        let unit = self.unit;
        if sys.read_link(&Path::new(WANTS).join(unit)).is_err() {
            let what = format!("{unit} is not enabled");
            return Ok(Some(Condition::new(what, "it is enabled")));
        }
        let show = Command::new("systemctl", ["show", "--property=ActiveState,SubState,Job", unit]);
        let out = sys.run(&show)?;
        let state = properties(&out).get("ActiveState").copied().unwrap_or("unknown").to_owned();
        Ok(match state.as_str() {
            "active" | "reloading" => None,
            _ => Some(Condition::new(
                format!("{unit} is {state}"),
                format!("it is started; see `journalctl -u {unit}`"),
            )),
        })
    }

    /// Has the program itself look at its configuration.
    fn judge(&self, sys: &dyn Sys) -> Result<(), Condition> {
        let mut test = Command::new(self.program, []);
        test.args = self.test.iter().chain([&self.config]).map(|&arg| arg.to_owned()).collect();
        match sys.run(&test) {
            Ok(_) => Ok(()),
            Err(CommandError::Missing(program)) => Err(Condition::new(
                format!("{program} is not installed"),
                "bake the card again with its packages, or install it",
            )),
            Err(CommandError::Failed { status, stderr, .. }) => Err(Condition::new(
                format!("{} refuses {}: {}", self.program, self.config, stderr.unwrap_or(status)),
                "correct what it names; it goes on by itself",
            )),
            Err(other) => Err(other.into()),
        }
    }

    fn start(&self, sys: &dyn Sys) -> Result<(), Condition> {
        let unit = self.unit;
        if sys.read_link(&Path::new(WANTS).join(unit)).is_err() {
            sys.run(&Command::new("systemctl", ["enable", "--no-reload", unit]))?;
        }
        for dir in [paths::UNIT_DIR, WANTS] {
            let synced = sys.sync_dir(Path::new(dir));
            synced.map_err(|e| Condition::io(format!("syncing {dir}"), &e))?;
        }
        if self.idle(sys)?.is_some() {
            // Fails where the unit has not failed before.
            let _ = sys.run(&Command::new("systemctl", ["reset-failed", unit]));
            sys.run(&Command::new("systemctl", ["start", "--no-block", unit]))?;
        }
        Ok(())
    }
}

/// Where both packages' units are wanted.
const WANTS: &str = "/etc/systemd/system/multi-user.target.wants";

/// Somebody who answers ARP for the shared address and is none of our servers.
fn stranger(ctx: &Context) -> Option<Condition> {
    let vip = ctx.config.cluster.vip.as_ref()?.address.to_string();
    let Address::Static(own) = &ctx.config.node.address else { return None };
    // Ends at the first answer: with more answers than requests arping fails and tells nothing.
    let ask = |address: &str| {
        let interface = ctx.config.node.interface.as_str();
        let own = own.address.to_string();
        let args = ["-b", "-f", "-w", "1", "-I", interface, "-s", &own, address];
        match ctx.sys.run(&Command::new("arping", args)) {
            Ok(out) => answering(&out),
            // Nobody answers, or nobody can ask.
            Err(error) => {
                if let CommandError::Missing(_) = error {
                    ctx.report.note(
                        "there is no arping: whether another machine has the shared address \
                         stays unknown",
                    );
                }
                BTreeSet::new()
            }
        }
    };
    let mut found = ask(&vip);
    for server in ctx.config.other_servers().filter_map(|server| server.address) {
        if found.is_empty() {
            return None;
        }
        for ours in ask(&server.to_string()) {
            found.remove(&ours);
        }
    }
    let stranger = found.first()?;
    Some(Condition::new(
        format!("the shared address {vip} is used by another machine ({stranger})"),
        "give that machine another address, or bake with another cluster.vip.address",
    ))
}
