//! The API answers as the server whose CA is on this card, and says that the node is Ready.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nodeconf::paths;

use super::Context;
use super::k3s::unit;
use crate::facts::k3s::{complaint, config_value, node_ready, properties};
use crate::finding::{Condition, Finding};
use crate::machine::StepId;
use crate::sys::{Command, HttpsError, HttpsReply, HttpsRequest, Identity, Sys, read_text};

/// A first server needs 15 to 60 s on a board; after this long we report and start over.
const LIMIT: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(500);
const REQUEST: Duration = Duration::from_secs(10);
/// K3s that ended this often is not about to become ready.
const RESTARTS: u32 = 3;

pub(super) fn check(ctx: &Context) -> Result<Finding, Condition> {
    let server = Server::of(ctx.sys)?;
    let ping = match server.get(ctx.sys, "/ping", false)? {
        Ok(reply) => reply,
        Err(condition) => return Ok(Finding::Unmet(condition)),
    };
    if ping.status != 200 || ping.body.trim_ascii() != b"pong" {
        let what = format!("K3s is starting (/ping answers {})", ping.status);
        return Ok(Finding::Unmet(Condition::new(what, "waiting for it")));
    }
    let name = &ctx.config.node.name;
    let node = match server.get(ctx.sys, &format!("/api/v1/nodes/{name}"), true)? {
        Ok(reply) => reply,
        Err(condition) => return Ok(Finding::Unmet(condition)),
    };
    let waiting = |what: String| Ok(Finding::Unmet(Condition::new(what, "waiting for it")));
    match node.status {
        200 => match node_ready(&node.body) {
            Ok(()) => Ok(Finding::Met),
            Err(why) => waiting(format!("node {name} is not Ready: {why}")),
        },
        404 => waiting(format!("node {name} has not registered yet")),
        status => waiting(format!("the API answers {status} to a question about node {name}")),
    }
}

pub(super) fn apply(ctx: &Context) -> Result<(), Condition> {
    let unit = unit(ctx)?;
    let first = restarts(ctx.sys, unit);
    ctx.wait(StepId::Confirm, LIMIT, PAUSE, || {
        let found = check(ctx).unwrap_or_else(Finding::Blocked);
        match (&found, first, restarts(ctx.sys, unit)) {
            (Finding::Unmet(condition), Some(a), Some(b)) if b >= a.saturating_add(RESTARTS) => {
                Finding::Blocked(condition.clone())
            }
            _ => found,
        }
    });
    match check(ctx)? {
        Finding::Unmet(condition) => Err(with_complaint(ctx.sys, unit, condition)),
        _ => Ok(()),
    }
}

fn restarts(sys: &dyn Sys, unit: &str) -> Option<u32> {
    let out = sys.run(&Command::new("systemctl", ["show", "--property=NRestarts", unit])).ok()?;
    properties(&out).get("NRestarts")?.parse().ok()
}

/// What K3s itself said last is worth more than what we saw of it.
fn with_complaint(sys: &dyn Sys, unit: &str, condition: Condition) -> Condition {
    let journal =
        Command::new("journalctl", ["-u", unit, "-b", "-n", "100", "-o", "cat", "--no-pager"]);
    match sys.run(&journal).ok().as_deref().and_then(complaint) {
        Some(said) => Condition::new(
            format!("{}; K3s says: {said}", condition.what),
            format!("see journalctl -u {unit}; it is tried again"),
        ),
        None => condition,
    }
}

/// The API server of this machine.
struct Server {
    port: u16,
    tls: PathBuf,
}

impl Server {
    /// Port and data directory may be set by further K3s keys of the profile.
    fn of(sys: &dyn Sys) -> Result<Self, Condition> {
        let yaml = read_text(sys, paths::K3S_CONFIG)
            .map_err(|e| Condition::io(format!("reading {}", paths::K3S_CONFIG), &e))?;
        let port = config_value(&yaml, "https-listen-port").and_then(|port| port.parse().ok());
        let data = config_value(&yaml, "data-dir").unwrap_or(paths::K3S_DATA);
        Ok(Self { port: port.unwrap_or(paths::API_PORT), tls: Path::new(data).join("server/tls") })
    }

    /// Asks for `path`, as the cluster's administrator where `admin` says so. The inner error is
    /// one that time may heal.
    fn get(
        &self,
        sys: &dyn Sys,
        path: &str,
        admin: bool,
    ) -> Result<Result<HttpsReply, Condition>, Condition> {
        let (Ok(ca), client) = (sys.read(&self.tls.join("server-ca.crt")), self.admin(sys, admin))
        else {
            return Ok(Err(Condition::new("K3s has made no CA yet", "waiting for it")));
        };
        let client = match (admin, client) {
            (true, None) => {
                let what = "K3s has made no administrator's certificate yet";
                return Ok(Err(Condition::new(what, "waiting for it")));
            }
            (_, client) => client,
        };
        let address = (Ipv4Addr::LOCALHOST, self.port).into();
        let request =
            HttpsRequest { client, timeout: REQUEST, ..HttpsRequest::get(address, path, ca) };
        Ok(sys.https(&request).map_err(unanswered))
    }

    /// The certificate of K3s's own kubeconfig, from the files it is made of.
    fn admin(&self, sys: &dyn Sys, wanted: bool) -> Option<Identity> {
        if !wanted {
            return None;
        }
        let chain = sys.read(&self.tls.join("client-admin.crt")).ok()?;
        Some(Identity { chain, key: sys.read(&self.tls.join("client-admin.key")).ok()? })
    }
}

fn unanswered(error: HttpsError) -> Condition {
    match error {
        HttpsError::Unreachable(why) => {
            Condition::new(format!("K3s does not answer: {why}"), "waiting for it")
        }
        HttpsError::Untimely(why) => Condition::new(
            format!("K3s's certificate is not to be trusted: {why}"),
            "check the clock: a certificate is valid from and until a date",
        ),
        HttpsError::Untrusted(why) => Condition::new(
            format!("K3s's certificate is not to be trusted: {why}"),
            "what answers here is not this cluster's K3s; see journalctl -u k3s",
        ),
        HttpsError::Rejected(why) => Condition::new(
            format!("K3s does not accept the administrator's certificate: {why}"),
            "waiting for K3s to write it anew",
        ),
        HttpsError::Credentials(why) => Condition::new(
            format!("a certificate on this card cannot be used: {why}"),
            "waiting for K3s to write it",
        ),
    }
}
