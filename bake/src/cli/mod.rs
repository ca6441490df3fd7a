//! The command line: one file a verb, each with its arguments and one `run`.

pub mod apply;
pub mod build;
pub mod cache;
pub mod cat;
pub mod cluster;
pub mod completions;
pub mod cp;
pub mod diff;
pub mod edit;
pub mod flash;
pub mod fleet;
pub mod image_path;
pub mod images;
pub mod inspect;
pub mod kubeconfig;
pub mod lock;
pub mod ls;
pub mod man;
pub mod materials;
mod passphrase;
pub mod personalise;
pub mod profile;
pub mod rebuild;
pub mod release;
pub mod remove;
pub mod secrets;
pub mod status;
pub mod verify;
pub mod writing;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::catalogue;
use crate::error::{Error, Exit, IoContext, Result};
use crate::fetch::{Cache, Fetcher, Options};
use crate::io::sealed::Keys;
use crate::sys::interrupt::Cancel;
use crate::sys::memory;
use crate::ui::{Style, Ui};

const EXAMPLES: &str = "\
Examples:
  bake --profile master3 --out node1.img    the first of three servers
  bake profile show master3                 what every node gets
  bake ls node1.img:/etc/bake               look inside, without mounting

Exit status: 0 done, 1 failed, 2 the request is wrong, 3 bytes are not what they must be, 4 refused
because it could destroy something, 130 interrupted";

/// Turn a Raspberry Pi OS or Ubuntu image into a K3s node.
///
/// Without a verb, `bake` bakes one node of a profile, without root, mounts, loop devices,
/// containers or virtual machines.
#[derive(Debug, Parser)]
#[command(name = "bake", version, subcommand_negates_reqs = true, max_term_width = 100)]
#[command(help_expected = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    build: build::Args,
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// Options every verb understands.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// Folder of downloaded and decompressed images [default: the user's cache folder]
    #[arg(long, global = true, value_name = "DIR", env = "BAKE_CACHE_DIR", hide_env_values = true)]
    pub cache_dir: Option<PathBuf>,
    /// Use only what is in the cache
    #[arg(long, global = true)]
    pub offline: bool,
    /// Fetch from here instead of the hosts in the catalogue
    #[arg(long, global = true, value_name = "URL")]
    pub mirror: Option<String>,
    /// Public keys (OpenPGP) that base images may be signed by, besides those bake has (repeatable)
    #[arg(long, global = true, value_name = "FILE")]
    pub keyring: Vec<PathBuf>,
    /// Refuse base images whose publisher's signature was not verified
    #[arg(long, global = true)]
    pub require_signature: bool,
    /// Print events and results as JSON, one object a line, on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Print only warnings, errors and the outcome
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print more about what is being done
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Private key (age identity) that opens encrypted secrets (repeatable)
    #[arg(long = "identity", global = true, value_name = "FILE")]
    #[arg(env = "BAKE_AGE_IDENTITY", hide_env_values = true)]
    pub identities: Vec<PathBuf>,
    /// Open file to read the passphrase of encrypted secrets from [default: ask]
    #[arg(long, global = true, value_name = "FD")]
    pub passphrase_fd: Option<u32>,
}

/// What a verb works with besides its own arguments.
#[derive(Debug)]
pub struct Session {
    /// The common options as given.
    pub common: Common,
    /// Where everything is printed.
    pub ui: Ui,
    /// Set when the user or the system asks us to stop.
    pub cancel: Cancel,
    keys: Keys,
}

impl Session {
    /// Fetches as the common options say, and tells this session's face about it.
    ///
    /// # Errors
    /// A malformed `--mirror`; no cache folder to be found.
    pub fn fetcher(&self) -> Result<Fetcher<'_>> {
        let Common { cache_dir, offline, mirror, keyring, require_signature, .. } = &self.common;
        let mirror = mirror.as_deref().map(Options::parse_mirror).transpose()?;
        let options = Options {
            offline: *offline,
            mirror,
            keyring: catalogue::keyring(keyring)?,
            require_signature: *require_signature,
            cancel: self.cancel.clone(),
            ..Options::default()
        };
        Ok(Fetcher::new(Cache::open(cache_dir.as_deref())?, options, &self.ui))
    }

    /// The keys that the common options name, for encrypted secrets. Every call gives the same
    /// ones, so that nobody is asked twice.
    #[must_use]
    pub fn keys(&self) -> Keys {
        self.keys.clone()
    }
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Bake all nodes of a profile
    Fleet(fleet::Args),
    /// Make a node's image from a golden image and a delta
    Apply(apply::Args),
    /// List, show, download, verify and import base images
    Images(images::Args),
    /// See and prune what has been downloaded
    Cache(cache::Args),
    /// Check, show and write profiles
    Profile(profile::Args),
    /// Write nodes, or an image file, to cards
    Flash(flash::Args),
    /// Pin what a profile's images are made of, by digest
    Lock(lock::Args),
    /// Make an image again from its attestation, and compare
    Rebuild(rebuild::Args),
    /// Show what an image is, what is in it, and what was baked into it
    Inspect(inspect::Args),
    /// List files inside an image
    Ls(ls::Args),
    /// Print files inside an image
    Cat(cat::Args),
    /// Copy files out of an image, or one file into it
    Cp(cp::Args),
    /// Edit the files of an image by a script, all or nothing
    Edit(edit::Args),
    /// Compare the files of two images
    Diff(diff::Args),
    /// Check that an image is sound, as it was baked, and the node that is meant
    Verify(verify::Args),
    /// Make what a download page needs: images without secrets, digests, signature, lists
    Release(release::Args),
    /// Make a release image the node that is meant
    Personalise(personalise::Args),
    /// Write a kubeconfig for a cluster, even before any of its boards has booted
    Kubeconfig(kubeconfig::Args),
    /// Show how a cluster is, node by node
    Status(status::Args),
    /// Take a node out of a cluster for good
    Remove(remove::Args),
    /// Encrypt, look at, pass on and rotate a cluster's secrets
    Secrets(secrets::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
    /// Write the manual pages
    Man(man::Args),
}

/// Runs the command line of this process; everything it has to say has been said on return.
#[must_use]
pub fn main() -> ExitCode {
    memory::keep_private();
    let (cli, stray) = match parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(error) if error.use_stderr() && std::env::args_os().any(|word| word == "--json") => {
            let style = Style { json: true, ..Style::default() };
            return Ui::new(style).fail(&Error::Usage(in_short(&error)));
        }
        Err(error) => {
            // Standard error gone means nobody is reading.
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8));
        }
    };
    let style =
        Style { json: cli.common.json, quiet: cli.common.quiet, verbose: cli.common.verbose };
    let cancel = match Cancel::on_signals().at("catching", "signals") {
        Ok(cancel) => cancel,
        Err(error) => return Ui::new(style).fail(&error),
    };
    let keys = passphrase::keys(&cli.common, &cancel);
    let session = Session { common: cli.common, ui: Ui::new(style), cancel, keys };
    let outcome = match (&cli.verb, stray) {
        (Some(_), Some(option)) => Err(Error::Usage(format!(
            "`{option}` belongs to baking a node and means nothing to this verb"
        ))),
        (verb, _) => dispatch(verb.as_ref(), &cli.build, &session),
    };
    match outcome {
        Ok(()) => ExitCode::from(Exit::Done as u8),
        Err(error) => session.ui.fail(&error),
    }
}

fn dispatch(verb: Option<&Verb>, build: &build::Args, session: &Session) -> Result<()> {
    match verb {
        None => build::run(build, session),
        Some(Verb::Fleet(args)) => fleet::run(args, session),
        Some(Verb::Apply(args)) => apply::run(args, session),
        Some(Verb::Images(args)) => images::run(args, session),
        Some(Verb::Cache(args)) => cache::run(args, session),
        Some(Verb::Profile(args)) => profile::run(args, session),
        Some(Verb::Flash(args)) => flash::run(args, session),
        Some(Verb::Lock(args)) => lock::run(args, session),
        Some(Verb::Rebuild(args)) => rebuild::run(args, session),
        Some(Verb::Inspect(args)) => inspect::run(args, session),
        Some(Verb::Ls(args)) => ls::run(args, session),
        Some(Verb::Cat(args)) => cat::run(args, session),
        Some(Verb::Cp(args)) => cp::run(args, session),
        Some(Verb::Edit(args)) => edit::run(args, session),
        Some(Verb::Diff(args)) => diff::run(args, session),
        Some(Verb::Verify(args)) => verify::run(args, session),
        Some(Verb::Release(args)) => release::run(args, session),
        Some(Verb::Personalise(args)) => personalise::run(args, session),
        Some(Verb::Kubeconfig(args)) => kubeconfig::run(args, session),
        Some(Verb::Status(args)) => status::run(args, session),
        Some(Verb::Remove(args)) => remove::run(args, session),
        Some(Verb::Secrets(args)) => secrets::run(args, session),
        Some(Verb::Completions(args)) => completions::run(args, session),
        Some(Verb::Man(args)) => man::run(args, session),
    }
}

/// What is wrong with a command line, without how it should be.
fn in_short(error: &clap::Error) -> String {
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "the verb needs one more word: see `--help`".into();
    }
    let text = error.to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    first.trim_start_matches("error: ").to_owned()
}

/// The parsed line and, where a verb was given, an option before it that only baking has.
fn parse(
    line: impl IntoIterator<Item = impl Into<std::ffi::OsString> + Clone>,
) -> Result<(Cli, Option<String>), clap::Error> {
    let matches = Cli::command().try_get_matches_from(line)?;
    let own = build_options();
    let stray = matches
        .ids()
        .find(|id| {
            own.contains(id)
                && matches.value_source(id.as_str()) == Some(clap::parser::ValueSource::CommandLine)
        })
        .map(|id| format!("--{}", id.as_str().replace('_', "-")));
    Ok((Cli::from_arg_matches(&matches)?, stray))
}

fn build_options() -> Vec<clap::Id> {
    let alone = <build::Args as clap::Args>::augment_args(clap::Command::new("build"));
    alone.get_arguments().map(|a| a.get_id().clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_help_line_is_wider_than_the_page() {
        let mut commands = vec![Cli::command().term_width(80)];
        while let Some(mut command) = commands.pop() {
            let help = command.render_long_help().to_string();
            let long = help.lines().find(|l| l.chars().count() > 100);
            assert_eq!(long, None, "help of {}", command.get_name());
            commands.extend(command.get_subcommands().map(|c| c.clone().term_width(80)));
        }
    }
}
