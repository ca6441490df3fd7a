//! What embedded etcd has on this card.
//!
//! K3s takes the directory of etcd's write-ahead log for data (`pkg/etcd`, `IsInitialized`); etcd
//! puts it there complete, by a rename, and writes the first entry a few milliseconds later. An etcd
//! that ends in between never elects itself again, and nobody heard anything of it: that is not
//! data yet (ADR 0095).

use std::io;
use std::path::{Path, PathBuf};

use nodeconf::paths;

use crate::facts::etcd_log::{FIRST_FILE, HEAD, holds_nothing};
use crate::facts::k3s::config_value;
use crate::sys::{Sys, read_text_if_there};

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// Nothing.
    None,
    /// A log without a single entry. K3s would start etcd with it, and wait for ever.
    Unborn,
    /// The cluster's data.
    There,
}

/// Whether embedded etcd has data on this card.
///
/// # Errors
/// The card cannot be read; nobody knows then.
pub fn has_data(sys: &dyn Sys) -> io::Result<bool> {
    Ok(look(sys)? == Data::There)
}

/// What embedded etcd has on this card.
///
/// # Errors
/// As [`has_data`].
pub fn look(sys: &dyn Sys) -> io::Result<Data> {
    let member = member(sys)?;
    let log = member.join("wal");
    match sys.stat(&log) {
        Ok(found) if found.is_dir => {}
        Ok(_) => return Ok(Data::None),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Data::None),
        Err(e) => return Err(e),
    }
    let files = sys.list(&log)?;
    let is_new = |file: &String| *file == FIRST_FILE || file.ends_with(".tmp");
    if !files.iter().all(is_new) || !files.iter().any(|file| file == FIRST_FILE) {
        return Ok(Data::There);
    }
    let snapshots = match sys.list(&member.join("snap")) {
        Ok(files) => files.iter().any(|file| file.ends_with(".snap")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => false,
        Err(e) => return Err(e),
    };
    let head = sys.read_head(&log.join(FIRST_FILE), HEAD)?;
    Ok(if !snapshots && holds_nothing(&head) { Data::Unborn } else { Data::There })
}

/// Removes what an etcd left that was never born. K3s must not run, and its etcd neither: it could
/// be born meanwhile. The member's name stays, under which a cluster may expect it.
///
/// # Errors
/// The card cannot be written; K3s must not be started then.
pub fn clear_unborn(sys: &dyn Sys) -> io::Result<()> {
    let member = member(sys)?;
    let aside = member.with_extension("unborn");
    // An earlier run may have come so far.
    remove_tree(sys, &aside)?;
    if look(sys)? != Data::Unborn {
        return Ok(());
    }
    sys.rename(&member, &aside)?;
    sys.sync_dir(member.parent().unwrap_or(&member))?;
    remove_tree(sys, &aside)
}

fn remove_tree(sys: &dyn Sys, dir: &Path) -> io::Result<()> {
    match sys.remove_tree(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Where etcd keeps its log and snapshots.
fn member(sys: &dyn Sys) -> io::Result<PathBuf> {
    let yaml = read_text_if_there(sys, paths::K3S_CONFIG)?.unwrap_or_default();
    let data = config_value(&yaml, "data-dir").unwrap_or(paths::K3S_DATA);
    Ok(Path::new(data).join("server/db/etcd/member"))
}
