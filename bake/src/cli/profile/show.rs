//! `bake profile show`

use std::path::PathBuf;

use super::{Session, Which};
use crate::error::{Error, Result};
use crate::profile::{ClusterSecrets, NodePlan, SecretsFile};

/// Arguments of `bake profile show`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Show only this node
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// The cluster's secrets file [default: beside the profile]
    #[arg(long, value_name = "FILE")]
    secrets: Option<PathBuf>,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let (_, profile) = args.which.read(session)?;
    let path = profile.secrets_path(args.secrets.as_deref());
    let secrets = SecretsFile::peek(&path, profile.cluster(), &session.keys())?
        .unwrap_or_else(|| ClusterSecrets::placeholder(profile.cluster(), &profile.members()));
    let nodes = match &args.node {
        Some(name) => vec![profile.select(Some(name), None)?],
        None => profile.nodes(),
    };
    for node in nodes {
        let plan = profile.plan(node, &secrets)?.redacted();
        if session.ui.json() {
            session.ui.json_line(&plan)?;
        } else {
            session.ui.data(text(&plan)?)?;
        }
    }
    Ok(())
}

/// One YAML document a node.
fn text(plan: &NodePlan) -> Result<String> {
    let yaml = serde_saphyr::to_string(plan).map_err(|e| Error::Io {
        doing: "encoding",
        path: PathBuf::from("standard output"),
        source: std::io::Error::other(e.to_string()),
    })?;
    let end = if yaml.ends_with('\n') { "" } else { "\n" };
    Ok(format!("--- # {}\n{yaml}{end}", plan.node.name))
}
