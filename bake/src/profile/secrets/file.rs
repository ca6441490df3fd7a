//! Where a cluster's secrets are kept: one file, mode 0600, replaced whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::{ClusterSecrets, VERSION};
use crate::error::{Error, Fault, IoContext, Position, Result};

/// A cluster's secrets and their file.
#[derive(Debug)]
pub struct SecretsFile {
    path: PathBuf,
    secrets: ClusterSecrets,
    created: bool,
}

impl SecretsFile {
    /// Reads the secrets, or makes them on first use; nodes new to the profile get theirs.
    ///
    /// # Errors
    /// [`Error::Refused`] where others can read the file or it belongs to another cluster,
    /// [`Error::Invalid`] where it is damaged, [`Error::Io`].
    pub fn open(path: &Path, cluster: &str, nodes: &[&str]) -> Result<Self> {
        let _lock = lock(path)?;
        let (mut secrets, created) = match Self::read(path)? {
            Some(secrets) => (secrets, false),
            None => (ClusterSecrets::generate(cluster, nodes)?, true),
        };
        check_owner(path, &secrets, cluster)?;
        if secrets.add_nodes(nodes)? || created {
            write(path, &secrets)?;
        }
        Ok(Self { path: path.to_owned(), secrets, created })
    }

    /// Reads the secrets without making or changing anything; `None` where there are none yet.
    ///
    /// # Errors
    /// As [`SecretsFile::open`].
    pub fn peek(path: &Path, cluster: &str) -> Result<Option<ClusterSecrets>> {
        let secrets = Self::read(path)?;
        if let Some(secrets) = &secrets {
            check_owner(path, secrets, cluster)?;
        }
        Ok(secrets)
    }

    /// The secrets.
    #[must_use]
    pub fn secrets(&self) -> &ClusterSecrets {
        &self.secrets
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this run made the file.
    #[must_use]
    pub fn created(&self) -> bool {
        self.created
    }

    /// Records that an image of `node` is made from inputs with digest `inputs` and returns its
    /// incarnation: unchanged inputs keep it, changed ones and `replace` raise it.
    ///
    /// # Errors
    /// As [`SecretsFile::open`]; [`Error::NotFound`] for a node without a record.
    pub fn claim(&mut self, node: &str, inputs: &str, replace: bool) -> Result<u32> {
        let _lock = lock(&self.path)?;
        // Another bake may have written since.
        if let Some(newer) = Self::read(&self.path)? {
            self.secrets = newer;
        }
        let claimed = self.secrets.claim(node, inputs, replace);
        let (incarnation, changed) =
            claimed.ok_or_else(|| Error::NotFound { what: "node", name: node.into() })?;
        if changed {
            write(&self.path, &self.secrets)?;
        }
        Ok(incarnation)
    }

    fn read(path: &Path) -> Result<Option<ClusterSecrets>> {
        let text = match fs::read(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.at("reading", path)?,
        };
        check_mode(path)?;
        parse(path, &text).map(Some)
    }
}

fn parse(path: &Path, text: &[u8]) -> Result<ClusterSecrets> {
    let invalid = |at, message: &str| Error::Invalid {
        what: format!("secrets file {}", path.display()),
        faults: vec![Fault { key: String::new(), at, message: message.into(), help: None }],
    };
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u64,
    }
    if let Ok(Versioned { version }) = serde_json::from_slice(text)
        && version != u64::from(VERSION)
    {
        let message = format!("version {version} is not supported, this bake reads {VERSION}");
        return Err(invalid(None, &message));
    }
    // serde's message quotes the value it met, which may be a secret.
    serde_json::from_slice(text).map_err(|e| {
        let at = Position { line: e.line().max(1), column: e.column().max(1) };
        invalid(Some(at), "damaged: not what a cluster's secrets look like from here on")
            .hint("restore it from a backup; without it no node can join its cluster again")
    })
}

fn check_owner(path: &Path, secrets: &ClusterSecrets, cluster: &str) -> Result<()> {
    if secrets.cluster == cluster {
        return Ok(());
    }
    let reason = format!("they belong to cluster `{}`", secrets.cluster);
    let action = format!("use the secrets in {} for cluster `{cluster}`", path.display());
    Err(Error::Refused { action, reason }.hint("name another file with `--secrets`"))
}

#[cfg(unix)]
fn check_mode(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).at("examining", path)?.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let reason = format!("others can read or change it (mode {mode:04o})");
    let action = format!("use the secrets in {}", path.display());
    Err(Error::Refused { action, reason }.hint(format!("chmod 600 {}", path.display())))
}

#[cfg(not(unix))]
fn check_mode(_: &Path) -> Result<()> {
    Ok(())
}

/// Replaces the file: temporary file (mode 0600 from its first byte), sync, rename, sync.
fn write(path: &Path, secrets: &ClusterSecrets) -> Result<()> {
    let folder = folder(path);
    let mut text =
        serde_json::to_vec_pretty(secrets).map_err(io::Error::from).at("writing", path)?;
    text.push(b'\n');
    let mut file = NamedTempFile::new_in(folder).at("creating a file beside", path)?;
    file.write_all(&text).at("writing", path)?;
    file.as_file().sync_all().at("syncing", path)?;
    file.persist(path).map_err(|e| e.error).at("replacing", path)?;
    sync_folder(folder)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|dir| dir.sync_all()).at("syncing", folder)
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<()> {
    Ok(())
}

/// Keeps other bakes of the same cluster out until dropped. The folder is locked because the
/// file itself is replaced.
#[cfg(unix)]
fn lock(path: &Path) -> Result<Option<File>> {
    let folder = folder(path);
    let dir = File::open(folder).at("opening", folder)?;
    dir.lock().at("locking", folder)?;
    Ok(Some(dir))
}

/// Elsewhere a folder cannot be locked; two first uses at once are then the operator's to avoid.
#[cfg(not(unix))]
fn lock(_: &Path) -> Result<Option<File>> {
    Ok(None)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::error::Exit;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("edge.secrets.json");
        (dir, path)
    }

    #[test]
    fn made_once_and_read_ever_after() {
        let (dir, path) = place();
        assert_eq!(SecretsFile::peek(&path, "edge").unwrap(), None);
        let first = SecretsFile::open(&path, "edge", &["node1"]).unwrap();
        assert!(first.created());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = SecretsFile::open(&path, "edge", &["node1", "node2"]).unwrap();
        assert!(!again.created());
        assert_eq!(again.secrets().nodes["node1"], first.secrets().nodes["node1"]);
        assert_eq!(again.secrets().server_token, first.secrets().server_token);
        let read = SecretsFile::peek(&path, "edge").unwrap().unwrap();
        assert!(read.nodes.contains_key("node2"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no litter");
    }

    #[test]
    fn many_first_uses_at_once_agree() {
        let (_dir, path) = place();
        let opened: Vec<ClusterSecrets> = std::thread::scope(|scope| {
            let open = || SecretsFile::open(&path, "edge", &["n"]).unwrap().secrets().clone();
            let runs: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        assert!(opened.iter().all(|s| *s == opened[0]));
    }

    #[test]
    fn claims_are_kept() {
        let (_dir, path) = place();
        let mut one = SecretsFile::open(&path, "edge", &["n", "m"]).unwrap();
        let mut two = SecretsFile::open(&path, "edge", &["n", "m"]).unwrap();
        assert_eq!(one.claim("n", "a", false).unwrap(), 1);
        assert_eq!(two.claim("m", "x", true).unwrap(), 2);
        assert_eq!(two.claim("n", "a", false).unwrap(), 1);
        assert_eq!(one.claim("n", "b", false).unwrap(), 2);
        let read = SecretsFile::peek(&path, "edge").unwrap().unwrap();
        assert_eq!(read.nodes["m"].incarnation, 2);
        assert_eq!(read.nodes["n"].inputs.as_deref(), Some("b"));
    }

    #[test]
    fn readable_by_others_is_refused_with_the_remedy() {
        let (_dir, path) = place();
        SecretsFile::open(&path, "edge", &[]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = SecretsFile::open(&path, "edge", &[]).unwrap_err();
        assert_eq!(error.exit(), Exit::Refused);
        assert!(error.hints()[0].starts_with("chmod 600 "));
    }

    #[test]
    fn another_cluster_is_refused() {
        let (_dir, path) = place();
        SecretsFile::open(&path, "edge", &[]).unwrap();
        let error = SecretsFile::open(&path, "other", &[]).unwrap_err();
        assert_eq!(error.exit(), Exit::Refused);
    }

    #[test]
    fn damage_is_located_and_never_quoted() {
        let (_dir, path) = place();
        let file = SecretsFile::open(&path, "edge", &[]).unwrap();
        let token = file.secrets().server_token.expose().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let broken = text.replace("\"version\": 1", &format!("\"version\": 1, \"x\": \"{token}\""));
        for (text, what) in
            [(broken.as_str(), "damaged"), (&text[..60], "damaged"), ("", "damaged")]
        {
            fs::write(&path, text).unwrap();
            let error = SecretsFile::open(&path, "edge", &[]).unwrap_err();
            let shown = format!("{error:?}");
            assert!(shown.contains(what) && !shown.contains(&token), "{shown}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text, "left as it was");
        }
        fs::write(&path, text.replace("\"version\": 1", "\"version\": 9")).unwrap();
        let shown = format!("{:?}", SecretsFile::open(&path, "edge", &[]).unwrap_err());
        assert!(shown.contains("version 9 is not supported"), "{shown}");
    }
}
