//! The node is a Ready member of its cluster, the others know what they must, and K3s starts by
//! itself from the next boot on.

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::time::Duration;

use nodeconf::{Role, Topology, paths};

use super::bootstrap::{has_data, has_etcd, unanswered};
use super::{Context, settle, unit};
use crate::facts::k3s::{complaint, config_value};
use crate::finding::{Condition, Finding};
use crate::kube::{Api, ApiError};
use crate::machine::StepId;
use crate::sys::{Command, Identity, Sys, read_text};

/// A server needs 15 to 60 s on a board; after this long we report and start over.
const LIMIT: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(500);
/// K3s that ended this often is not about to become ready.
const RESTARTS: u32 = 3;

/// A journal is read once for so many looks at the rest.
const LOOKS: u32 = 10;

/// How far the node is.
enum Stage {
    /// K3s has to do something.
    Waiting(Condition),
    /// This node has to tell the others something.
    Unsettled(Condition),
    /// This node is a member and K3s is not enabled.
    Disabled,
    Done,
}

pub(super) fn check(ctx: &Context) -> Result<Finding, Condition> {
    Ok(match stage(ctx)? {
        Stage::Waiting(condition) | Stage::Unsettled(condition) => Finding::Unmet(condition),
        Stage::Disabled => {
            let what = format!("{} does not start by itself yet", unit::name(ctx)?);
            Finding::Unmet(Condition::new(what, "it is enabled"))
        }
        Stage::Done => Finding::Met,
    })
}

pub(super) fn apply(ctx: &Context) -> Result<(), Condition> {
    let unit = unit::name(ctx)?;
    let first = unit::restarts(ctx.sys, unit);
    let looks = Cell::new(0_u32);
    ctx.wait(StepId::Confirm, LIMIT, PAUSE, || {
        let found = advance(ctx).unwrap_or_else(Finding::Blocked);
        looks.set(looks.get().saturating_add(1));
        match (&found, first, unit::restarts(ctx.sys, unit)) {
            (Finding::Unmet(condition), ..)
                if looks.get().is_multiple_of(LOOKS) && is_turned_away(ctx, unit) =>
            {
                Finding::Blocked(condition.clone())
            }
            (Finding::Unmet(condition), Some(a), Some(b)) if b >= a.saturating_add(RESTARTS) => {
                Finding::Blocked(condition.clone())
            }
            _ => found,
        }
    });
    match check(ctx)? {
        Finding::Unmet(condition) => {
            if has_etcd(ctx.config) {
                match has_data(ctx)? {
                    // Who cannot join must not keep the others from it.
                    false => settle::step_aside(ctx),
                    // A kubelet whose Node went registers only when it starts.
                    true if has_no_node(ctx)? => unit::stop(ctx)?,
                    true => {}
                }
            }
            Err(with_complaint(ctx.sys, unit, condition))
        }
        _ => Ok(()),
    }
}

/// Does what this node can do for its stage, and looks at what is left.
fn advance(ctx: &Context) -> Result<Finding, Condition> {
    match stage(ctx)? {
        Stage::Waiting(_) if has_etcd(ctx.config) => settle::keep_slot(ctx)?,
        Stage::Waiting(_) | Stage::Done => {}
        Stage::Unsettled(_) => settle::settle(ctx)?,
        Stage::Disabled => unit::enable(ctx)?,
    }
    check(ctx)
}

fn stage(ctx: &Context) -> Result<Stage, Condition> {
    if let Some(condition) = alone(ctx)? {
        return Ok(Stage::Waiting(condition));
    }
    let waiting = match ctx.config.node.role {
        Role::Server => match serving(ctx)? {
            Ok(api) => {
                if has_etcd(ctx.config)
                    && let Some(condition) = settle::unsettled(ctx)?
                {
                    return Ok(Stage::Unsettled(condition));
                }
                not_ready(ctx, &api)
            }
            Err(condition) => Some(condition),
        },
        Role::Agent | Role::Database => joined(ctx)?,
    };
    Ok(match waiting {
        Some(condition) => Stage::Waiting(condition),
        None if !unit::is_enabled(ctx)? => Stage::Disabled,
        None => Stage::Done,
    })
}

/// A K3s that was not told of its datastore keeps a cluster of its own, without a word (K3s
/// `pkg/cluster`: SQLite is what it takes where nothing else is given).
fn alone(ctx: &Context) -> Result<Option<Condition>, Condition> {
    let external = ctx.config.cluster.topology == Topology::ExternalDatastore;
    if !external || ctx.config.node.role != Role::Server {
        return Ok(None);
    }
    match ctx.sys.stat(Path::new(paths::K3S_SQLITE)) {
        Ok(_) => Ok(Some(Condition::new(
            "K3s did not use the cluster's database but made a cluster of its own",
            format!("see {}.env; bake and flash the card again", unit::name(ctx)?),
        ))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Condition::io(format!("looking for {}", paths::K3S_SQLITE), &e)),
    }
}

/// The API of this server once it is ready: etcd then counts it among its voting members. The
/// inner error is one that time may heal.
fn serving(ctx: &Context) -> Result<Result<Api, Condition>, Condition> {
    let waiting = |what: String| Ok(Err(Condition::new(what, "waiting for it")));
    let api = match Api::local(ctx.sys) {
        Ok(api) => api,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return waiting("K3s has made no CA yet".into());
        }
        Err(e) => return Err(Condition::io("reading the CA of K3s", &e)),
    };
    match api.ping(ctx.sys) {
        Ok(true) => {}
        Ok(false) => return waiting("K3s is starting".into()),
        Err(error) => return Ok(Err(unanswered("K3s", &error))),
    }
    // The certificate of K3s's own kubeconfig.
    let Some(identity) = identity(ctx.sys, "server/tls/client-admin")? else {
        return waiting("K3s has made no administrator's certificate yet".into());
    };
    let api = api.by(identity);
    match api.is_ready(ctx.sys) {
        Ok(true) => Ok(Ok(api)),
        Ok(false) => waiting("K3s serves, but is not ready yet".into()),
        Err(error) => Ok(Err(refused(&error))),
    }
}

/// An agent owns no certificate but its kubelet's, which may read its own Node (Kubernetes, Node
/// authorizer). What the agent still lacks.
fn joined(ctx: &Context) -> Result<Option<Condition>, Condition> {
    let waiting = |what: &str| Ok(Some(Condition::new(what, "waiting for it")));
    let Some(endpoint) = ctx.config.api_endpoint() else {
        return waiting("the node configuration does not say where the API is");
    };
    let Some(identity) = identity(ctx.sys, "agent/client-kubelet")? else {
        return waiting("K3s has not got its certificate from the cluster yet");
    };
    let ca = ctx
        .sys
        .read(Path::new(paths::API_CA))
        .map_err(|e| Condition::io(format!("reading {}", paths::API_CA), &e))?;
    Ok(not_ready(ctx, &Api::at(endpoint.into(), ca).by(identity)))
}

/// What the API says the node still lacks.
fn not_ready(ctx: &Context, api: &Api) -> Option<Condition> {
    let name = &ctx.config.node.name;
    let waiting = |what: String| Some(Condition::new(what, "waiting for it"));
    match api.node(ctx.sys, name) {
        // The kubelet keeps up the Node it finds, and makes no other when that goes.
        Ok(Some(node)) if node.deleting => {
            let what = format!(
                "the Node of an earlier card of {name} is being deleted and waits for {}",
                node.finalizers.join(", ")
            );
            Some(Condition::new(what, format!("see kubectl get node {name} -o yaml")))
        }
        Ok(Some(node)) => match node.ready {
            Ok(()) => None,
            Err(why) => waiting(format!("node {name} is not Ready: {why}")),
        },
        Ok(None) => waiting(format!("node {name} has not registered yet")),
        Err(error) => Some(refused(&error)),
    }
}

/// Whether this server's own API is ready and knows no Node of its name.
fn has_no_node(ctx: &Context) -> Result<bool, Condition> {
    let Ok(api) = serving(ctx)? else { return Ok(false) };
    Ok(api.node(ctx.sys, &ctx.config.node.name) == Ok(None))
}

fn refused(error: &ApiError) -> Condition {
    match error {
        ApiError::Https(error) => unanswered("the API", error),
        ApiError::Status { .. } | ApiError::Garbled { .. } => {
            Condition::new(error.to_string(), "waiting for it")
        }
    }
}

/// A certificate of K3s's own, below its data directory, once both halves are there.
fn identity(sys: &dyn Sys, name: &str) -> Result<Option<Identity>, Condition> {
    let yaml = read_text(sys, paths::K3S_CONFIG)
        .map_err(|e| Condition::io(format!("reading {}", paths::K3S_CONFIG), &e))?;
    let data = config_value(&yaml, "data-dir").unwrap_or(paths::K3S_DATA);
    let part = |kind: &str| sys.read(&Path::new(data).join(format!("{name}.{kind}"))).ok();
    let (Some(chain), Some(key)) = (part("crt"), part("key")) else { return Ok(None) };
    Ok(Some(Identity { chain, key }))
}

/// Whether the cluster refuses an agent that was never in it: its K3s asks for ever, without ending
/// as a server's does.
fn is_turned_away(ctx: &Context, unit: &str) -> bool {
    ctx.config.node.role == Role::Agent
        && matches!(identity(ctx.sys, "agent/client-kubelet"), Ok(None))
        && last_complaint(ctx.sys, unit).is_some_and(|said| is_about_token(&said))
}

fn last_complaint(sys: &dyn Sys, unit: &str) -> Option<String> {
    let journal =
        Command::new("journalctl", ["-u", unit, "-b", "-n", "100", "-o", "cat", "--no-pager"]);
    sys.run(&journal).ok().as_deref().and_then(complaint)
}

fn is_about_token(said: &str) -> bool {
    said.contains("401 Unauthorized") || said.contains("encrypted with different token")
}

/// What K3s itself said last is worth more than what we saw of it.
pub(super) fn with_complaint(sys: &dyn Sys, unit: &str, condition: Condition) -> Condition {
    let Some(said) = last_complaint(sys, unit) else { return condition };
    // A card that lay in a drawer while the tokens were rotated, or a board that was off.
    if is_about_token(&said) {
        return Condition::new(
            format!("{}; the cluster does not take this card's token: {said}", condition.what),
            "if the cluster's tokens were rotated, bake and flash the card again, or give the \
             board its new ones (bake secrets rotate); it is tried again",
        );
    }
    Condition::new(
        format!("{}; K3s says: {said}", condition.what),
        format!("see journalctl -u {unit}; it is tried again"),
    )
}
