//! What a node needs from elsewhere: its base image and its K3s.

use std::fs::File;
use std::path::Path;

use url::Url;

use crate::arch::Arch;
use crate::catalogue::{self, Catalogue, k3s_pin};
use crate::emit::in_place;
use crate::error::{Error, Result};
use crate::event::Sink;
use crate::fetch::{Base, BaseRequest, Fetcher, FileRequest, Verified, k3s, shown, shown_text};
use crate::io::digest::Sha256;
use crate::lock::{Locked, Part};
use crate::profile::{ImageSource, K3sPlan};

/// The base image a profile names, ready to be baked on.
///
/// # Errors
/// [`Error::NotFound`] for an unknown id, [`Error::Refused`] for one without a digest to believe
/// in and for a file that a run which was ended was changing, [`Error::Usage`] for a malformed URL
/// or digest, and those of [`Fetcher::base`].
pub fn base(fetcher: &Fetcher<'_>, catalogue: &Catalogue, source: &ImageSource) -> Result<Base> {
    match source {
        ImageSource::Id(id) => fetcher.base(&catalogue.find(id)?.request(None)?),
        ImageSource::File(path) => {
            in_place::settled(path)?;
            fetcher.local_base(path, None)
        }
        ImageSource::Url { url, sha256 } => fetcher.base(&from_url(url, Some(parse(sha256)?))?),
    }
}

/// The base image that a lock pins.
///
/// # Errors
/// [`Error::Verification`] where the profile names another, or a file that is another; those of
/// [`Fetcher::base`].
pub fn locked_base(
    fetcher: &Fetcher<'_>,
    catalogue: &Catalogue,
    source: &ImageSource,
    locked: &Locked,
) -> Result<Base> {
    let pinned = match source {
        ImageSource::Id(id) => locked.base(id)?,
        ImageSource::Url { url, sha256 } => {
            let url = shown_text(url);
            let pinned = locked.base(&url)?;
            locked.same(&url, pinned.sha256, sha256)?;
            pinned
        }
        ImageSource::File(path) => {
            let pinned = &locked.lock().base;
            let found = fetcher.digest_of(path)?;
            locked.same(&path.display().to_string(), pinned.sha256, &found.to_string())?;
            return as_pinned(fetcher.local_base(path, Some(pinned.sha256))?, locked);
        }
    };
    let Some(url) = &pinned.source else {
        let image = &pinned.image;
        return Err(locked.differs(format!("{image} was a file of yours when the lock was made")));
    };
    let mut request = from_url(url, Some(pinned.sha256))?;
    match source {
        ImageSource::Id(id) => {
            request.name.clone_from(&pinned.image);
            // The name may stand for a newer image by now, which says nothing of this one.
            let mut named = catalogue.entries().iter().filter(|entry| entry.is_called(id));
            if let Some(known) = named.find(|entry| shown(&entry.url) == *url) {
                request.url.clone_from(&known.url);
                request.signature.clone_from(&known.signature);
            }
        }
        // With the key to it, which a lock has not.
        ImageSource::Url { url: asked, .. } => {
            if shown_text(asked) != *url {
                let reason = format!("the base image is {}, and it comes from {url}", pinned.image);
                return Err(locked.differs(reason));
            }
            request.url = parse_url(asked)?;
        }
        ImageSource::File(_) => {}
    }
    request.image_sha256 = Some(pinned.image_sha256);
    request.image_size = Some(pinned.image_size);
    as_pinned(fetcher.base(&request)?, locked)
}

/// The image inside is the pinned one too.
fn as_pinned(base: Base, locked: &Locked) -> Result<Base> {
    let pinned = &locked.lock().base;
    let what = format!("the image in {}", pinned.image);
    if let Some(found) = base.sha256 {
        locked.same(&what, pinned.image_sha256, &found.to_string())?;
    }
    locked.as_long(&what, pinned.image_size, base.len)?;
    Ok(base)
}

/// A base image that stands in no catalogue.
///
/// # Errors
/// [`Error::Usage`] for what is no URL, [`Error::Refused`] without a digest.
pub fn from_url(url: &str, sha256: Option<Sha256>) -> Result<BaseRequest> {
    let url = parse_url(url)?;
    let name = url.path_segments().and_then(|mut s| s.next_back()).unwrap_or_default().to_owned();
    if sha256.is_none() {
        let action = format!("download {name}");
        let reason = "nothing says what it must be".into();
        return Err(Error::Refused { action, reason }
            .hint("give the digest the publisher names with --sha256"));
    }
    Ok(BaseRequest {
        name,
        url,
        sha256,
        size: None,
        image_sha256: None,
        image_size: None,
        signature: None,
    })
}

/// A URL that somebody wrote. It may hold a password, so it is not shown.
///
/// # Errors
/// [`Error::Usage`] for what is none.
pub fn parse_url(url: &str) -> Result<Url> {
    Url::parse(url).map_err(|e| Error::Usage(format!("that is no URL: {e}")))
}

/// The node's K3s program: the user's own, or the release's.
///
/// # Errors
/// Those of [`k3s::binary`] and [`k3s::local_binary`].
pub fn k3s_binary(
    fetcher: &Fetcher<'_>,
    sink: &dyn Sink,
    plan: &K3sPlan,
    arch: Arch,
    local: Option<&Path>,
) -> Result<Verified<File>> {
    let pin = plan.sha256.as_deref().map(parse).transpose()?;
    if let Some(path) = local {
        return k3s::local_binary(k3s::Local { path, arch, pin }, sink);
    }
    let pin = match pin {
        Some(pin) => Some(pin),
        None => k3s_pin(&plan.version, &k3s::Asset::Binary.file_name(arch))?,
    };
    k3s::binary(fetcher, &plan.version, arch, pin)
}

/// The images of the node's K3s and the file name they need: the user's own, or the release's.
///
/// # Errors
/// Those of [`k3s::images`] and [`k3s::local_images`].
pub fn k3s_images(
    fetcher: &Fetcher<'_>,
    plan: &K3sPlan,
    arch: Arch,
    local: Option<&Path>,
) -> Result<(String, Verified<File>)> {
    if let Some(path) = local {
        return k3s::local_images(path, arch);
    }
    let pin = |name: &str| k3s_pin(&plan.version, name).ok().flatten();
    k3s::images(fetcher, &plan.version, arch, pin)
}

/// MetalLB's manifest as it is pinned, and what it is.
///
/// # Errors
/// Those of [`Fetcher::file`].
pub fn metallb(fetcher: &Fetcher<'_>) -> Result<(String, Verified<File>)> {
    let catalogue::Pinned { version, url, sha256 } = catalogue::metallb()?;
    let name = format!("MetalLB {version}'s manifest");
    let url = Url::parse(&url).map_err(|e| Error::Usage(format!("`{url}` is no URL: {e}")))?;
    let found = fetcher.file(&FileRequest { name: name.clone(), url, sha256, size: None });
    let found = found.map_err(|e| e.hint("or give a file with --metallb-manifest"))?;
    Ok((name, found))
}

/// A part that a lock pins: the user's own file, or from where it was.
///
/// # Errors
/// [`Error::Verification`] where it is another, [`Error::NotFound`] where it was a file that is not
/// given now, and those of [`Fetcher::file`].
pub fn locked_part(
    fetcher: &Fetcher<'_>,
    locked: &Locked,
    part: &Part,
    local: Option<&Path>,
) -> Result<Verified<File>> {
    if let Some(path) = local {
        let found = fetcher.own_file(path)?;
        let what = path.display().to_string();
        locked.same(&what, part.sha256, &found.sha256().to_string())?;
        locked.as_long(&what, part.size, found.len())?;
        return Ok(found);
    }
    let Some(source) = &part.source else {
        let missing = Error::NotFound { what: "pinned file", name: part.name.clone() };
        return Err(missing.hint(format!(
            "it was a file of yours when the lock was made, sha256 {}: give it again",
            part.sha256
        )));
    };
    let no_url =
        |e| Error::Usage(format!("the source of {} in the lock is no URL: {e}", part.name));
    let url = Url::parse(source).map_err(no_url)?;
    let name = format!("{} {}", part.name, part.version.as_deref().unwrap_or_default());
    let request = FileRequest { url, sha256: part.sha256, size: Some(part.size), name };
    let found = fetcher.file(&request)?;
    locked.as_long(&request.name, part.size, found.len())?;
    Ok(found)
}

fn parse(sha256: &str) -> Result<Sha256> {
    sha256.parse().map_err(Error::Usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_url_is_not_shown() {
        let error = from_url("https://me:hunter2@[x", None).unwrap_err().to_string();
        assert!(error.contains("no URL") && !error.contains("hunter2"), "{error}");
    }
}
