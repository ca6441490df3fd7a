//! This node's name may still stand for an earlier card, whose etcd member is gone for good and
//! keeps others from joining. Deleting its Node has K3s remove the member.

use std::path::Path;

use nodeconf::paths;

use super::peers::Place;
use crate::finding::Condition;
use crate::kube::{Api, ApiError, Node};
use crate::steps::Context;
use crate::sys::Identity;

/// Makes sure that no earlier card of this node is a member any more; why that is not so yet.
pub(super) fn retire(ctx: &Context, place: &Place) -> Result<Option<Condition>, Condition> {
    let read = |path: &str| {
        ctx.sys.read(Path::new(path)).map_err(|e| Condition::io(format!("reading {path}"), &e))
    };
    let identity =
        Identity { chain: read(paths::API_ADMIN_CERT)?, key: read(paths::API_ADMIN_KEY)? };
    let api = Api::at(place.socket(), read(paths::API_CA)?).by(identity);
    let name = &ctx.config.node.name;
    match api.node(ctx.sys, name).and_then(|node| delete(ctx, &api, node)) {
        Ok(true) => Ok(None),
        Ok(false) => Ok(Some(Condition::new(
            format!("the cluster still counts on an earlier card of {name}"),
            "it is being retired",
        ))),
        Err(error) => Ok(Some(Condition::new(
            format!("whether the cluster still counts on an earlier card of {name}: {error}"),
            "waiting for the cluster to have a majority of its servers",
        ))),
    }
}

/// Whether the way is free. A Node without etcd's label keeps nobody from joining.
fn delete(ctx: &Context, api: &Api, node: Option<Node>) -> Result<bool, ApiError> {
    let Some(node) = node.filter(Node::has_etcd) else { return Ok(true) };
    if !node.deleting {
        ctx.report.milestone(&format!("retiring an earlier card of {}", node.name));
        api.delete_node(ctx.sys, &node)?;
    }
    Ok(false)
}
