//! `bake ls`: files inside an image, as its running system sees them.

use serde::Serialize;

use super::Session;
use super::image_path::ImagePath;
use crate::error::Result;
use crate::fs::path::{lossy, missing};
use crate::fs::root::Root;
use crate::fs::{FileKind, Metadata};
use crate::job::open;
use crate::ui::Table;

/// Arguments of `bake ls`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Image and path in it, such as node1.img:/etc
    #[arg(value_name = "IMG:PATH")]
    what: ImagePath,
    /// Show mode, links, owner, size and time
    #[arg(short, long)]
    long: bool,
    /// List everything below too
    #[arg(short = 'R', long)]
    recursive: bool,
}

#[derive(Debug, Serialize)]
struct Row {
    path: String,
    kind: &'static str,
    mode: String,
    links: u32,
    uid: u32,
    gid: u32,
    size: u64,
    mtime: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let opened = open::open(&args.what.image, &session.fetcher()?)?;
    let root = opened.root()?;
    let path = args.what.path.as_bytes();
    let found = root.stat(path)?.ok_or_else(|| missing(path))?;
    let mut rows = Vec::new();
    if found.kind == FileKind::Directory {
        directory(root, path, args.recursive, &mut rows)?;
    } else {
        rows.push(row(root, path)?);
    }
    print(&rows, args, session)
}

fn directory(root: &Root, path: &[u8], recursive: bool, rows: &mut Vec<Row>) -> Result<()> {
    for entry in root.read_dir(path)? {
        let separator: &[u8] = if path.ends_with(b"/") { b"" } else { b"/" };
        let path = [path, separator, &entry.name].concat();
        rows.push(row(root, &path)?);
        if recursive && entry.kind == FileKind::Directory {
            directory(root, &path, recursive, rows)?;
        }
    }
    Ok(())
}

fn row(root: &Root, path: &[u8]) -> Result<Row> {
    let Metadata { kind, size, attributes, links, .. } =
        root.lstat(path)?.ok_or_else(|| missing(path))?;
    let target = match kind {
        FileKind::Symlink => Some(lossy(&root.read_link(path)?)),
        _ => None,
    };
    Ok(Row {
        path: lossy(path),
        kind: match kind {
            FileKind::File => "file",
            FileKind::Directory => "directory",
            FileKind::Symlink => "symlink",
            FileKind::Special => "special",
        },
        mode: format!("{:04o}", attributes.mode),
        links,
        uid: attributes.uid,
        gid: attributes.gid,
        size,
        mtime: attributes.mtime,
        target,
    })
}

fn print(rows: &[Row], args: &Args, session: &Session) -> Result<()> {
    if session.ui.json() {
        return rows.iter().try_for_each(|row| session.ui.json_line(row));
    }
    let shown = |row: &Row| match row.path.rsplit_once('/') {
        Some((_, name)) if !args.recursive => name.to_owned(),
        _ => row.path.clone(),
    };
    if !args.long {
        let lines: String = rows.iter().map(|row| shown(row) + "\n").collect();
        return session.ui.text(lines);
    }
    let mut table = Table::new(&["MODE", "LINKS", "UID", "GID", "SIZE", "MODIFIED", "NAME"]);
    for row in rows {
        let kind = match row.kind {
            "directory" => 'd',
            "symlink" => 'l',
            "special" => '?',
            _ => '-',
        };
        let name = match &row.target {
            Some(target) => format!("{} -> {target}", shown(row)),
            None => shown(row),
        };
        let cells = [row.links, row.uid, row.gid].map(|n| n.to_string());
        let modified = jiff::Timestamp::from_second(row.mtime).map_or_else(
            |_| row.mtime.to_string(),
            |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        );
        let [links, uid, gid] = cells;
        let mode = format!("{kind}{}", row.mode);
        table.row([mode, links, uid, gid, row.size.to_string(), modified, name]);
    }
    session.ui.text(table.render())
}
