//! What a board wrote onto the card it booted from: an image of such a card is not a base image any
//! more, but a node with a memory.

use nodeconf::paths;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::fs::root::Root;

/// Which node the board was, as firstboot's ledger has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Booted {
    /// Id of its cluster.
    pub cluster: String,
    /// Its name.
    pub node: String,
}

/// What does not hold for the card that is made: which steps are done, what its witness promised,
/// and which servers came and left. K3s's own data stays; a server that has it is a member and asks
/// nobody.
const FORGOTTEN: [&str; 5] =
    [paths::LEDGER, paths::STATUS, paths::WITNESS_STATE, paths::SERVERS, paths::SERVERS_KNOWN];

const LEDGER_LIMIT: u64 = 1 << 20;

/// Which node the board was, `None` where no board booted from the image.
///
/// # Errors
/// [`Error::Refused`] where it was another than this node, whose data would become this one's.
pub fn same_node(root: &Root, cluster: &str, node: &str) -> Result<Option<Booted>> {
    let Some(ledger) = root.read(paths::LEDGER.as_bytes(), LEDGER_LIMIT)? else {
        return Ok(None);
    };
    let refused = |reason: String| Error::Refused {
        action: format!("bake {node} into an image that a board has booted from"),
        reason: format!("{reason}; start from the base image"),
    };
    let booted: Booted = serde_json::from_slice(&ledger)
        .map_err(|_| refused(format!("{} cannot be read, so whose it is", paths::LEDGER)))?;
    if (booted.cluster.as_str(), booted.node.as_str()) != (cluster, node) {
        let Booted { cluster, node } = booted;
        return Err(refused(format!("it was {node} of the cluster with id {cluster}")));
    }
    Ok(Some(booted))
}

/// Has the image of a card that was booted begin its setup anew as the same node; `None` where no
/// board booted from it.
///
/// # Errors
/// Those of [`same_node`], and what the file system refuses.
pub fn begin_anew(root: &mut Root, cluster: &str, node: &str) -> Result<Option<Booted>> {
    let Some(booted) = same_node(root, cluster, node)? else { return Ok(None) };
    for path in FORGOTTEN {
        if root.lstat(path.as_bytes())?.is_some() {
            root.remove_file(path.as_bytes())?;
        }
    }
    Ok(Some(booted))
}
