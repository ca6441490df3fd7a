//! `bake cache`: see and prune what has been downloaded.

use std::time::Duration;

use clap::Subcommand;
use serde::Serialize;

use super::Session;
use crate::error::Result;
use crate::fetch::{Cache, Kind, Listed};
use crate::ui::Table;
use crate::units::human;

const DAY: u64 = 24 * 60 * 60;

/// Arguments of `bake cache`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show what is in the cache, newest use first
    List,
    /// Remove what was not used for a while, and what was left over
    Prune(Prune),
}

/// Arguments of `bake cache prune`.
#[derive(Debug, clap::Args)]
struct Prune {
    /// Remove what was not used for this long: 12h, 30d, 8w
    #[arg(long, value_name = "AGE", default_value = "30d", value_parser = age)]
    older_than: Duration,
    /// Keep this many base images, whatever their age
    #[arg(long, value_name = "N", default_value_t = 0)]
    keep: usize,
    /// Remove everything, whatever its age
    #[arg(long, conflicts_with_all = ["older_than", "keep"])]
    all: bool,
    /// Only say what would be removed
    #[arg(short = 'n', long)]
    dry_run: bool,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    kind: &'static str,
    name: &'a str,
    source: &'a str,
    source_sha256: String,
    sha256: Option<String>,
    bytes: Option<u64>,
    bytes_on_disk: u64,
    unused_seconds: u64,
    path: String,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let cache = Cache::open(session.common.cache_dir.as_deref())?;
    match &args.verb {
        Verb::List => list(&cache, session),
        Verb::Prune(prune) => self::prune(prune, &cache, session),
    }
}

fn list(cache: &Cache, session: &Session) -> Result<()> {
    let all = cache.list()?;
    if session.ui.json() {
        return all.iter().try_for_each(|entry| session.ui.json_line(&row(entry)));
    }
    let mut table = Table::new(&["KIND", "NAME", "ON DISK", "LAST USED", "SHA256"]);
    for entry in &all {
        let Row { kind, name, source_sha256, .. } = row(entry);
        let short = source_sha256.chars().take(16).collect();
        table.row([kind.into(), name.into(), human(entry.used), ago(entry.age()), short]);
    }
    session.ui.text(table.render())?;
    let total = all.iter().map(|e| e.used).sum();
    session.ui.line(format!("{} in {}", human(total), cache.root().display()))
}

fn prune(args: &Prune, cache: &Cache, session: &Session) -> Result<()> {
    let mut freed = 0;
    for entry in doomed(args, cache.list()?) {
        session.cancel.check()?;
        let done = args.dry_run || cache.remove(&entry)?;
        let Row { kind, name, .. } = row(&entry);
        if !done {
            session.ui.line(format!("kept {kind} {name}: another bake works on it"))?;
            continue;
        }
        freed += entry.used;
        if session.ui.json() {
            session.ui.json_line(&row(&entry))?;
        } else {
            let verb = if args.dry_run { "would remove" } else { "removed" };
            session.ui.line(format!("{verb} {kind} {name} ({})", human(entry.used)))?;
        }
    }
    if session.ui.json() {
        return Ok(());
    }
    let verb = if args.dry_run { "would be free" } else { "freed" };
    session.ui.line(format!("{} {verb}", human(freed)))
}

/// What goes: `all` is sorted by last use, the newest first.
fn doomed(args: &Prune, mut all: Vec<Listed>) -> Vec<Listed> {
    let mut bases = 0;
    all.retain(|entry| {
        bases += usize::from(entry.kind == Some(Kind::Base));
        let kept = entry.kind == Some(Kind::Base) && bases <= args.keep;
        args.all || (!kept && entry.age() >= args.older_than)
    });
    all
}

fn row(entry: &Listed) -> Row<'_> {
    let record = entry.record.as_ref();
    Row {
        kind: match entry.kind {
            Some(Kind::Base) => "base",
            Some(Kind::File) => "file",
            None => "unfinished",
        },
        name: record.map_or(&entry.key, |r| &r.name),
        source: record.map_or("", |r| &r.source),
        source_sha256: record.map_or_else(|| entry.key.clone(), |r| r.source_sha256.to_string()),
        sha256: record.map(|r| r.sha256.to_string()),
        bytes: record.map(|r| r.len),
        bytes_on_disk: entry.used,
        unused_seconds: entry.age().as_secs(),
        path: entry.path().display().to_string(),
    }
}

fn ago(age: Duration) -> String {
    match age.as_secs() {
        0..60 => "now".into(),
        seconds @ 60..3600 => format!("{} min ago", seconds / 60),
        seconds if seconds < 2 * DAY => format!("{} h ago", seconds / 3600),
        seconds => format!("{} days ago", seconds / DAY),
    }
}

/// Reads `12h`, `30d`, `8w`.
fn age(text: &str) -> std::result::Result<Duration, String> {
    let wrong = || format!("`{text}` is no age: write for example 12h, 30d or 8w");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "h" => 60 * 60,
        "d" => DAY,
        "w" => 7 * DAY,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read() {
        assert_eq!(age("12h"), Ok(Duration::from_secs(12 * 3600)));
        assert_eq!(age("30d"), Ok(Duration::from_secs(30 * DAY)));
        assert_eq!(age("0d"), Ok(Duration::ZERO));
        for text in ["", "d", "30", "1.5d", "-1d", "9y", "99999999999999999999w", "ü"] {
            assert!(age(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ages_are_shown() {
        assert_eq!(ago(Duration::from_secs(59)), "now");
        assert_eq!(ago(Duration::from_secs(3599)), "59 min ago");
        assert_eq!(ago(Duration::from_secs(47 * 3600)), "47 h ago");
        assert_eq!(ago(Duration::from_secs(49 * 3600)), "2 days ago");
    }
}
