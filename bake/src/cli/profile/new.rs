//! `bake profile new`

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::Session;
use crate::error::{Error, IoContext, Result};
use crate::profile::SHIPPED;

/// Arguments of `bake profile new`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the profile and of its cluster
    name: String,
    /// The profile to start from
    #[arg(long, default_value = "master3", value_parser = SHIPPED.map(|(name, _)| name))]
    template: String,
    /// Where to write it [default: profiles/NAME.yaml]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    if !nodeconf::names::is_label(&args.name) {
        let message = format!("`{}` cannot name a cluster", args.name);
        return Err(
            Error::Usage(message).hint("use 1 to 63 of a-z, 0-9 and `-`, with no `-` at the ends")
        );
    }
    let usual = || Path::new("profiles").join(format!("{}.yaml", args.name));
    let path = args.out.clone().unwrap_or_else(usual);
    let template = SHIPPED.iter().find(|(name, _)| *name == args.template);
    let (_, template) = template
        .ok_or_else(|| Error::NotFound { what: "template", name: args.template.clone() })?;
    write(&path, &fill(template, &args.template, &args.name))?;
    if session.ui.json() {
        return session.ui.json_line(&serde_json::json!({"name": args.name, "file": path}));
    }
    let check = if args.out.is_none() { args.name.clone() } else { path.display().to_string() };
    session.ui.line(format!(
        "{}: change the addresses, then `bake profile check {check}`",
        path.display()
    ))
}

/// The template as a profile of the user's: its name in the commands shown, no advice to copy it.
fn fill(template: &str, old: &str, new: &str) -> String {
    let lines = template.lines().filter(|line| !line.starts_with("# To make it yours:"));
    let mut text = String::new();
    for line in lines {
        if line.starts_with("#   bake --profile ") {
            text += &line.replacen(old, new, 1);
        } else if line.trim_end() == "  name: edge" {
            text += &format!("  name: {new}");
        } else {
            text += line;
        }
        text.push('\n');
    }
    // The advice had an empty comment line above it.
    text.replacen("\n#\nversion:", "\nversion:", 1)
}

/// Creates the file with its folder, whole or not at all, never over another.
fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).at("creating", folder)?;
    #[cfg_attr(not(unix), expect(unused_mut, reason = "elsewhere nothing is set"))]
    let mut builder = tempfile::Builder::new();
    // As any new file: temporary files are private unless told otherwise.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).at("creating a file in", folder)?;
    file.write_all(text.as_bytes()).at("writing", path)?;
    file.as_file().sync_all().at("syncing", path)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(e) if e.error.kind() == std::io::ErrorKind::AlreadyExists => Err(Error::Refused {
            action: format!("overwrite {}", path.display()),
            reason: "it exists".into(),
        }
        .hint("choose another name, or `--out FILE`")),
        Err(e) => Err(Error::io("creating", path, e.error)),
    }
}
