//! `bake release`: images without secrets, and what a download page needs beside them.

use std::path::{Path, PathBuf};

use url::Url;

use super::materials::Materials;
use super::{Session, passphrase};
use crate::error::{Error, Result};
use crate::job::release::sign::Signer;
use crate::job::release::{self, Profiled, Report, Request};
use crate::profile::{ClusterSecrets, Profile, Search};
use crate::ui::Table;
use crate::units::human;

/// Arguments of `bake release`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Profiles: names, files, or a pattern in quotes: 'profiles/*.yaml' (repeatable)
    #[arg(long, value_name = "PROFILE", required = true, num_args = 1..)]
    profiles: Vec<String>,
    /// Folder for the release
    #[arg(long, value_name = "FOLDER")]
    out_dir: PathBuf,
    /// How the images are compressed
    #[arg(long, value_name = "FORMAT", default_value = "xz", value_parser = ["xz", "zst"])]
    compress: String,
    /// Where the folder will be published, for the list that Raspberry Pi Imager reads
    /// [default: the folder itself]
    #[arg(long, value_name = "URL", value_parser = folder_url)]
    url: Option<Url>,
    /// Sign the list of digests with this secret key of minisign
    #[arg(long, value_name = "KEYFILE")]
    sign: Option<PathBuf>,
    /// Open file to read the key's password from [default: BAKE_SIGN_PASSWORD holds it, else ask]
    #[arg(long, value_name = "FD", requires = "sign")]
    sign_password_fd: Option<u32>,
    /// Sign the list of digests as cosign does, with this private key: cosign's, or PKCS#8 (P-256, PEM)
    #[arg(long, value_name = "KEYFILE")]
    sign_cosign: Option<PathBuf>,
    /// Open file to read that key's password from [default: COSIGN_PASSWORD holds it, else ask]
    #[arg(long, value_name = "FD", requires = "sign_cosign")]
    sign_cosign_password_fd: Option<u32>,
    /// Have this file of the folder in the list of digests too (repeatable)
    #[arg(long, value_name = "NAME")]
    also: Vec<String>,
    /// Replace files of the folder that no earlier release left there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    materials: Materials,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<()> {
    if args.materials.secrets.is_some() {
        return Err(Error::Usage("`--secrets` means nothing here: a release holds none".into()));
    }
    let password = |place: &passphrase::Place, fd, path: &Path| {
        passphrase::signing(place, fd, &path.display().to_string(), &session.cancel)
    };
    let cosign = args.sign_cosign.as_ref().map(|path| {
        let fd = args.sign_cosign_password_fd;
        Signer::cosign(path, || password(&passphrase::COSIGN, fd, path))
    });
    let cosign = cosign.transpose()?;
    let minisign = args.sign.as_ref().map(|path| {
        Signer::minisign(path, || password(&passphrase::SIGNING, args.sign_password_fd, path))
    });
    let request = Request {
        profiles: profiles(args)?,
        folder: args.out_dir.clone(),
        suffix: args.compress.clone(),
        url: args.url.clone(),
        also: args.also.clone(),
        signers: cosign.into_iter().chain(minisign.transpose()?).collect(),
        force: args.force,
    };
    let report = release::release(&request, &session.fetcher()?, &session.ui, &session.cancel)?;
    if session.ui.json() {
        return session.ui.json_line(&report);
    }
    session.ui.line(summary(&report))
}

/// Every node of every profile, with secrets that stand in: nothing of them is released.
fn profiles(args: &Args) -> Result<Vec<Profiled>> {
    let mut found = Vec::new();
    for reference in references(&args.profiles)? {
        let source = Search::usual().find(&reference)?;
        let profile = Profile::read(&source, &args.materials.set)?;
        let secrets = ClusterSecrets::placeholder(profile.cluster(), &profile.members());
        let plan = |node: &&str| args.materials.plan(&profile, node, &secrets);
        let plans = profile.nodes().iter().map(plan).collect::<Result<_>>()?;
        found.push(Profiled { plans, sources: args.materials.sources(&source) });
    }
    Ok(found)
}

/// Patterns become the files they match, in the order of their names.
fn references(given: &[String]) -> Result<Vec<String>> {
    let mut references = Vec::new();
    for reference in given {
        if !reference.contains(['*', '?', '[']) {
            references.push(reference.clone());
            continue;
        }
        let wrong = |e: String| Error::Usage(format!("--profiles {reference}: {e}"));
        let before = references.len();
        for path in glob::glob(reference).map_err(|e| wrong(e.to_string()))? {
            let path = path.map_err(|e| wrong(e.to_string()))?;
            let path = path.into_os_string().into_string();
            references.push(path.map_err(|_| wrong("a file's name is no text".into()))?);
        }
        if references.len() == before {
            return Err(Error::NotFound { what: "profile", name: reference.clone() });
        }
    }
    Ok(references)
}

fn summary(report: &Report) -> String {
    let mut table = Table::new(&["IMAGE", "SIZE", "UNPACKED", "SHA256", ""]);
    for image in &report.images {
        table.row([
            image.file.clone(),
            human(image.bytes),
            human(image.image_bytes),
            image.sha256[..16].to_owned(),
            if image.kept { "unchanged".into() } else { String::new() },
        ]);
    }
    let folder = report.folder.display();
    let signature = if report.signed { ", signed" } else { ", not signed" };
    format!(
        "{}{folder}: {} files in SHA256SUMS{signature}\nA node of it: bake personalise IMAGE \
         --profile P --node N --out FILE",
        table.render(),
        report.files.len()
    )
}

/// A URL that names of files can follow, and that everybody may see.
fn folder_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|e| e.to_string())?;
    if !matches!(url.scheme(), "https" | "http" | "file") {
        return Err("it begins with neither https://, http:// nor file://".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it has a password in it, and the list is for everybody".into());
    }
    match url.query().or(url.fragment()) {
        Some(_) => Err("no names of files can follow `?` and `#`".into()),
        None => Ok(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_published_where_its_files_can_be_found() {
        for wrong in ["there", "ftp://h/x", "https://me:pw@h/x", "https://h/x?a", "https://h/#x"] {
            assert!(folder_url(wrong).is_err(), "{wrong}");
        }
        for right in ["https://h", "http://h/v1/", "file:///srv/dist"] {
            assert!(folder_url(right).is_ok(), "{right}");
        }
    }
}
