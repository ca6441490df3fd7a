use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::error::Exit;
use crate::profile::secrets::tests::{claim, members};

fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("edge.secrets.json");
    (dir, path)
}

#[test]
fn made_once_and_read_ever_after() {
    let (dir, path) = place();
    assert_eq!(SecretsFile::peek(&path, "edge").unwrap(), None);
    let first = SecretsFile::open(&path, "edge", &members(&["node1"])).unwrap();
    assert_eq!(first.origin(), Origin::Created);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let again = SecretsFile::open(&path, "edge", &members(&["node1", "node2"])).unwrap();
    assert_eq!(again.origin(), Origin::Read);
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
        let open = || SecretsFile::open(&path, "edge", &members(&["n"])).unwrap().secrets().clone();
        let runs: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert!(opened.iter().all(|s| *s == opened[0]));
}

#[test]
fn claims_are_kept() {
    let (_dir, path) = place();
    let mut one = SecretsFile::open(&path, "edge", &members(&["n", "m"])).unwrap();
    let mut two = SecretsFile::open(&path, "edge", &members(&["n", "m"])).unwrap();
    assert_eq!(one.claim(&claim("n", "a", false)).unwrap(), 1);
    assert_eq!(two.claim(&claim("m", "x", true)).unwrap(), 2);
    assert_eq!(two.claim(&claim("n", "a", false)).unwrap(), 1);
    assert_eq!(one.claim(&claim("n", "b", false)).unwrap(), 2);
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
    let broken = text.replace("\"version\": 2", &format!("\"version\": 2, \"x\": \"{token}\""));
    for (text, what) in [(broken.as_str(), "damaged"), (&text[..60], "damaged"), ("", "damaged")] {
        fs::write(&path, text).unwrap();
        let error = SecretsFile::open(&path, "edge", &[]).unwrap_err();
        let shown = format!("{error:?}");
        assert!(shown.contains(what) && !shown.contains(&token), "{shown}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "left as it was");
    }
    fs::write(&path, text.replace("\"version\": 2", "\"version\": 9")).unwrap();
    let shown = format!("{:?}", SecretsFile::open(&path, "edge", &[]).unwrap_err());
    assert!(shown.contains("version 9 is not supported"), "{shown}");
}
