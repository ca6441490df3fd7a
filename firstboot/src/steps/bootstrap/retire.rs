//! This node's name may still stand for an earlier card, whose etcd member is gone for good and
//! keeps others from joining. Deleting its Node has K3s remove the member; what tells that it did is
//! that its finalizer is gone from the Node, not that the Node is (ADR 0096).

use std::path::Path;
use std::time::Duration;

use nodeconf::paths;

use super::peers::Place;
use crate::finding::Condition;
use crate::kube::{Api, ApiError, Node};
use crate::steps::Context;
use crate::sys::Identity;

/// How long K3s's own clean-up may take before it is taken for stuck; it needs a second.
const CLEAN_UP: Duration = Duration::from_secs(20);

/// Makes sure that no earlier card of this node is a member any more; why that is not so yet.
pub(super) fn retire(ctx: &Context, place: &Place) -> Result<Option<Condition>, Condition> {
    let read = |path: &str| {
        ctx.sys.read(Path::new(path)).map_err(|e| Condition::io(format!("reading {path}"), &e))
    };
    let identity =
        Identity { chain: read(paths::API_ADMIN_CERT)?, key: read(paths::API_ADMIN_KEY)? };
    let api = Api::at(place.socket(), read(paths::API_CA)?).by(identity);
    let name = &ctx.config.node.name;
    Ok(api.node(ctx.sys, name).and_then(|node| in_the_way(ctx, &api, node)).unwrap_or_else(
        |error| {
            Some(Condition::new(
                format!("whether the cluster still counts on an earlier card of {name}: {error}"),
                "waiting for the cluster to have a majority of its servers",
            ))
        },
    ))
}

/// Does what is next to be done; why the way is not free. A Node without etcd's label keeps nobody
/// from joining, nor does one that only waits for what is not K3s's.
fn in_the_way(ctx: &Context, api: &Api, node: Option<Node>) -> Result<Option<Condition>, ApiError> {
    let Some(node) = node.filter(Node::has_etcd) else {
        ctx.memory.retires_since(None);
        return Ok(None);
    };
    let waiting = |what: String, remedy: &str| Ok(Some(Condition::new(what, remedy)));
    if !node.deleting {
        ctx.report.milestone(&format!("retiring an earlier card of {}", node.name));
        api.delete_node(ctx.sys, &node)?;
    }
    let counts = format!("the cluster still counts on an earlier card of {}", node.name);
    let stuck = ctx.memory.retires_since(Some(ctx.sys.uptime())) >= CLEAN_UP;
    if !node.deleting || !stuck {
        return waiting(counts, "it is being retired");
    }
    if !node.has_left_etcd() {
        let mut servers = ctx.config.cluster.servers.iter();
        let own = servers.find(|peer| peer.name == node.name).and_then(|peer| peer.address);
        if api.counts_member(ctx.sys, &node.name, own)? != Some(false) {
            let name = &node.name;
            let what = format!("{counts}: its Node waits for {}", node.finalizers.join(", "));
            let remedy = format!(
                "K3s tries again by itself where its servers are up; if it stays, see their \
                 journalctl -u k3s. Once etcd does not list {name} any more: kubectl patch node \
                 {name} --type=merge -p '{{\"metadata\":{{\"finalizers\":null}}}}'"
            );
            return waiting(what, &remedy);
        }
    }
    let foreign = node.foreign_finalizers();
    if foreign.len() < node.finalizers.len() {
        ctx.report.milestone(&format!(
            "an earlier card of {} has left etcd and its Node stays: K3s's finalizers are taken \
             off it",
            node.name
        ));
        api.leave_finalizers(ctx.sys, &node, &foreign)?;
        return waiting(counts, "it is being retired");
    }
    ctx.report.note(&format!(
        "the Node of an earlier card of {} waits for {}",
        node.name,
        foreign.join(", ")
    ));
    Ok(None)
}
