//! The base image that nodes are baked on.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::file_name;
use crate::catalogue::Catalogue;
use crate::error::{Context, Result};
use crate::event::{Event, Sink};
use crate::fetch::Fetcher;
use crate::fs::root::Root;
use crate::io::digest::Sha256;
use crate::job::fetch;
use crate::job::open::{Opened, lock, open_source};
use crate::lock::Locked;
use crate::profile::{ImageSource, NodePlan};
use crate::provenance;
use crate::recipe::Traits;
use crate::recipe::booted::same_node;
use crate::recipe::undo::undo;
use crate::store::{BlockStore, FileSource, SharedImage};

/// A base image, with nothing of an earlier bake left in it, and what it is.
#[derive(Debug)]
pub struct Base {
    /// As messages and the record call it.
    pub name: String,
    /// The raw image.
    pub path: PathBuf,
    /// SHA-256 of the raw image, where it is known without reading all of it.
    pub sha256: Option<String>,
    /// What that rests on: `digest`, or `digest, signature by KEY`.
    pub verified: Option<String>,
    /// What it is.
    pub traits: Traits,
    /// Whether it had been baked before.
    pub again: bool,
    /// What was fetched, before anything was taken back.
    pub fetched: Fetched,
    image: SharedImage,
}

/// A base image as it came.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Its URL; `None` for a file of the user's.
    pub url: Option<String>,
    /// Digest of the file as published.
    pub published: Option<Sha256>,
    /// Digest of the image inside.
    pub image: Option<Sha256>,
    /// Length of the image inside, in bytes.
    pub len: u64,
}

impl Base {
    /// Fetches the image, undoes an earlier bake of it in memory, and looks at it.
    ///
    /// # Errors
    /// What fetching fails with; [`crate::error::Error::Unsupported`] for an image that is not
    /// understood.
    pub fn open(
        source: &ImageSource,
        locked: Option<&Locked>,
        fetcher: &Fetcher<'_>,
        sink: &dyn Sink,
    ) -> Result<Self> {
        let catalogue = Catalogue::load(Catalogue::user_folder().as_deref())?;
        let found = match locked {
            Some(locked) => fetch::locked_base(fetcher, &catalogue, source, locked)?,
            None => fetch::base(fetcher, &catalogue, source)?,
        };
        let mut name = match (source, locked) {
            // Its file may have another name here.
            (ImageSource::File(_), Some(locked)) => locked.lock().base.image.clone(),
            _ => name_of(source),
        };
        let fetched = Fetched {
            url: found.source_url(),
            published: found.source_sha256,
            image: found.sha256,
            len: found.len,
        };
        let mut verified = match locked {
            // The same wherever it is baked, and whatever could be verified there.
            Some(locked) => locked.lock().base.verified.clone(),
            None => found.verified.digest.then(|| found.verified.to_string()),
        };
        let mut sha256 = found.sha256.map(|digest| digest.to_string());
        let path = found.path;
        let file = Arc::new(FileSource::of_file(found.file, &path)?);
        let opening = || format!("opening {}", path.display());
        let mut opened = open_source(&path, file).with_context(opening)?;
        let earlier = take_back(opened.root_mut()?, sink)?;
        let again = earlier.is_some();
        if let Some(earlier) = earlier {
            opened.root_mut()?.commit()?;
            // What it comes from is still the image that nothing had been baked into.
            provenance::Base { name, sha256, verified, .. } = earlier;
        }
        let looking = || format!("looking at {}", path.display());
        let traits = Traits::detect(opened.root()?).with_context(looking)?;
        if let Some(locked) = locked {
            let (is, pinned) = (traits.architecture.name(), &locked.lock().base.architecture);
            if is != pinned {
                let reason = format!("{name} is for {is}, and the lock says {pinned}");
                return Err(locked.differs(reason));
            }
        }
        let image = opened.image().clone();
        Ok(Self { name, path, sha256, verified, traits, again, fetched, image })
    }

    /// The image that a release image was made on, as far as that tells; `image` is the release's.
    pub(super) fn of_release(
        recorded: provenance::Base,
        path: PathBuf,
        traits: Traits,
        image: SharedImage,
    ) -> Self {
        let provenance::Base { name, sha256, verified, .. } = recorded;
        let len = lock(&image).len();
        let fetched = Fetched { url: None, published: None, image: None, len };
        Self { name, path, sha256, verified, traits, again: false, fetched, image }
    }

    /// As the record tells of it.
    pub(super) fn recorded(&self) -> provenance::Base {
        provenance::Base {
            name: self.name.clone(),
            os: self.traits.os.to_string(),
            architecture: self.traits.architecture.name().into(),
            sha256: self.sha256.clone(),
            verified: self.verified.clone(),
        }
    }

    /// The image, to be looked at or changed; the base itself stays as it is.
    ///
    /// # Errors
    /// As [`Opened::new`].
    pub(super) fn view(&self) -> Result<Opened> {
        let image = lock(&self.image).fork();
        Opened::new(&self.path, Arc::new(Mutex::new(image)))
    }

    /// Refuses to become any of the nodes where a board has booted from it as another.
    ///
    /// # Errors
    /// [`crate::error::Error::Refused`].
    pub(super) fn admit(&self, plans: &[NodePlan], sink: &dyn Sink) -> Result<()> {
        let view = self.view()?;
        for plan in plans {
            if same_node(view.root()?, &plan.cluster.id, &plan.node.name)?.is_some() {
                let name = &plan.node.name;
                let message = format!(
                    "a board has booted from the image, as {name}: its setup begins anew, and \
                     what K3s keeps stays"
                );
                sink.emit(Event::Note { message });
            }
        }
        Ok(())
    }
}

/// How messages and records call a base image.
pub(crate) fn name_of(source: &ImageSource) -> String {
    match source {
        ImageSource::Id(id) => id.clone(),
        ImageSource::File(path) => file_name(path),
        ImageSource::Url { url, .. } => {
            // What follows the path may be a key to it.
            let path = url.split(['?', '#']).next().unwrap_or_default();
            path.rsplit('/').next().unwrap_or_default().to_owned()
        }
    }
}

/// Undoes an earlier bake, where there was one, and tells what it was baked on.
fn take_back(root: &mut Root, sink: &dyn Sink) -> Result<Option<provenance::Base>> {
    let Some(earlier) = undo(root)? else { return Ok(None) };
    let message = format!("the image was baked before, as {}", earlier.record.node);
    sink.emit(Event::Note { message });
    for path in &earlier.left {
        sink.emit(Event::Note { message: format!("{path} has changed since, and stays") });
    }
    Ok(Some(earlier.record.base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_a_url_is_in_no_name() {
        let url = "https://example.org/a/base.img.xz?token=x/y#z".to_owned();
        assert_eq!(name_of(&ImageSource::Url { url, sha256: String::new() }), "base.img.xz");
    }
}
