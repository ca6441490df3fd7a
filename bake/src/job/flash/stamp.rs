//! Making a finished image of a node a later card of that node.

use nodeconf::{NodeConfig, paths};

use crate::error::{Error, Result};
use crate::fs::{Attributes, Content};
use crate::io::digest::Sha256;
use crate::job::open::Opened;
use crate::provenance;

/// Gives the node in `opened` another incarnation, in its configuration and in the record of what
/// was baked, and reads both back.
///
/// # Errors
/// [`Error::Unsupported`] where the image has no record, [`Error::Verification`] where what was
/// changed does not read back, and what the file systems refuse.
pub fn stamp(mut opened: Opened, incarnation: u32) -> Result<Opened> {
    let what = opened.path.display().to_string();
    let root = opened.root_mut()?;
    let json = root.read(paths::NODE_CONFIG.as_bytes(), 1 << 20)?.unwrap_or_default();
    let corrupt = |e: nodeconf::Error| Error::Corrupt {
        what: paths::NODE_CONFIG.into(),
        reason: e.to_string(),
    };
    let mut config = NodeConfig::parse(&json).map_err(corrupt)?;
    let Some(mut record) = provenance::read(root)? else {
        let feature = format!("it has no {}, so its incarnation cannot be raised", paths::RECORD);
        return Err(Error::Unsupported { what, feature });
    };
    config.node.incarnation = incarnation;
    record.node.incarnation = Some(incarnation);
    let json = config.to_json();
    let digest = Sha256::of(json.as_bytes()).to_string();
    if let Some(file) = record.files.iter_mut().find(|file| file.path == paths::NODE_CONFIG) {
        file.state.sha256 = Some(digest);
    }
    for (path, text) in [(paths::NODE_CONFIG, json), (paths::RECORD, record.to_json())] {
        let known = root.stat(path.as_bytes())?.map(|m| m.attributes);
        let attributes =
            known.unwrap_or(Attributes { mode: 0o644, uid: 0, gid: 0, mtime: record.time });
        root.write(path.as_bytes(), Content::Bytes(text.into()), attributes)?;
    }
    let opened = opened.reopen()?;
    let root = opened.root()?;
    let read = root.read(paths::NODE_CONFIG.as_bytes(), 1 << 20)?.unwrap_or_default();
    let same = NodeConfig::parse(&read).is_ok_and(|read| read == config);
    if !same || provenance::read(root)?.as_ref() != Some(&record) {
        let reason = format!("incarnation {incarnation} does not read back");
        return Err(Error::Verification { what, reason });
    }
    Ok(opened)
}
