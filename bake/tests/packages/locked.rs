//! What was chosen once is fetched again by its digest, whatever the archive has become.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use bake::arch::Arch;
use bake::error::{Error, Exit, Result};
use bake::event::{Event, Silent, Sink};
use bake::fetch::{Cache, Fetcher, Options};
use bake::packages::{self, Logins, Pinned, Staged};

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
    fetch_by(archive, of, offline, folder, &Logins::default())
}

fn fetch_by(
    archive: &Archive,
    of: &Staged,
    offline: bool,
    folder: Option<&str>,
    logins: &Logins,
) -> Result<Staged> {
    let cache = Cache::open(Some(&archive.path("another"))).unwrap();
    let options = Options { offline, retries: 0, ..Options::default() };
    let folder = folder.map(|folder| archive.path(folder));
    let fetcher = Fetcher::new(cache, options, &Silent);
    packages::fetch(&pinned(of), folder.as_deref(), logins, &fetcher)
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

/// Everything that is said.
#[derive(Default)]
struct Said(Mutex<String>);

impl Sink for Said {
    fn emit(&self, event: Event) {
        *self.0.lock().unwrap() += &format!("{event:?}\n");
    }
}

/// All bytes of the files below a folder.
fn everything(folder: &Path) -> Vec<u8> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let all = entries.map(|path| match path.is_dir() {
        true => everything(&path),
        false => fs::read(&path).unwrap(),
    });
    all.flatten().collect()
}

#[test]
fn the_login_of_a_source_is_used_and_told_nobody() {
    let (user, password) = ("us3r-of-debs", "pa55-of-debs");
    let mut archive = Archive::new();
    archive.deb("app", "1.0-1", "").publish(&[]);
    // What is left out and what is missing is told too.
    let source = archive.path("tree/etc/apt/sources.list.d/test.sources");
    let text = fs::read_to_string(&source).unwrap().replace("main", "main extra");
    fs::write(&source, text).unwrap();
    let bucket = format!("deb s3://{user}:{password}@bucket stable main\n");
    fs::write(archive.path("tree/etc/apt/sources.list"), bucket).unwrap();
    let own = |bytes: &[u8]| {
        [user, password].iter().any(|w| bytes.windows(w.len()).any(|b| b == w.as_bytes()))
    };
    let said = Said::default();
    let gather = || archive.gather_told(&["app"], false, None, &said);

    archive.login(&format!("{user}:{password}"), &format!("{user}:{password}-not"));
    let error = gather().unwrap_err();
    assert!(
        format!("{error:?}").contains("401") && !own(format!("{error:?}").as_bytes()),
        "{error:?}"
    );
    archive.login(&format!("{user}:{password}"), &format!("{user}:{password}"));
    let app = gather().unwrap().remove(0);
    let said = said.0.into_inner().unwrap();
    assert!(said.contains("s3://bucket") && said.contains("has no extra"), "{said}");
    assert!(!own(said.as_bytes()), "{said}");
    assert!(!own(&everything(&archive.path("cache"))));
    assert_eq!(app.url, Some(archive.server.url("/debian/pool/app_1.0-1_amd64.deb").to_string()));

    // A lock has no login either: the image has it still.
    let error = fetch(&archive, &app, false, None).unwrap_err();
    assert!(format!("{error:?}").contains("401"), "{error:?}");
    let logins = Logins::read(&archive.root(), Arch::Amd64).unwrap();
    fetch_by(&archive, &app, false, None, &logins).unwrap();
    assert!(!own(&everything(&archive.path("another"))));
}
