//! The golden images below the deltas of a fleet.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use nodeconf::Role;

use super::one::Making;
use super::{Request, Task};
use crate::delta::{Golden as Described, identity};
use crate::error::Result;
use crate::job::build::{Golden, Planned, documents};
use crate::job::open::lock;
use crate::store::BlockStore;
use crate::sys::interrupt::Cancel;

/// Golden images by the digest of what is shared.
#[derive(Default)]
pub(super) struct Goldens(BTreeMap<String, Wanted>);

/// One that is there, or is being written while the nodes are baked.
pub(super) struct Wanted {
    file: String,
    /// Digest of everything it is made from.
    inputs: String,
    identity: Mutex<Option<String>>,
    /// What it is made of, where it has to be written.
    planned: Option<Planned>,
}

impl Goldens {
    pub(super) fn get(&self, digest: &str) -> Option<&Wanted> {
        self.0.get(digest)
    }

    /// Those that are not there, with what they are made from.
    pub(super) fn to_write(&self) -> impl Iterator<Item = (&str, &str)> {
        let wanted = self.0.values().filter(|wanted| wanted.planned.is_some());
        wanted.map(|wanted| (wanted.file.as_str(), wanted.inputs.as_str()))
    }

    /// Where the one that the task's delta is for lies.
    pub(super) fn path(&self, task: &Task, request: &Request) -> Option<PathBuf> {
        self.get(&task.planned.shared).map(|wanted| request.out_dir.join(&wanted.file))
    }

    pub(super) fn paths(&self, request: &Request) -> Vec<PathBuf> {
        self.0.values().map(|wanted| request.out_dir.join(&wanted.file)).collect()
    }
}

impl Wanted {
    /// Name of its file.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// What a delta says of it. The first who asks reads it for its identity.
    pub(super) fn described(&self, golden: &Golden, cancel: &Cancel) -> Result<Described> {
        let (identity, used) = (self.identity(golden, cancel)?, golden.used());
        let used = used.ranges().iter().map(|r| (r.start, r.end)).collect();
        Ok(Described { len: lock(golden.image()).len(), identity, used })
    }

    fn identity(&self, golden: &Golden, cancel: &Cancel) -> Result<String> {
        // Held while it is read: who else needs it must wait for it anyway.
        let mut known = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(identity) = &*known {
            return Ok(identity.clone());
        }
        let image = lock(golden.image()).fork();
        let name = &golden.stock().base().path;
        let identity = identity::of_image(&image, golden.used(), name, cancel)?;
        Ok(known.insert(identity).clone())
    }
}

impl Making<'_> {
    /// The golden images that the deltas of `tasks` are for. Those that are not there are noted to
    /// be written.
    pub(super) fn goldens(&self, tasks: &[Task]) -> Result<Goldens> {
        let mut goldens = BTreeMap::<String, Wanted>::new();
        for task in tasks.iter().filter(|_| self.request.deltas) {
            let digest = task.planned.shared.clone();
            if goldens.contains_key(&digest) {
                continue;
            }
            let role = match task.planned.plan.node.role {
                Role::Server => "server",
                Role::Agent => "agent",
                Role::Database => "database",
            };
            let mut file = self.request.image(&format!("golden-{role}"));
            if goldens.values().any(|taken| taken.file == file) {
                file = self.request.image(&format!("golden-{role}-{}", &digest[..8]));
            }
            let planned = task.golden();
            let made_for = format!("golden {} {}", planned.plan.profile, planned.plan.cluster.name);
            let inputs = self.request.digest(self.workshop, &planned, &made_for)?;
            let known = self.ledger.unchanged(&file, &inputs).filter(|_| !self.request.force);
            let identity = known.and_then(|entry| entry.identity);
            let planned = identity.is_none().then_some(planned);
            if planned.is_some() {
                self.may_write(&file)?;
            }
            let identity = Mutex::new(identity);
            goldens.insert(digest, Wanted { file, inputs, identity, planned });
        }
        Ok(Goldens(goldens))
    }

    /// Writes the bills of those that are not there: before the nodes, which share them.
    pub(super) fn write_bills(&self, goldens: &Goldens) -> Result<()> {
        goldens.0.values().try_for_each(|wanted| match &wanted.planned {
            Some(planned) => documents::write_bills(planned, &self.spec(&wanted.file)),
            None => Ok(()),
        })
    }

    /// Writes those that are not there.
    pub(super) fn write(&self, goldens: &Goldens) -> Result<()> {
        for wanted in goldens.0.values() {
            let Some(planned) = &wanted.planned else { continue };
            let golden = self.workshop.golden(planned, self.sink, self.cancel)?;
            let spec = self.spec(&wanted.file);
            let emitted = golden.emit(&spec, self.sink, self.cancel)?;
            documents::attest(golden.record(), &emitted, &spec)?;
            let identity = wanted.identity(&golden, self.cancel)?;
            self.ledger.done(&wanted.file, Some(identity))?;
        }
        Ok(())
    }
}

impl Task {
    /// What the golden image below it is made from: nothing of the node's own.
    fn golden(&self) -> Planned {
        let mut planned = self.planned.clone();
        planned.plan.node.incarnation = 0;
        planned
    }
}
