//! `bake secrets show`

use std::fmt::Write as _;
use std::io::IsTerminal;

use super::{kept, refuse_readers};
use crate::cli::Session;
use crate::cli::cluster::Which;
use crate::error::{Error, Result};
use crate::profile::{ClusterSecrets, SecretsFile};

const EXAMPLES: &str = "\
Examples:
  bake secrets show --profile master3             whose they are, how they are kept, which nodes
  bake secrets show --profile master3 --json      all of it, with [redacted] for every secret
  bake secrets show --profile master3 --reveal    all of it, to be read on this terminal";

/// Arguments of `bake secrets show`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Leave the secrets out (this is what it does anyway)
    #[arg(long)]
    redacted: bool,
    /// Show the secrets: on a terminal alone, or `always`, but never into a file that others can read
    #[arg(long, value_name = "WHEN", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "terminal", conflicts_with = "redacted")]
    reveal: Option<When>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum When {
    /// Where a person reads it
    Terminal,
    /// Into files and pipes too
    Always,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let (_, file) = args.which.look(session)?;
    let secrets = file.secrets();
    let Some(when) = args.reveal else {
        let redacted = secrets.redacted();
        if session.ui.json() {
            return session.ui.json_line(&redacted);
        }
        return session.ui.text(summary(&file, &redacted));
    };
    if when == When::Terminal && !std::io::stdout().is_terminal() {
        let reason = "standard output is not a terminal".into();
        return Err(Error::Refused { action: "show the secrets".into(), reason }
            .hint("`--reveal=always` shows them to whatever reads this; `bake secrets export` writes a file"));
    }
    refuse_readers("show the secrets", true)
        .map_err(|e| e.hint("`bake secrets export` writes a file for its owner alone"))?;
    if session.ui.json() {
        session.ui.json_line(secrets)
    } else {
        session.ui.data(secrets.to_json())
    }
}

fn summary(file: &SecretsFile, secrets: &ClusterSecrets) -> String {
    let made =
        i64::try_from(secrets.created).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
    let made = made.map_or_else(|| "never".to_owned(), |time| time.to_string());
    let mut text = format!(
        "cluster  {} ({})\nfile     {}\nkept     as {}\nmade     {made}\n",
        secrets.cluster,
        secrets.id,
        file.path().display(),
        kept(file.lock()),
    );
    for (name, record) in &secrets.nodes {
        let kind = if record.votes { "server" } else { "agent or database" };
        let baked = if record.inputs.is_some() { "baked" } else { "never baked" };
        let _ = writeln!(text, "node     {name}: {kind}, card {}, {baked}", record.incarnation);
    }
    if let Some(next) = &secrets.next {
        let _ = writeln!(text, "rotation of the {} is under way", next.what().name());
    }
    text +=
        "tokens, passwords and keys are not shown: `--reveal` shows them, `--json` all the rest\n";
    text
}
