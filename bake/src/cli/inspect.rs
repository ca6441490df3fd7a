//! `bake inspect`: what an image is, what is in it, and what was baked into it.

use std::path::PathBuf;

use super::Session;
use crate::error::Result;
use crate::job::inspect::{Report, inspect};
use crate::job::open;
use crate::provenance::Record;
use crate::ui::Table;
use crate::units::human;

/// Arguments of `bake inspect`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Disk image or bare file system image, compressed or not
    image: PathBuf,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let opened = open::open(&args.image, &session.fetcher()?)?;
    let report = inspect(&opened)?;
    if session.ui.json() {
        return session.ui.json_line(&report);
    }
    session.ui.text(render(&args.image.display().to_string(), &report))
}

fn render(name: &str, report: &Report) -> String {
    let id = report.disk_id.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
    let mut text = format!(
        "{name}: {} ({} bytes), partition table {}{id}\n",
        human(report.len),
        report.len,
        report.table,
    );
    text += &format!("system: {}\n\n", report.system.as_deref().unwrap_or("none found"));
    let mut table =
        Table::new(&["PART", "START", "SIZE", "TYPE", "CONTENT", "LABEL", "FREE", "MOUNTED AT"]);
    for p in &report.partitions {
        table.row([
            p.number.to_string(),
            p.start.to_string(),
            human(p.len),
            p.kind.clone(),
            p.content.clone(),
            p.label.clone(),
            p.free.map(human).unwrap_or_default(),
            p.mounted_at.clone().unwrap_or_default(),
        ]);
    }
    text += &table.render();
    match &report.baked {
        Some(record) => text += &format!("\n{}", baked(record)),
        None => text += "\nnothing baked into it by bake\n",
    }
    text
}

fn baked(record: &Record) -> String {
    let Record { node, base, tool, .. } = record;
    let who = match (&node.name, node.incarnation) {
        (Some(name), Some(incarnation)) => format!(
            "node {name} of cluster {} (profile {}), incarnation {incarnation}",
            node.cluster, node.profile
        ),
        _ => format!("{node} (profile {})", node.profile),
    };
    let mut text = format!("baked by {tool}: {who}\n  on {}, {}\n", base.name, base.os);
    let mut table = Table::new(&["  FROM", "VERSION", "SHA256"]);
    table.row(["  base", base.architecture.as_str(), base.sha256.as_deref().unwrap_or("")]);
    for component in &record.components {
        let version = component.version.as_deref().unwrap_or_default();
        table.row([format!("  {}", component.name).as_str(), version, component.sha256.as_str()]);
    }
    text += &table.render();
    text + &format!("  {} paths made, changed or removed\n", record.files.len())
}
