//! Cards from an image file: one of ours, which becomes a further card of its node, or any other,
//! which is written as it is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nodeconf::{NodeConfig, paths};

use super::stamp::stamp;
use super::{Content, Held, Ledger, Subject, Supply};
use crate::delta::Delta;
use crate::emit::in_place;
use crate::error::{Error, Result};
use crate::event::{Event, Sink};
use crate::fetch::Fetcher;
use crate::io::digest::Sha256;
use crate::io::private::folder;
use crate::io::sealed::Keys;
use crate::job::open::{Opened, lock, open_source};
use crate::profile::{ClusterSecrets, SecretsFile};
use crate::provenance;
use crate::store::FileSource;
use crate::sys::interrupt::Cancel;

/// An image file that cards are made from.
#[derive(Debug)]
pub struct FromImage {
    opened: Mutex<Opened>,
    path: PathBuf,
    node: Option<Ours>,
}

/// An image file that is a node of ours.
#[derive(Debug)]
struct Ours {
    config: NodeConfig,
    ledger: Ledger,
    _held: Held,
    secrets: Option<Mutex<SecretsFile>>,
    /// The newest incarnation that this run made a card of.
    made: Mutex<Option<u32>>,
}

/// What else is known of an image file.
#[derive(Debug, Clone, Copy, Default)]
pub struct Origin<'a> {
    /// What its SHA-256 must be.
    pub sha256: Option<Sha256>,
    /// A node's delta, where the file is a golden image.
    pub delta: Option<&'a Path>,
    /// The secrets of its cluster; else they are looked for beside it and in the current folder.
    pub secrets: Option<&'a Path>,
    /// What opens them where they are encrypted.
    pub keys: Option<&'a Keys>,
}

impl FromImage {
    /// Opens an image file, unpacked through the cache where it is compressed, and finds the
    /// secrets of the cluster that it belongs to.
    ///
    /// # Errors
    /// What opening fails with; [`Error::Verification`] where a digest differs, or the delta is
    /// another image's; [`Error::Refused`] where the secrets are another
    /// cluster's, another run makes cards of the node, or one that changed the image was ended;
    /// [`Error::Usage`] for a release image or a golden one alone, which no board can be.
    pub fn open(
        path: &Path,
        from: &Origin<'_>,
        fetcher: &Fetcher<'_>,
        cancel: &Cancel,
    ) -> Result<Self> {
        let Origin { sha256, delta, secrets, keys } = *from;
        let keys = keys.cloned().unwrap_or_default();
        in_place::settled(path)?;
        let base = fetcher.local_base(path, sha256)?;
        let source = Arc::new(FileSource::of_file(base.file, &base.path)?);
        let (path, opened) = match delta {
            None => (path, open_source(path, source)?),
            Some(file) => {
                let delta = Delta::open(file)?;
                delta.check(&*source, path, cancel)?;
                let (image, _) = delta.onto(source)?;
                (file, Opened::new(file, Arc::new(Mutex::new(image)))?)
            }
        };
        let node = match config(&opened)? {
            Some(config) => Some(Ours::find(path, config, secrets, &keys)?),
            None => {
                not_nobodys(&opened, path)?;
                None
            }
        };
        Ok(Self { opened: Mutex::new(opened), path: path.to_owned(), node })
    }

    /// Name of the node that the image is, where it is one of ours.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        self.node.as_ref().map(|ours| ours.config.node.name.as_str())
    }

    /// The ledger of its cluster, where it is a node of ours.
    #[must_use]
    pub fn ledger(&self) -> Option<&Ledger> {
        self.node.as_ref().map(|ours| &ours.ledger)
    }
}

/// The node that an image is, where it is one of ours.
fn config(opened: &Opened) -> Result<Option<NodeConfig>> {
    let Ok(root) = opened.root() else { return Ok(None) };
    let Some(json) = root.read(paths::NODE_CONFIG.as_bytes(), 1 << 20)? else { return Ok(None) };
    let corrupt = |e: nodeconf::Error| Error::Corrupt {
        what: format!("{}:{}", opened.path.display(), paths::NODE_CONFIG),
        reason: e.to_string(),
    };
    NodeConfig::parse(&json).map(Some).map_err(corrupt)
}

/// Refuses an image that everything but a node was baked into.
fn not_nobodys(opened: &Opened, path: &Path) -> Result<()> {
    let Ok(root) = opened.root() else { return Ok(()) };
    let Some(record) = provenance::read(root)? else { return Ok(()) };
    if record.node.name.is_some() {
        return Ok(());
    }
    let profile = record.node.profile;
    let message = format!("{} is what nodes of {profile} share, and no node yet", path.display());
    Err(Error::Usage(message)
        .hint("a golden image of `bake fleet --deltas` takes `--delta FILE` as well")
        .hint("a release image becomes a node on its way to the card: `--profile P --node N`"))
}

impl Ours {
    fn find(image: &Path, config: NodeConfig, secrets: Option<&Path>, keys: &Keys) -> Result<Self> {
        let cluster = &config.cluster;
        let known = |path: &Path| {
            let found = SecretsFile::peek(path, &cluster.name, keys)?;
            Ok::<bool, Error>(found.is_some_and(|secrets: ClusterSecrets| secrets.id == cluster.id))
        };
        let path = match secrets {
            Some(path) if known(path)? => Some(path.to_owned()),
            Some(path) => {
                let action = format!("flash {} with {}", image.display(), path.display());
                let reason = "they are not the secrets of its cluster".to_owned();
                return Err(Error::Refused { action, reason });
            }
            None => [folder(image), Path::new(".")]
                .into_iter()
                .flat_map(secrets_in)
                .find(|path| known(path).unwrap_or(false)),
        };
        let (ledger, secrets) = match path {
            Some(path) => {
                let ledger = Ledger::beside(&path, &cluster.id)?;
                let secrets = SecretsFile::open(&path, &cluster.name, &[], keys)?;
                (ledger, Some(Mutex::new(secrets)))
            }
            None => {
                let path = image.with_file_name(format!("{}.flashed.json", cluster.name));
                (Ledger::at(path, &cluster.id)?, None)
            }
        };
        let _held = Held::take(&ledger, &BTreeSet::from([config.node.name.as_str()]))?;
        Ok(Self { config, ledger, _held, secrets, made: Mutex::default() })
    }

    /// The incarnation of the next card: that of the image for its first, a higher one for every
    /// later card.
    fn claim(&self, image: &Path) -> Result<u32> {
        let node = &self.config.node;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = self.ledger.newest(&node.name)?.max(*made);
        if newest.is_none_or(|newest| newest < node.incarnation) {
            *made = Some(node.incarnation);
            return Ok(node.incarnation);
        }
        let Some(secrets) = &self.secrets else {
            let action = format!("flash {} once more", image.display());
            let reason = format!(
                "a card of {} was flashed before, and the cluster's secrets, which count them, are \
                 not here",
                node.name
            );
            return Err(Error::Refused { action, reason }
                .hint("name them with `--secrets FILE`, or bake the node anew with `--replace`"));
        };
        let mut secrets = secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let raised = secrets.raise(&node.name, newest.unwrap_or(0).max(node.incarnation))?;
        *made = Some(raised);
        Ok(raised)
    }
}

fn secrets_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.map(|e| e.path());
    named.filter(|p| p.to_string_lossy().ends_with(".secrets.json")).collect()
}

impl Supply for FromImage {
    fn make(&self, node: Option<&str>, sink: &dyn Sink, _: &Cancel) -> Result<Content> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = node.filter(|node| Some(*node) != self.node()) {
            return Err(Error::Usage(format!("{} is not {node}", self.path.display())));
        }
        let image = Arc::new(Mutex::new(lock(opened.image()).fork()));
        let Some(ours) = &self.node else {
            let message = format!(
                "{} is no node that bake made: it is written as it is",
                self.path.display()
            );
            sink.emit(Event::Note { message });
            return Ok(Content { image, used: opened.in_use()?, subject: None });
        };
        let incarnation = ours.claim(&self.path)?;
        let name = ours.config.node.name.clone();
        let subject = Subject { node: name, incarnation };
        let opened = Opened::new(&opened.path, image.clone())?;
        let used = if incarnation == ours.config.node.incarnation {
            opened.in_use()?
        } else {
            stamp(opened, incarnation)?.in_use()?
        };
        Ok(Content { image, used, subject: Some(subject) })
    }
}
