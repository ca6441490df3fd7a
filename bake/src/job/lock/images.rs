//! Container images that manifests name: what each is pinned to.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use nodeconf::paths;

use crate::arch::Arch;
use crate::container::manifest::{self, Manifest, Named};
use crate::container::{Reference, archive};
use crate::error::{Error, Exit, Result};
use crate::event::{Event, Sink, Unit};
use crate::fetch::{Fetcher, Held, k3s};
use crate::io::digest::Sha256;
use crate::lock::{ContainerImage, Lock};
use crate::profile::NodePlan;
use crate::recipe::container_images as recipes;
use crate::recipe::{Action, Edit, Material, Source};
use crate::sys::interrupt::Cancel;

const STEP: &str = "images";

/// Container images of the nodes of a profile, before they are pinned.
#[derive(Debug, Default)]
pub(super) struct Images {
    /// Manifests that were read, by name and digest: most are the same for all nodes of a role.
    read: BTreeSet<(String, String)>,
    /// Names that pods give.
    names: BTreeSet<String>,
    /// What else names images, and where.
    others: BTreeSet<String>,
    /// Archives of images, by node that runs pods.
    archives: Vec<Vec<(String, Material)>>,
}

/// Who says what a name stands for.
#[derive(Debug)]
pub(super) struct Registries<'a> {
    pub(super) fetcher: &'a Fetcher<'a>,
    pub(super) arch: Arch,
    /// Whether a name that no registry tells the digest of may stay as it is.
    pub(super) or_leave: bool,
}

impl Images {
    /// Adds what the edits of a node name.
    pub(super) fn add(&mut self, plan: &NodePlan, edits: &[Edit], sink: &dyn Sink) -> Result<()> {
        let mut archives = Vec::new();
        for edit in edits {
            if let Some(found) = archive_of(edit) {
                archives.push(found);
            }
            let Some(source) = recipes::manifest(edit) else { continue };
            let file = file_name(edit.action.path());
            if !self.read.insert((file.to_owned(), source.sha256())) {
                continue;
            }
            let Some(text) = recipes::text(source)? else { continue };
            match manifest::read(&text) {
                Ok(Manifest { images, charts }) => {
                    self.others.extend(charts.iter().map(|line| {
                        format!("the container images of the Helm chart in {file}:{line}")
                    }));
                    images.into_iter().for_each(|named| match named.of_pod {
                        true => drop(self.names.insert(named.name)),
                        false => {
                            let Named { name, line, .. } = named;
                            self.others.insert(format!(
                                "`image: {name}` in {file}:{line}, which is no container's"
                            ));
                        }
                    });
                }
                Err(fault) => {
                    let at = fault.at.map(|at| format!(":{}", at.line)).unwrap_or_default();
                    let message = format!(
                        "{file}{at}: {}; its container images are not pinned",
                        fault.message
                    );
                    sink.emit(Event::Warning { message });
                }
            }
        }
        if plan.k3s.is_some() {
            self.archives.push(archives);
        }
        Ok(())
    }

    /// As the lock that there is has them; digests are held against what registries have.
    pub(super) fn locked_by(
        self,
        lock: &Lock,
        fetcher: &Fetcher<'_>,
        sink: &dyn Sink,
    ) -> Result<Vec<ContainerImage>> {
        let kept = |name: String| {
            let found = lock.container_images.iter().find(|image| image.name == name);
            found.cloned().unwrap_or_else(|| ContainerImage::by_digest(name, None))
        };
        let images: Vec<ContainerImage> = self.names.into_iter().map(kept).collect();
        let asked: Vec<String> = images
            .iter()
            .filter(|image| !image.name.contains('@'))
            .filter_map(|image| Some(format!("{}@sha256:{}", image.name, image.sha256?)))
            .collect();
        if fetcher.is_offline() && !asked.is_empty() {
            let message = "offline: no registry is asked for the container images".into();
            sink.emit(Event::Note { message });
        } else {
            for name in asked {
                fetcher.container_image(&reference(&name)?)?;
            }
        }
        Ok(images)
    }

    /// Each with what it is pinned to: its own digest, an archive that every node gets, or the digest
    /// its registry has for it today.
    pub(super) fn pin(
        self,
        registries: &Registries<'_>,
        sink: &dyn Sink,
        cancel: &Cancel,
    ) -> Result<Vec<ContainerImage>> {
        for other in &self.others {
            let message = format!("not pinned: {other}");
            sink.emit(Event::Warning { message });
        }
        let mut loose: Vec<(String, Reference)> = Vec::new();
        let mut images = Vec::new();
        for name in &self.names {
            let image = reference(name)?;
            match image.digest() {
                None => loose.push((name.clone(), image)),
                Some(digest) => {
                    let digest = digest.strip_prefix("sha256:");
                    let sha256 = digest.and_then(|hex| hex.parse().ok());
                    images.push(ContainerImage::by_digest(name, sha256));
                }
            }
        }
        if loose.is_empty() {
            return Ok(images);
        }
        let held = held_by_all(&self.archives, sink);
        let (here, asked): (Vec<_>, Vec<_>) =
            loose.into_iter().partition(|(_, image)| held.contains_key(&image.to_string()));
        images.extend(here.into_iter().map(|(name, image)| {
            let archive = held.get(&image.to_string()).cloned().unwrap_or_default();
            ContainerImage::by_archive(name, archive)
        }));
        if asked.is_empty() {
            return Ok(images);
        }
        let title = "Asking registries for container images".into();
        let total = Some(asked.len() as u64);
        sink.emit(Event::Started { step: STEP, title, total, unit: Unit::Items });
        for (done, (name, image)) in asked.into_iter().enumerate() {
            cancel.check()?;
            let sha256 = registries.digest(&name, &image, sink)?;
            images.push(ContainerImage::by_digest(name, sha256));
            sink.emit(Event::Progress { step: STEP, done: done as u64 + 1 });
        }
        let detail = format!("{} by digest", images.iter().filter(|i| i.sha256.is_some()).count());
        sink.emit(Event::Finished { step: STEP, detail });
        Ok(images)
    }
}

impl Registries<'_> {
    fn digest(&self, name: &str, image: &Reference, sink: &dyn Sink) -> Result<Option<Sha256>> {
        let warn = |message| sink.emit(Event::Warning { message });
        match self.fetcher.container_image(image) {
            Ok(found) => {
                self.fits(name, &found).into_iter().for_each(warn);
                Ok(Some(found.sha256))
            }
            Err(error) if self.or_leave && error.exit() != Exit::Interrupted => {
                warn(format!(
                    "{name}: not pinned, nodes pull whatever it stands for then: {error}"
                ));
                Ok(None)
            }
            Err(error) => Err(error.hint(
                "pin it yourself, NAME@sha256:… in the manifest; or leave such images as they are: \
                 --unpinned-images",
            )),
        }
    }

    /// What is to be said where no board of the profile could run the image.
    fn fits(&self, name: &str, found: &Held) -> Option<String> {
        let arch = k3s::short(self.arch);
        let mut known = found.platforms.iter().filter(|platform| platform.os != "unknown");
        let first = known.next()?;
        let mut all = BTreeSet::from([format!("{}/{}", first.os, first.architecture)]);
        all.extend(known.map(|platform| format!("{}/{}", platform.os, platform.architecture)));
        let wanted = format!("linux/{arch}");
        (!all.contains(&wanted)).then(|| {
            let all = Vec::from_iter(all).join(", ");
            format!("{name} is for {all}: these boards are {wanted} and cannot run it")
        })
    }
}

fn reference(name: &str) -> Result<Reference> {
    name.parse()
        .map_err(|reason| Error::Usage(reason).hint("it stands in a manifest of the profile"))
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// An archive that K3s loads (its documentation, "Air-Gap Install").
fn archive_of(edit: &Edit) -> Option<(String, Material)> {
    let Action::Write { path, source: Source::Material(material), .. } = &edit.action else {
        return None;
    };
    let name = path.strip_prefix(paths::K3S_IMAGES)?.strip_prefix('/')?;
    name.contains(".tar").then(|| (name.to_owned(), material.clone()))
}

fn names_in(archive: &Material) -> io::Result<BTreeSet<String>> {
    let file = archive.payload.0.as_file();
    archive::names(file.ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))?)
}

/// Images that the archives of every node have, with the archive's name.
fn held_by_all(nodes: &[Vec<(String, Material)>], sink: &dyn Sink) -> BTreeMap<String, String> {
    let mut known: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (name, material) in nodes.iter().flatten() {
        known.entry(&material.sha256).or_insert_with(|| {
            names_in(material).unwrap_or_else(|error| {
                let message =
                    format!("{name}: which container images it has is not known: {error}");
                sink.emit(Event::Warning { message });
                BTreeSet::new()
            })
        });
    }
    let of = |archives: &[(String, Material)]| -> BTreeMap<String, String> {
        let all = archives.iter().filter_map(|(name, m)| Some((name, known.get(&*m.sha256)?)));
        all.flat_map(|(name, images)| images.iter().map(|image| (image.clone(), name.clone())))
            .collect()
    };
    let mut all = nodes.iter().map(|archives| of(archives));
    let Some(mut first) = all.next() else { return BTreeMap::new() };
    for other in all {
        first.retain(|image, _| other.contains_key(image));
    }
    first
}
