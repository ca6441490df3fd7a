//! The staged packages are installed, offline and without questions.
//!
//! Configuration that was baked stays: dpkg keeps what it finds (`--force-confold`). A power cut
//! in the middle of dpkg leaves packages unpacked; the next run takes them again. Once all are
//! installed the staged files go, for the room they take.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nodeconf::{Package, paths};

use super::Context;
use crate::finding::{Condition, Finding};
use crate::sys::{Command, CommandError, Sys};

/// dpkg may take this long for one batch: PostgreSQL on a slow card takes minutes.
const INSTALL: Duration = Duration::from_secs(40 * 60);
/// Reading all staged files once.
const HASH: Duration = Duration::from_secs(10 * 60);
/// How long unattended upgrades and their kin may hold dpkg's lock before we say so and begin
/// anew.
const LOCKED: Duration = Duration::from_secs(10 * 60);
const PAUSE: Duration = Duration::from_secs(2);

pub(super) fn check(ctx: &Context) -> Result<Finding, Condition> {
    let missing = missing(ctx)?;
    if let Some((package, state)) = missing.first() {
        if !staged(ctx.sys, package)? {
            return Ok(Finding::Blocked(Condition::new(
                format!("{} is {state}, and its staged file is gone", package.name),
                format!("install it (apt-get install {}), or flash the card again", package.name),
            )));
        }
        let others = missing.len() - 1;
        let more = if others == 0 { String::new() } else { format!(", and {others} more") };
        return Ok(Finding::Unmet(Condition::new(
            format!("{} is {state}{more}", package.name),
            "it is installed from the card",
        )));
    }
    for package in &ctx.config.packages {
        if staged(ctx.sys, package)? {
            let what = format!("{} holds packages that are installed", paths::PACKAGES);
            return Ok(Finding::Unmet(Condition::new(what, "they are removed")));
        }
    }
    Ok(Finding::Met)
}

pub(super) fn apply(ctx: &Context) -> Result<(), Condition> {
    let mut missing = missing(ctx)?;
    if !missing.is_empty() {
        verify(ctx.sys, &packages(&missing))?;
        finish_interrupted(ctx)?;
    }
    while let Err(condition) = install(ctx, &packages(&missing)) {
        // A package whose unpacking was cut short runs its scripts as for an upgrade, which may
        // need what this very run brought (postgresql-15 reads a file of postgresql-common).
        let before = std::mem::replace(&mut missing, self::missing(ctx)?);
        if missing.is_empty() || missing.len() >= before.len() {
            return Err(condition);
        }
        ctx.report.note(&condition.what);
    }
    remove_staged(ctx)
}

fn packages<'c>(missing: &[(&'c Package, String)]) -> Vec<&'c Package> {
    missing.iter().map(|(package, _)| *package).collect()
}

/// Which of the configured packages are not installed, and what they are instead.
fn missing<'c>(ctx: &Context<'c>) -> Result<Vec<(&'c Package, String)>, Condition> {
    let known = known(ctx.sys)?;
    let mut found = Vec::new();
    for package in &ctx.config.packages {
        match known.get(package.name.as_str()) {
            None => found.push((package, "not installed".to_owned())),
            Some((state, version)) if state == "installed" => {
                if *version != package.version && older(ctx.sys, version, package)? {
                    found.push((package, format!("of the older version {version}")));
                }
            }
            Some((state, _)) => found.push((package, state.replace('-', " "))),
        }
    }
    Ok(found)
}

/// State and version of every package that dpkg knows for the board's own architecture.
fn known(sys: &dyn Sys) -> Result<BTreeMap<String, (String, String)>, Condition> {
    let format = "--showformat=${Package} ${db:Status-Status} ${Version}\n";
    let out = sys.run(&Command::new("dpkg-query", ["--show", format]))?;
    let line = |line: &str| {
        let mut words = line.split_whitespace().map(str::to_owned);
        Some((words.next()?, (words.next()?, words.next().unwrap_or_default())))
    };
    Ok(out.lines().filter_map(line).collect())
}

fn older(sys: &dyn Sys, version: &str, package: &Package) -> Result<bool, Condition> {
    let compare = ["--compare-versions", version, "lt", package.version.as_str()];
    match sys.run(&Command::new("dpkg", compare)) {
        Ok(_) => Ok(true),
        Err(CommandError::Failed { code: Some(1), .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn file(package: &Package) -> PathBuf {
    Path::new(paths::PACKAGES).join(&package.file)
}

fn staged(sys: &dyn Sys, package: &Package) -> Result<bool, Condition> {
    match sys.stat(&file(package)) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Condition::io(format!("looking for {}", file(package).display()), &e)),
    }
}

/// Holds each file against its digest: a card may have lost bits on the way.
fn verify(sys: &dyn Sys, packages: &[&Package]) -> Result<(), Condition> {
    let mut sum = Command::new("sha256sum", ["--"]);
    sum.args.extend(packages.iter().map(|p| file(p).display().to_string()));
    sum.timeout = HASH;
    let out = sys.run(&sum)?;
    let mut found = out.lines().map(|line| line.split_whitespace().next().unwrap_or_default());
    for package in packages {
        if found.next() != Some(package.sha256.as_str()) {
            return Err(Condition::new(
                format!("{} is damaged", file(package).display()),
                "the card is unsound or was changed: flash it again, or use another one",
            ));
        }
    }
    Ok(())
}

/// Configures what an earlier power cut left unpacked. What needs a package that comes only now
/// cannot be configured yet, so a failure is no end.
fn finish_interrupted(ctx: &Context) -> Result<(), Condition> {
    let halfway = |state: &str| matches!(state, "unpacked" | "half-configured" | "half-installed");
    if known(ctx.sys)?.values().any(|(state, _)| halfway(state)) {
        match dpkg(ctx, ["--configure", "--pending"].map(str::to_owned).to_vec()) {
            Ok(()) => {}
            Err(condition) => ctx.report.note(&condition.what),
        }
    }
    Ok(())
}

/// Installs `packages` in their order, a batch at a time.
fn install(ctx: &Context, packages: &[&Package]) -> Result<(), Condition> {
    for batch in packages.chunk_by(|a, b| a.batch == b.batch) {
        let mut args = vec!["--install".to_owned()];
        args.extend(batch.iter().map(|package| file(package).display().to_string()));
        dpkg(ctx, args)?;
    }
    Ok(())
}

/// Runs dpkg, waiting while another has its lock: on their first boot Ubuntu and Raspberry Pi OS
/// like to upgrade themselves.
fn dpkg(ctx: &Context, args: Vec<String>) -> Result<(), Condition> {
    let mut dpkg = Command::new("dpkg", ["--force-confdef", "--force-confold"]);
    dpkg.args.extend(args);
    dpkg.timeout = INSTALL;
    dpkg.env = vec![
        ("DEBIAN_FRONTEND", "noninteractive"),
        ("DEBCONF_NONINTERACTIVE_SEEN", "true"),
        ("UCF_FORCE_CONFFOLD", "1"),
        ("APT_LISTCHANGES_FRONTEND", "none"),
        ("NEEDRESTART_SUSPEND", "1"),
    ];
    let begun = ctx.sys.uptime();
    loop {
        let error = match ctx.sys.run(&dpkg) {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let condition = explain(error);
        let waited = ctx.sys.uptime().saturating_sub(begun);
        if condition.remedy != AWAIT_LOCK || waited >= LOCKED {
            return Err(condition);
        }
        ctx.report.waiting(crate::machine::StepId::Packages, &condition);
        ctx.sys.sleep(PAUSE);
    }
}

const AWAIT_LOCK: &str = "it goes on when that program is done";

/// What dpkg's complaint means. Only the end of it is kept, which names what failed.
fn explain(error: CommandError) -> Condition {
    let CommandError::Failed { stderr: Some(said), .. } = &error else {
        return match error {
            CommandError::Timeout { limit, .. } => Condition::new(
                format!("dpkg did not end within {} min", limit.as_secs() / 60),
                "it is tried again; if it stays, the card is too slow or unsound",
            ),
            other => other.into(),
        };
    };
    if said.contains("lock") && said.contains("another process") {
        return Condition::new("another program is installing packages", AWAIT_LOCK);
    }
    if said.contains("No space left on device") {
        return Condition::new(
            "there is no room to install packages",
            "free some space; it goes on by itself",
        );
    }
    Condition::new(
        format!("dpkg could not install packages: {said}"),
        "it is tried again; `dpkg --audit` tells more",
    )
}

fn remove_staged(ctx: &Context) -> Result<(), Condition> {
    if let Some((package, state)) = missing(ctx)?.first() {
        return Err(Condition::new(
            format!("{} is still {state} after dpkg ran", package.name),
            "it is tried again; `dpkg --audit` tells more",
        ));
    }
    for package in &ctx.config.packages {
        match ctx.sys.remove(&file(package)) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => {
                return Err(Condition::io(format!("removing {}", file(package).display()), &e));
            }
        }
    }
    let folder = Path::new(paths::PACKAGES);
    ctx.sys.sync_dir(folder).map_err(|e| Condition::io("removing installed packages", &e))
}
