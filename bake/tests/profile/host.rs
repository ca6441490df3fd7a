use std::fs;
use std::path::Path;

use bake::profile::{ClusterSecrets, FileContent, ImageSource, NodePlan, Profile, Search};

use super::{GOOD, show};

/// A profile file beside the files it names.
fn folder(text: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("manifests")).unwrap();
    fs::write(dir.path().join("edge.yaml"), text).unwrap();
    for name in ["b.yaml", "a.yml", "notes.txt"] {
        fs::write(dir.path().join("manifests").join(name), name).unwrap();
    }
    fs::write(dir.path().join("motd"), "hello").unwrap();
    dir
}

fn read(dir: &Path) -> bake::error::Result<Profile> {
    let source = Search::within(Vec::new()).find(dir.join("edge.yaml").to_str().unwrap())?;
    Profile::read(&source, &[])
}

fn plan(profile: &Profile, node: &str) -> NodePlan {
    let secrets = ClusterSecrets::placeholder(profile.cluster(), &profile.members());
    profile.plan(node, &secrets).unwrap()
}

#[test]
fn manifests_files_and_images_are_found_beside_the_profile() {
    let text = GOOD.replace("image: raspios-lite-arm64-bookworm", "image: base.img.xz")
        + "manifests: [manifests/*.yaml, manifests/a.yml]\nfiles: [{path: /etc/motd, source: motd, mode: 0600}]\n";
    let dir = folder(&text);
    let profile = read(dir.path()).unwrap();
    assert_eq!(profile.secrets_path(None), dir.path().join("edge.secrets.json"));
    let server = plan(&profile, "node1");
    let names: Vec<&str> = server.manifests.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["a.yml", "b.yaml"]);
    assert!(server.manifests.iter().all(|m| m.mtime > 1_600_000_000));
    assert_eq!(server.image, ImageSource::File(dir.path().join("base.img.xz")));
    assert!(server.newest_input >= server.manifests[0].mtime);
    let file = &server.files[0];
    assert_eq!((file.path.as_str(), file.mode, file.uid), ("/etc/motd", 0o600, 0));
    assert!(
        matches!(&file.content, FileContent::Host(host) if host.path == dir.path().join("motd"))
    );
    let agent = plan(&profile, "worker1");
    assert!(agent.manifests.is_empty() && agent.files.len() == 1);
}

#[test]
fn the_digest_follows_the_content_of_files_and_not_their_place() {
    let text = format!(
        "{GOOD}manifests: [manifests/*.yaml]\nfiles: [{{path: /etc/motd, source: motd}}]\n"
    );
    let digest = |dir: &Path| {
        let profile = read(dir).unwrap();
        plan(&profile, "node1").inputs_digest(&Default::default()).unwrap()
    };
    let (one, two) = (folder(&text), folder(&text));
    assert_eq!(digest(one.path()), digest(two.path()));
    fs::write(two.path().join("motd"), "bye").unwrap();
    assert_ne!(digest(one.path()), digest(two.path()));
    fs::write(two.path().join("motd"), "hello").unwrap();
    fs::write(two.path().join("manifests/b.yaml"), "new").unwrap();
    assert_ne!(digest(one.path()), digest(two.path()));
}

#[test]
fn manifests_k3s_would_not_apply_are_faults() {
    let dir = folder(&format!("{GOOD}manifests: [manifests/*, more/b.yaml]\n"));
    fs::create_dir(dir.path().join("more")).unwrap();
    fs::write(dir.path().join("more/b.yaml"), "").unwrap();
    let Err(bake::error::Error::Invalid { faults, .. }) = read(dir.path()) else { panic!() };
    let shown: Vec<String> = faults.iter().map(show).collect();
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown[0].starts_with("14:13 manifests[0]: K3s would not apply `notes.txt`"));
    assert!(shown[1].contains("two files are named `b.yaml`"));
}
