//! `bake profile`: list, check and show profiles, write new ones, print their schema.

mod new;
mod show;

use std::path::PathBuf;

use clap::Subcommand;

use super::Session;
use crate::error::{Error, Fault, Result};
use crate::event::{Event, Sink};
use crate::profile::{Profile, Search, Source, schema};
use crate::ui::Table;

/// Arguments of `bake profile`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the profiles that can be named
    List,
    /// Look for faults in a profile and report all of them
    Check(Which),
    /// Show what each node of a profile will get, secrets redacted
    Show(show::Args),
    /// Write a profile of your own, from one that comes with bake
    New(new::Args),
    /// Print the JSON Schema of profiles, for editors
    Schema,
}

/// A profile and changes to it.
#[derive(Debug, clap::Args)]
struct Which {
    /// Name, or path where it has a `/` or ends in .yaml
    #[arg(value_name = "PROFILE")]
    profile: String,
    /// Change a key first (nodes.node1.address=192.168.24.51)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

impl Which {
    /// Finds and reads the profile, and passes its warnings on.
    fn read(&self, session: &Session) -> Result<(Source, Profile)> {
        let source = Search::usual().find(&self.profile)?;
        let profile = Profile::read(&source, &self.sets)?;
        for fault in profile.warnings() {
            session.ui.emit(Event::Warning { message: sentence(&source, fault) });
        }
        Ok((source, profile))
    }
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    match &args.verb {
        Verb::List => list(session),
        Verb::Check(which) => check(which, session),
        Verb::Show(args) => show::run(args, session),
        Verb::New(args) => new::run(args, session),
        Verb::Schema => session.ui.data(pretty(schema())?),
    }
}

fn list(session: &Session) -> Result<()> {
    let mut table = Table::new(&["NAME", "FILE"]);
    for (name, file) in Search::usual().names() {
        if session.ui.json() {
            session.ui.json_line(&serde_json::json!({"name": name, "file": file}))?;
        } else {
            let file = file.map_or("(comes with bake)".to_owned(), |f| f.display().to_string());
            table.row([name, file]);
        }
    }
    if session.ui.json() { Ok(()) } else { session.ui.text(table.render()) }
}

fn check(which: &Which, session: &Session) -> Result<()> {
    let (source, profile) = which.read(session)?;
    let nodes = profile.nodes();
    if session.ui.json() {
        return session.ui.json_line(&serde_json::json!({
            "profile": profile.name(),
            "cluster": profile.cluster(),
            "nodes": nodes,
            "warnings": profile.warnings().len(),
        }));
    }
    session.ui.line(format!("{}: no faults, nodes {}", source.shown(), nodes.join(", ")))
}

/// A warning as one sentence with its place.
fn sentence(source: &Source, fault: &Fault) -> String {
    let place = fault.at.map_or(String::new(), |at| format!(":{}:{}", at.line, at.column));
    format!("{}{place}: {}: {}", source.shown(), fault.key, fault.message)
}

fn pretty(value: &impl serde::Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::Io {
        doing: "encoding",
        path: PathBuf::from("standard output"),
        source: e.into(),
    })?;
    Ok(text + "\n")
}
