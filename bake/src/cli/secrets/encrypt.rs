//! `bake secrets encrypt`

use std::path::PathBuf;

use super::kept;
use crate::cli::cluster::Which;
use crate::cli::{Session, passphrase};
use crate::error::{Error, IoContext, Result};
use crate::event::{Event, Sink};
use crate::io::sealed::Lock;
use crate::io::whole;
use crate::profile::{Origin, SecretsFile};

const EXAMPLES: &str = "\
Examples:
  age-keygen -o ~/.config/bake/key.txt               a key; it prints its recipient
  bake secrets encrypt --profile master3 --recipient age1…
  bake --profile master3 --out node1.img --identity ~/.config/bake/key.txt

Baking and all other verbs open the file in memory only, and write it back encrypted for the same
recipients. Encrypting again replaces them. Whoever knew the clear text still knows it: see
`bake secrets rotate`.";

/// Arguments of `bake secrets encrypt`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Public key that it is encrypted for (repeatable): age1…
    #[arg(long = "recipient", short, value_name = "KEY")]
    #[arg(required_unless_present_any = ["recipients_file", "passphrase"])]
    recipients: Vec<String>,
    /// File of public keys, one a line
    #[arg(long, value_name = "FILE")]
    recipients_file: Option<PathBuf>,
    /// Encrypt with a passphrase instead
    #[arg(long, conflicts_with_all = ["recipients", "recipients_file"])]
    passphrase: bool,
    /// Open file to read the new passphrase from [default: as the old one's]
    #[arg(long, value_name = "FD", requires = "passphrase")]
    new_passphrase_fd: Option<u32>,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    let (profile, path) = args.which.read(session)?;
    let (cluster, members, keys) = (profile.cluster(), profile.members(), session.keys());
    let (file, cleared) = if path.exists() {
        let mut file = SecretsFile::open(&path, cluster, &members, &keys)?;
        // The old passphrase is not the new one.
        let known = matches!(file.lock(), Some(Lock::Passphrase(_)));
        let clear = file.lock().is_none();
        file.relock(Some(args.lock(session, known)?))?;
        (file, clear)
    } else {
        let lock = args.lock(session, false)?;
        (SecretsFile::open_or_make(&path, cluster, &members, &keys, Some(lock))?, false)
    };
    let made = file.origin() == Origin::Created;
    if cleared {
        session.ui.emit(Event::Warning {
            message: "the disk's free space, snapshots and backups may still have the clear text"
                .into(),
        });
    }
    let lock = file.lock();
    if session.ui.json() {
        let recipients = &file.secrets().recipients;
        let by_passphrase = matches!(lock, Some(Lock::Passphrase(_)));
        let report = serde_json::json!({
            "path": path, "made": made, "recipients": recipients, "passphrase": by_passphrase
        });
        return session.ui.json_line(&report);
    }
    let new = if made { "new, " } else { "" };
    session.ui.line(format!("{}: {new}{}", path.display(), kept(lock)))
}

impl Args {
    /// The new lock; `known` where there was a passphrase already.
    fn lock(&self, session: &Session, known: bool) -> Result<Lock> {
        if self.passphrase {
            let old = session.common.passphrase_fd.filter(|_| !known);
            let fd = self.new_passphrase_fd.or(old);
            return passphrase::new(fd, !known, &session.cancel).map(Lock::Passphrase);
        }
        let mut all = self.recipients.clone();
        if let Some(path) = &self.recipients_file {
            let text = whole::read_text(path).at("reading", path)?;
            let lines = text.lines().map(str::trim);
            all.extend(lines.filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned));
            if all.is_empty() {
                let what = format!("{} has no public key in it", path.display());
                return Err(Error::Usage(what));
            }
        }
        Lock::of(&all)
    }
}
