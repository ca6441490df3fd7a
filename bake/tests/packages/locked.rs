//! What was chosen once is fetched again by its digest, whatever the archive has become.

use std::fs;

use bake::error::{Error, Exit, Result};
use bake::event::Silent;
use bake::fetch::{Cache, Fetcher, Options};
use bake::packages::{self, Pinned, Staged};

use crate::archive::Archive;

fn pinned(staged: &Staged) -> Pinned<'_> {
    Pinned {
        name: &staged.package.name,
        version: &staged.package.version,
        architecture: &staged.package.architecture,
        batch: staged.package.batch,
        url: staged.url.as_deref(),
        sha256: staged.deb.sha256(),
        size: staged.deb.len(),
    }
}

fn fetch(archive: &Archive, of: &Staged, offline: bool, folder: Option<&str>) -> Result<Staged> {
    let cache = Cache::open(Some(&archive.path("another"))).unwrap();
    let options = Options { offline, retries: 0, ..Options::default() };
    let folder = folder.map(|folder| archive.path(folder));
    packages::fetch(&pinned(of), folder.as_deref(), &Fetcher::new(cache, options, &Silent))
}

fn exit(outcome: Result<Staged>) -> Exit {
    outcome.map_err(|error: Error| error.exit()).expect_err("it was fetched")
}

#[test]
fn what_is_pinned_is_fetched_and_nothing_is_chosen_anew() {
    let mut archive = Archive::new();
    archive.deb("app", "1.0-1", "Depends: lib\n").deb("lib", "2:3.0", "");
    archive.publish(&[]);
    let chosen = archive.gather(&["app"]).unwrap();
    archive.deb("app", "2.0", "");
    archive.publish(&[]);
    let app = chosen.iter().find(|s| s.package.name == "app").unwrap();
    let before = archive.server.requests().len();
    let again: Vec<_> = chosen.iter().map(|s| fetch(&archive, s, false, None).unwrap()).collect();
    for (one, other) in again.iter().zip(&chosen) {
        assert_eq!((&one.package, &one.url), (&other.package, &other.url));
    }
    let asked = archive.server.requests().split_off(before);
    assert!(asked.iter().all(|r| r.path.starts_with("/debian/pool/")), "{asked:?}");
    assert!(fetch(&archive, app, true, None).is_ok(), "it is in the cache");

    fs::remove_dir_all(archive.path("another")).unwrap();
    assert_eq!(exit(fetch(&archive, app, true, None)), Exit::Usage);
    archive.tamper("pool/app_1.0-1_amd64.deb", |bytes| *bytes.last_mut().unwrap() ^= 1);
    assert_eq!(exit(fetch(&archive, app, false, None)), Exit::Verification);

    fs::create_dir(archive.path("debs")).unwrap();
    assert_eq!(exit(fetch(&archive, app, false, Some("debs"))), Exit::Usage);
    fs::copy(archive.path("app_1.0-1.deb"), archive.path("debs/whatever.deb")).unwrap();
    fs::copy(archive.path("app_2.0.deb"), archive.path("debs/app_1.0-1_amd64.deb")).unwrap();
    let own = fetch(&archive, app, false, Some("debs")).unwrap();
    assert_eq!((own.deb.sha256(), own.url), (app.deb.sha256(), None));
}
