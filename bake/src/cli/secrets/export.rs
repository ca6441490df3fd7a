//! `bake secrets export`

use std::path::PathBuf;

use serde_json::Value;

use super::refuse_readers;
use crate::cli::Session;
use crate::cli::cluster::Which;
use crate::error::{Error, Result};
use crate::io::private::{self, Existing};
use crate::io::sealed::{self, Lock};
use crate::profile::{ClusterSecrets, SecretsFile};

const EXAMPLES: &str = "\
Examples:
  bake secrets export --profile master3 --out backup.age --recipient age1…     a backup
  bake secrets export --profile master3 --only agent_token --out token         for another tool
  bake secrets export --profile master3 --only agent_token --out - | tool      without a file

Clear text is not written to a terminal (`bake secrets show --reveal` is for reading), nor through
standard output to a file that others can read.";

/// Arguments of `bake secrets export`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Output, for its owner alone (mode 0600); `-` is standard output
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// Replace the output where it exists
    #[arg(long)]
    force: bool,
    /// Only this part of the file: `agent_token`, `pki.k3s.server.certificate`
    #[arg(long, value_name = "KEY")]
    only: Option<String>,
    /// Encrypt the output for this public key (repeatable); without, it is clear text
    #[arg(long = "recipient", short, value_name = "KEY")]
    recipients: Vec<String>,
}

impl Args {
    /// Whether what is asked for has a secret in it, and not certificates and names alone.
    fn is_secret(&self, file: &SecretsFile) -> Result<bool> {
        let Some(key) = &self.only else { return Ok(true) };
        let of = |secrets: &ClusterSecrets| part(secrets.to_json().as_bytes(), key);
        Ok(of(file.secrets())? != of(&file.secrets().redacted())?)
    }
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let (_, file) = args.which.look(session)?;
    let mut bytes = match &args.only {
        None => file.secrets().to_json(),
        Some(key) => part(file.secrets().to_json().as_bytes(), key)?.into(),
    };
    if args.out.as_os_str() == "-" && args.recipients.is_empty() && args.is_secret(&file)? {
        refuse_readers("export secrets in clear text", false).map_err(|e| {
            e.hint("`--out FILE` writes a file for its owner alone, `--recipient` encrypts")
        })?;
    }
    if !args.recipients.is_empty() {
        let sealed = sealed::seal(bytes.as_bytes(), &Lock::of(&args.recipients)?)?;
        bytes = String::from_utf8_lossy(&sealed).into_owned().into();
    }
    if args.out.as_os_str() == "-" {
        return session.ui.data(bytes.as_bytes());
    }
    let existing = if args.force { Existing::Replace } else { Existing::Keep };
    private::write(&args.out, bytes.as_bytes(), existing)?;
    if session.ui.json() {
        return session.ui.json_line(&serde_json::json!({"path": args.out, "only": args.only}));
    }
    let clear = if args.recipients.is_empty() { "clear text" } else { "encrypted" };
    let what = args.only.as_deref().unwrap_or("all secrets");
    session.ui.line(format!("{}: {what}, {clear}", args.out.display()))
}

/// The value at a dotted key, as text where it is text.
fn part(json: &[u8], key: &str) -> Result<String> {
    let missing = || {
        Error::NotFound { what: "key of the secrets", name: key.into() }
            .hint("`bake secrets show --json` has them all")
    };
    let all: Value = serde_json::from_slice(json).map_err(|_| missing())?;
    match all.pointer(&format!("/{}", key.replace('.', "/"))) {
        Some(Value::String(text)) if text.ends_with('\n') => Ok(text.clone()),
        Some(Value::Null) | None => Err(missing()),
        Some(Value::String(text)) => Ok(format!("{text}\n")),
        Some(other) => Ok(format!("{other:#}\n")),
    }
}
