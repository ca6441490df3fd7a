//! The default command: bake one node of a profile.

use std::path::PathBuf;
use std::time::Instant;

use super::materials::Materials;
use super::writing::Writing;
use super::{Session, cluster};
use crate::emit::{self, Spec};
use crate::error::{Error, Result};
use crate::job::build::{self, Prepared, Report, Request, documents};
use crate::profile::{ClusterSecrets, Profile, Search, SecretsFile};
use crate::units::human;

/// Arguments of the default command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Baking a node")]
pub struct Args {
    /// Profile: a name, or a path to a YAML file
    #[arg(long, value_name = "NAME|FILE")]
    profile: Option<String>,
    /// Output; .zst, .xz or .gz compresses it
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Node of the profile [default: the one the output is named after]
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    #[command(flatten)]
    materials: Materials,
    #[command(flatten)]
    writing: Writing,
    /// The node's board is replaced by another: it joins anew
    #[arg(long)]
    replace: bool,
    /// Print what would be done to the image, and write nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let start = Instant::now();
    let Some(reference) = &args.profile else {
        return Err(Error::Usage("nothing to do: no verb and no `--profile`".into())
            .hint("`bake --profile single --out node1.img` bakes a node; see `bake --help`"));
    };
    let out = output(args)?;
    let source = Search::usual().find(reference)?;
    let materials = &args.materials;
    let profile = Profile::read(&source, &materials.set)?;
    profile.warnings().iter().for_each(|fault| cluster::warn(session, fault));
    let node = profile.select(args.node.as_deref(), args.out.as_deref())?.to_owned();
    let path = profile.secrets_path(materials.secrets.as_deref());
    let sources = materials.sources(&source);
    // Before secrets are made for a bake that fails.
    sources.lock.read()?;
    let request = |plan| Request { plan, sources, out: out.clone(), replace: args.replace };
    let fetcher = session.fetcher()?;
    if args.dry_run {
        let known = SecretsFile::peek(&path, profile.cluster(), &session.keys())?;
        let secrets = known
            .unwrap_or_else(|| ClusterSecrets::placeholder(profile.cluster(), &profile.members()));
        let plan = materials.plan(&profile, &node, &secrets)?;
        let prepared = build::prepare(request(plan), &fetcher, None, &session.ui)?;
        return print(&prepared, session);
    }
    match materials.no_sbom {
        true => emit::preflight(&out)?,
        false => documents::preflight(&out)?,
    }
    let mut secrets = cluster::open_secrets(&profile, &path, session)?;
    let plan = materials.plan(&profile, &node, secrets.secrets())?;
    let prepared = build::prepare(request(plan), &fetcher, Some(&mut secrets), &session.ui)?;
    let report = prepared.bake(&session.ui, &session.cancel)?;
    if session.ui.json() {
        return session.ui.json_line(&report);
    }
    session.ui.line(summary(&report, start.elapsed().as_secs_f64()))
}

/// Where to write; a dry run needs no place.
fn output(args: &Args) -> Result<Spec> {
    let path = match &args.out {
        Some(path) => path.clone(),
        None if args.dry_run => PathBuf::from("dry-run.img"),
        None => {
            return Err(Error::Usage("`--out FILE` is missing".into())
                .hint("or use `--dry-run` to see what would be done"));
        }
    };
    Ok(args.writing.spec(&path))
}

/// The recipe, one topic after the other.
fn print(prepared: &Prepared, session: &Session) -> Result<()> {
    if session.ui.json() {
        for edit in &prepared.planned.recipe.edits {
            let (topic, path) = (edit.topic.to_string(), edit.action.path());
            let (scope, edit) = (edit.scope.to_string(), edit.to_string());
            let line = serde_json::json!({
                "topic": topic, "scope": scope, "path": path, "edit": edit,
            });
            session.ui.json_line(&line)?;
        }
        return Ok(());
    }
    let mut topic = None;
    for edit in &prepared.planned.recipe.edits {
        if topic != Some(edit.topic) {
            session.ui.line(format!("{}:", edit.topic))?;
            topic = Some(edit.topic);
        }
        session.ui.line(format!("  {edit:#}"))?;
    }
    Ok(())
}

fn verified(report: &Report) -> &str {
    report.verified.as_deref().unwrap_or("nothing: it is a file of yours")
}

pub(super) fn summary(report: &Report, seconds: f64) -> String {
    let out = report.path.display();
    let made_of = |name: &str| format!("  {name:<17} ");
    let mut lines = vec![
        format!("{out}: {} of cluster {}, baked in {seconds:.1} s", report.node, report.cluster),
        format!(
            "{}{} ({}), verified by {}",
            made_of("base"),
            report.base,
            report.os,
            verified(report)
        ),
    ];
    for component in report.components.iter().filter(|c| !c.is_package()) {
        let version = component.version.iter().map(|version| format!("{version} "));
        let version: String = version.collect();
        lines.push(format!("{}{version}{}", made_of(&component.name), &component.sha256[..16]));
    }
    let grown = report.root_grown_to.map(|len| format!(", root grown to {}", human(len)));
    lines.push(format!(
        "{}{}, {} in use, {} files baked{}",
        made_of("image"),
        human(report.image_bytes),
        human(report.used_bytes),
        report.files,
        grown.unwrap_or_default()
    ));
    if let Some(sha256) = &report.sha256 {
        lines.push(format!("{}{sha256}", made_of("sha256")));
    }
    lines.push(format!("Look inside: bake inspect {out}; bake ls {out}:/etc/bake"));
    if report.incarnation > 1 {
        let (node, incarnation) = (&report.node, report.incarnation);
        lines.push(format!(
            "This is card {incarnation} of {node}: it takes the place of the one before. Power \
             that off, insert this one;\n{node} then leaves its old membership and joins anew by \
             itself, under the same name and address"
        ));
    }
    lines.push(
        "Flash it with Raspberry Pi Imager (\"Use custom\") or any tool that writes images".into(),
    );
    lines.join("\n")
}
