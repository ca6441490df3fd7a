//! A signed archive of tiny packages, and an image whose apt knows it: made by dpkg-deb, xz, gpg
//! and mke2fs.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bake::arch::Arch;
use bake::error::Result;
use bake::event::{Silent, Sink};
use bake::fetch::{Cache, Fetcher, Options};
use bake::fs::root::Root;
use bake::io::digest::Sha256;
use bake::packages::{self, Staged, Wanted};
use bake::store::{FileSource, Image, Window};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::server::{Reply, Server, file};
use crate::support::run;

/// The clock that GnuPG signs by.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_secs()).unwrap()
}

pub struct Archive {
    pub dir: tempfile::TempDir,
    pub server: Server,
    /// What the server has, by path.
    pub files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    packages: String,
    /// Further fields of `Release`.
    pub fields: String,
    /// How many seconds later than now it is.
    pub later: i64,
    /// `USER:PASSWORD` that the server wants, where it wants one.
    login: Arc<Mutex<Option<String>>>,
}

impl Archive {
    pub fn new() -> Self {
        let files: Arc<Mutex<BTreeMap<String, Vec<u8>>>> = Arc::default();
        let login: Arc<Mutex<Option<String>>> = Arc::default();
        let (served, wanted) = (files.clone(), login.clone());
        let server = Server::start(move |request| {
            let wanted =
                wanted.lock().unwrap().as_ref().map(|l| format!("Basic {}", STANDARD.encode(l)));
            if wanted.is_some() && request.headers.get("authorization") != wanted.as_ref() {
                return Reply::new("401 Unauthorized", "");
            }
            match served.lock().unwrap().get(&request.path) {
                Some(bytes) => file(request, bytes, "\"tag\""),
                None => Reply::new("404 Not Found", ""),
            }
        });
        let dir = tempfile::tempdir().unwrap();
        let (packages, fields, later) = (String::new(), String::new(), 0);
        let archive = Self { dir, server, files, packages, fields, later, login };
        fs::create_dir(archive.path("gpg")).unwrap();
        run("chmod", &["700", &archive.text("gpg")]);
        for folder in ["etc/apt/sources.list.d", "usr/share/keyrings", "var/lib/dpkg"] {
            fs::create_dir_all(archive.path("tree").join(folder)).unwrap();
        }
        archive.key("ed25519", "never");
        archive.trust();
        archive.source("Signed-By: /usr/share/keyrings/test.gpg\n");
        archive.installed("");
        archive
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub fn gpg(&self, arguments: &[&str]) -> String {
        let home = self.text("gpg");
        run(
            "gpg",
            &[&["--homedir", &home, "--batch", "--yes", "--quiet", "--passphrase", ""], arguments]
                .concat(),
        )
    }

    /// Makes a key to sign with, the only one there is.
    pub fn key(&self, algorithm: &str, expires: &str) {
        let known = self.gpg(&["--list-secret-keys", "--with-colons"]);
        for old in known.lines().filter_map(|l| l.strip_prefix("fpr:")) {
            let old = old.trim_matches(':').to_owned();
            // The first is the primary key; its subkeys go with it.
            let _ = std::process::Command::new("gpg")
                .args([
                    "--homedir",
                    &self.text("gpg"),
                    "--batch",
                    "--yes",
                    "--delete-secret-and-public-key",
                    &old,
                ])
                .output();
        }
        self.gpg(&["--quick-gen-key", "Archive <archive@example.org>", algorithm, "sign", expires]);
    }

    /// The fingerprint of the key.
    pub fn fingerprint(&self) -> String {
        let known = self.gpg(&["--list-keys", "--with-colons"]);
        let line = known.lines().find_map(|l| l.strip_prefix("fpr:")).expect("a key");
        line.trim_matches(':').to_owned()
    }

    /// Puts the key into the image.
    pub fn trust(&self) {
        self.gpg(&["--output", &self.text("tree/usr/share/keyrings/test.gpg"), "--export"]);
    }

    pub fn source(&self, options: &str) {
        let uri = self.server.url("/debian");
        let text = format!("Types: deb\nURIs: {uri}\nSuites: stable\nComponents: main\n{options}");
        fs::write(self.path("tree/etc/apt/sources.list.d/test.sources"), text).unwrap();
    }

    /// Makes the server want a login, and tells the image one.
    pub fn login(&self, wanted: &str, told: &str) {
        *self.login.lock().unwrap() = Some(wanted.to_owned());
        let path = self.path("tree/etc/apt/sources.list.d/test.sources");
        let text = fs::read_to_string(&path).unwrap();
        let (before, rest) = text.split_once("//").unwrap();
        let (_, after) = rest.split_once("127.0.0.1").unwrap();
        fs::write(path, format!("{before}//{told}@127.0.0.1{after}")).unwrap();
    }

    /// What dpkg has: control fields of each package, without their status.
    pub fn installed(&self, paragraphs: &str) {
        let status = paragraphs.split("\n\n").filter(|p| !p.trim().is_empty()).map(|p| {
            format!("{}\nStatus: install ok installed\nArchitecture: amd64\n\n", p.trim())
        });
        fs::write(self.path("tree/var/lib/dpkg/status"), status.collect::<String>()).unwrap();
    }

    /// Builds a package and adds it to the index.
    pub fn deb(&mut self, name: &str, version: &str, fields: &str) -> &mut Self {
        let control = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: A <a@example.org>\n\
             Description: test\n{fields}"
        );
        let tree = self.path("build");
        fs::create_dir_all(tree.join("DEBIAN")).unwrap();
        fs::write(tree.join("DEBIAN/control"), &control).unwrap();
        let path = format!("pool/{name}_{version}_amd64.deb");
        let built = self.text(&format!("{name}_{version}.deb"));
        run("dpkg-deb", &["--root-owner-group", "--build", &tree.display().to_string(), &built]);
        let bytes = fs::read(&built).unwrap();
        self.packages.push_str(&format!(
            "{}\nFilename: {path}\nSize: {}\nSHA256: {}\n\n",
            control.trim_end(),
            bytes.len(),
            Sha256::of(&bytes)
        ));
        self.put(&path, bytes);
        self
    }

    pub fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.files.lock().unwrap().insert(format!("/debian/{path}"), bytes.into());
    }

    /// Writes index and `InRelease`, signed with `options`.
    pub fn publish(&self, options: &[&str]) {
        let index = self.text("Packages");
        fs::write(&index, &self.packages).unwrap();
        run("xz", &["--force", "--keep", &index]);
        let packed = fs::read(self.path("Packages.xz")).unwrap();
        let release = format!(
            "Suite: stable\n{}Architectures: amd64\nComponents: main\nSHA256:\n {} {} main/binary-amd64/Packages.xz\n",
            self.fields,
            Sha256::of(&packed),
            packed.len()
        );
        fs::write(self.path("Release"), &release).unwrap();
        let (plain, signed) = (self.text("Release"), self.text("InRelease"));
        self.gpg(&[options, &["--output", &signed, "--clearsign", &plain]].concat());
        self.put("dists/stable/main/binary-amd64/Packages.xz", packed);
        self.put("dists/stable/InRelease", fs::read(&signed).unwrap());
    }

    /// Changes a file of the server, byte by byte.
    pub fn tamper(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut files = self.files.lock().unwrap();
        change(files.get_mut(&format!("/debian/{path}")).expect("such a file"));
    }

    pub fn root(&self) -> Root {
        root(&self.path("tree"), &self.path("image"))
    }

    pub fn gather(&self, names: &[&str]) -> Result<Vec<Staged>> {
        self.gather_with(names, false, None)
    }

    pub fn gather_with(
        &self,
        names: &[&str],
        offline: bool,
        folder: Option<&str>,
    ) -> Result<Vec<Staged>> {
        self.gather_told(names, offline, folder, &Silent)
    }

    /// As [`Archive::gather_with`]; `sink` hears of it.
    pub fn gather_told(
        &self,
        names: &[&str],
        offline: bool,
        folder: Option<&str>,
        sink: &dyn Sink,
    ) -> Result<Vec<Staged>> {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let cache = Cache::open(Some(&self.path("cache"))).unwrap();
        let options = Options { offline, retries: 0, ..Options::default() };
        let fetcher = Fetcher::new(cache, options, sink);
        let folder = folder.map(|f| self.path(f));
        let (root, architecture) = (self.root(), Arch::Amd64);
        let wanted = Wanted {
            root: &root,
            architecture,
            names: &names,
            now: now() + self.later,
            folder: folder.as_deref(),
        };
        packages::gather(&wanted, &fetcher, sink)
    }
}

/// An ext4 file system of `tree`, as an image's root.
pub fn root(tree: &std::path::Path, image: &std::path::Path) -> Root {
    let _ = fs::remove_file(image);
    let (tree, path) = (tree.display().to_string(), image.display().to_string());
    run("mke2fs", &["-q", "-t", "ext4", "-d", &tree, &path, "64M"]);
    let source = Arc::new(FileSource::open(image).unwrap());
    let window = Window::whole(Arc::new(Mutex::new(Image::new(source))));
    Root::new(bake::fs::open(window).unwrap())
}
