use std::os::unix::fs::PermissionsExt;

use nodeconf::Secret;

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
    assert_eq!(SecretsFile::peek(&path, "edge", &Keys::none()).unwrap(), None);
    let first = SecretsFile::open(&path, "edge", &members(&["node1"]), &Keys::none()).unwrap();
    assert_eq!(first.origin(), Origin::Created);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let again =
        SecretsFile::open(&path, "edge", &members(&["node1", "node2"]), &Keys::none()).unwrap();
    assert_eq!(again.origin(), Origin::Read);
    assert_eq!(again.secrets().nodes["node1"], first.secrets().nodes["node1"]);
    assert_eq!(again.secrets().server_token, first.secrets().server_token);
    let read = SecretsFile::peek(&path, "edge", &Keys::none()).unwrap().unwrap();
    assert!(read.nodes.contains_key("node2"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no litter");
}

#[test]
fn many_first_uses_at_once_agree() {
    let (_dir, path) = place();
    let opened: Vec<ClusterSecrets> = std::thread::scope(|scope| {
        let open = || {
            SecretsFile::open(&path, "edge", &members(&["n"]), &Keys::none())
                .unwrap()
                .secrets()
                .clone()
        };
        let runs: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert!(opened.iter().all(|s| *s == opened[0]));
}

#[test]
fn claims_are_kept() {
    let (_dir, path) = place();
    let mut one = SecretsFile::open(&path, "edge", &members(&["n", "m"]), &Keys::none()).unwrap();
    let mut two = SecretsFile::open(&path, "edge", &members(&["n", "m"]), &Keys::none()).unwrap();
    assert_eq!(one.claim(&claim("n", "a", false)).unwrap(), 1);
    assert_eq!(two.claim(&claim("m", "x", true)).unwrap(), 2);
    assert_eq!(two.claim(&claim("n", "a", false)).unwrap(), 1);
    assert_eq!(one.claim(&claim("n", "b", false)).unwrap(), 2);
    let read = SecretsFile::peek(&path, "edge", &Keys::none()).unwrap().unwrap();
    assert_eq!(read.nodes["m"].incarnation, 2);
    assert_eq!(read.nodes["n"].inputs.as_deref(), Some("b"));
}

#[test]
fn readable_by_others_is_refused_with_the_remedy() {
    let (_dir, path) = place();
    SecretsFile::open(&path, "edge", &[], &Keys::none()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = SecretsFile::open(&path, "edge", &[], &Keys::none()).unwrap_err();
    assert_eq!(error.exit(), Exit::Refused);
    assert!(error.hints()[0].starts_with("chmod 600 "));
}

#[test]
fn another_cluster_is_refused() {
    let (_dir, path) = place();
    SecretsFile::open(&path, "edge", &[], &Keys::none()).unwrap();
    let error = SecretsFile::open(&path, "other", &[], &Keys::none()).unwrap_err();
    assert_eq!(error.exit(), Exit::Refused);
}

#[test]
fn damage_is_located_and_never_quoted() {
    let (_dir, path) = place();
    let file = SecretsFile::open(&path, "edge", &[], &Keys::none()).unwrap();
    let token = file.secrets().server_token.expose().to_owned();
    let text = fs::read_to_string(&path).unwrap();
    let broken = text.replace("\"version\": 2", &format!("\"version\": 2, \"x\": \"{token}\""));
    for (text, what) in [(broken.as_str(), "damaged"), (&text[..60], "damaged"), ("", "damaged")] {
        fs::write(&path, text).unwrap();
        let error = SecretsFile::open(&path, "edge", &[], &Keys::none()).unwrap_err();
        let shown = format!("{error:?}");
        assert!(shown.contains(what) && !shown.contains(&token), "{shown}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "left as it was");
    }
    fs::write(&path, text.replace("\"version\": 2", "\"version\": 9")).unwrap();
    let shown = format!("{:?}", SecretsFile::open(&path, "edge", &[], &Keys::none()).unwrap_err());
    assert!(shown.contains("version 9 is not supported"), "{shown}");
}

/// A key of age's own making and its recipient.
fn key(dir: &Path) -> (Keys, String) {
    let path = dir.join("key.txt");
    let made = std::process::Command::new("age-keygen").arg("-o").arg(&path).output();
    assert!(made.expect("age-keygen (ci/install-deps installs it)").status.success());
    let text = fs::read_to_string(&path).unwrap();
    let public = text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    (Keys::new(vec![path], |_| Ok(None)), public.to_owned())
}

#[test]
fn sealed_secrets_stay_sealed_through_every_change() {
    let (dir, path) = place();
    let (keys, public) = key(dir.path());
    let lock = Lock::of(std::slice::from_ref(&public)).unwrap();
    let all = members(&["n", "m"]);
    let new = SecretsFile::open_or_make(&path, "edge", &all[..1], &keys, Some(lock)).unwrap();
    assert_eq!(new.origin(), Origin::Created);
    let token = new.secrets().server_token.expose().to_owned();
    let sealed = |when: &str| {
        let text = fs::read_to_string(&path).unwrap();
        assert!(sealed::is_sealed(text.as_bytes()) && !text.contains(&token), "{when}");
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{when}");
        text
    };
    let first = sealed("made");
    // A node is new, an image is made, a node goes.
    let mut file = SecretsFile::open(&path, "edge", &all, &keys).unwrap();
    assert_ne!(sealed("completed"), first);
    let mut other = SecretsFile::open(&path, "edge", &all, &keys).unwrap();
    assert_eq!(file.claim(&claim("n", "a", false)).unwrap(), 1);
    let claimed = sealed("claimed");
    assert_eq!(other.claim(&claim("m", "x", true)).unwrap(), 2, "knows what the other wrote");
    assert_ne!(sealed("claimed again"), claimed);
    other.retire("n").unwrap();
    sealed("retired");
    let read = SecretsFile::look(&path, "edge", &keys).unwrap().unwrap();
    assert_eq!(read.secrets().server_token.expose(), token);
    assert_eq!(
        (read.secrets().nodes["m"].incarnation, &read.secrets().recipients),
        (2, &vec![public])
    );
    assert_eq!(read.lock(), other.lock());
    // Unchanged inputs leave the very file.
    let before = sealed("looked at");
    assert_eq!(other.claim(&claim("m", "x", false)).unwrap(), 2);
    assert_eq!(sealed("nothing claimed"), before);
    let stranger = SecretsFile::open(&path, "edge", &all, &Keys::none()).unwrap_err();
    assert!(stranger.hints()[0].contains("--identity"), "{stranger:?}");
    assert_eq!(sealed("refused"), before);
    other.relock(None).unwrap();
    let clear = SecretsFile::open(&path, "edge", &all, &Keys::none()).unwrap();
    assert_eq!(clear.secrets().server_token.expose(), token);
    assert!(clear.lock().is_none() && clear.secrets().recipients.is_empty());
    assert!(!fs::read_to_string(&path).unwrap().contains("recipients"));
}

#[test]
fn a_passphrase_is_kept_for_writing_back() {
    let (_dir, path) = place();
    let keys = Keys::new(Vec::new(), |_| Ok(Some(Secret::new("tell nobody"))));
    let lock = Lock::Passphrase(Secret::new("tell nobody"));
    let all = members(&["n"]);
    SecretsFile::open_or_make(&path, "edge", &all, &keys, Some(lock)).unwrap();
    let mut file = SecretsFile::open(&path, "edge", &all, &keys).unwrap();
    assert_eq!(file.claim(&claim("n", "a", false)).unwrap(), 1);
    assert!(sealed::is_sealed(&fs::read(&path).unwrap()));
    let read = SecretsFile::peek(&path, "edge", &keys).unwrap().unwrap();
    assert_eq!(read.nodes["n"].inputs.as_deref(), Some("a"));
    let wrong = Keys::new(Vec::new(), |_| Ok(Some(Secret::new("tell everybody"))));
    let refused = SecretsFile::peek(&path, "edge", &wrong).unwrap_err();
    assert_eq!(refused.exit(), Exit::Usage);
    assert!(!format!("{refused:?}").contains("tell everybody"));
}

#[test]
fn a_file_that_age_itself_sealed_is_written_back_for_the_identities_at_hand() {
    let (dir, path) = place();
    let (keys, public) = key(dir.path());
    SecretsFile::open(&path, "edge", &members(&["n"]), &Keys::none()).unwrap();
    let by_hand = dir.path().join("sealed");
    let age = std::process::Command::new("age")
        .args(["-r", &public, "-o"])
        .args([&by_hand, &path])
        .status();
    assert!(age.unwrap().success());
    fs::rename(&by_hand, &path).unwrap();
    let mut file = SecretsFile::open(&path, "edge", &members(&["n"]), &keys).unwrap();
    file.claim(&claim("n", "a", false)).unwrap();
    let read = SecretsFile::look(&path, "edge", &keys).unwrap().unwrap();
    assert_eq!(read.lock(), Some(&Lock::Recipients(vec![public])));
}

#[test]
fn what_is_no_regular_file_is_not_waited_for() {
    let (dir, path) = place();
    let folder = dir.path().to_owned();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    for path in [path, folder, "/dev/zero".into()] {
        let error = SecretsFile::open(&path, "edge", &members(&["n"]), &Keys::none()).unwrap_err();
        assert_eq!(error.exit(), Exit::Refused, "{}: {error}", path.display());
        assert_eq!(
            SecretsFile::peek(&path, "edge", &Keys::none()).unwrap_err().exit(),
            Exit::Refused
        );
    }
}
