use std::collections::BTreeSet;

use super::*;

fn entry(id: &str, rest: &str) -> String {
    format!(
        "  - id: {id}\n    os: raspios\n    release: trixie\n    version: \"1\"\n    arch: arm64\n    \
         url: https://example.org/{id}.img.xz\n    format: xz\n{rest}"
    )
}

fn faults(text: &str) -> Vec<Fault> {
    match parse("test.yaml", text).unwrap_err() {
        Error::Invalid { faults, .. } => faults,
        other => panic!("{other}"),
    }
}

#[test]
fn every_shipped_file_is_embedded_and_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images");
    let files = yaml_files(&folder).unwrap();
    let names: BTreeSet<_> =
        files.iter().map(|p| p.file_name().unwrap().to_str().unwrap()).collect();
    let others = [&shipped::K3S, &shipped::MANIFESTS];
    let embedded = shipped::IMAGES.iter().chain(others).map(|(name, _)| *name);
    assert_eq!(names, embedded.collect());
    Catalogue::shipped().unwrap();
    let metallb = super::metallb().unwrap();
    assert!(metallb.url.contains(&format!("/{}/", metallb.version)), "{metallb:?}");
}

#[test]
fn every_promised_release_can_be_pulled() {
    let catalogue = Catalogue::shipped().unwrap();
    for name in [
        "raspios-lite-arm64-buster",
        "raspios-lite-armhf-buster",
        "raspios-lite-arm64-bullseye",
        "raspios-lite-armhf-bullseye",
        "raspios-lite-arm64-bookworm",
        "raspios-lite-armhf-bookworm",
        "raspios-lite-arm64-trixie",
        "raspios-lite-armhf-trixie",
        "ubuntu-server-arm64-22.04",
        "ubuntu-server-arm64-24.04",
        "ubuntu-server-arm64-26.04",
    ] {
        let entry = catalogue.find(name).unwrap();
        assert!(entry.request(None).is_ok(), "{name} is {}", entry.id);
    }
    let unconfirmed = catalogue.find("raspios-lite-armhf-bookworm-2026-09-15").unwrap();
    assert_eq!(unconfirmed.request(None).unwrap_err().exit(), crate::error::Exit::Refused);
    let digest = unconfirmed.sha256;
    assert_eq!(unconfirmed.request(digest).unwrap().sha256, digest);
    let focal = catalogue.find("ubuntu-server-arm64-20.04").unwrap().request(None).unwrap();
    assert_eq!((focal.sha256, focal.image_sha256), (None, None), "a signed list has its digest");
}

/// The fingerprint is computed from the key: what is in a file's name or in a comment is nothing.
#[test]
fn keys_are_those_that_the_entries_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/keys");
    let files = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name());
    let files: BTreeSet<_> = files.filter_map(|name| name.into_string().ok()).collect();
    let embedded = shipped::KEYS.iter().map(|(name, _)| (*name).to_owned());
    assert_eq!(files, embedded.chain(["README.md".to_owned()]).collect());
    let keyring = keyring(&[]).unwrap();
    let here: BTreeSet<String> = keyring.keys().iter().map(|key| key.certificate()).collect();
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let catalogue = Catalogue::shipped().unwrap();
    let mut named = BTreeSet::new();
    for entry in catalogue.entries() {
        let signature = entry.signature.as_ref().expect(&entry.id);
        named.extend(signature.keys.iter().cloned());
    }
    assert!(here.is_subset(&named), "{here:?}, {named:?}");
    for key in &named {
        assert!(readme.contains(key.as_str()), "{key}");
    }
    assert_eq!((here.len(), named.len()), (2, 3), "Raspberry Pi's newer key is not at hand");
}

#[test]
fn urls_look_as_the_vendors_make_them() {
    for entry in Catalogue::shipped().unwrap().entries() {
        let url = entry.url.as_str();
        let file = url.rsplit('/').next().unwrap();
        let arch = entry.arch.name();
        match entry.os.as_str() {
            "raspios" => {
                assert!(url.starts_with("https://downloads.raspberrypi.com/rasp"), "{url}");
                assert!(file.starts_with(&entry.version), "{url}");
                assert!(file.contains(&entry.release) && file.contains("-lite."), "{url}");
                assert!(url.contains(arch) || url.contains("raspbian"), "{url}");
            }
            "ubuntu" => {
                let name =
                    format!("ubuntu-{}-preinstalled-server-{arch}+raspi.img.xz", entry.version);
                assert!(url.starts_with("https://cdimage.ubuntu.com/releases/"), "{url}");
                assert_eq!(file, name);
            }
            other => panic!("{other}"),
        }
        let packed = if file.ends_with(".zip") { Packing::Zip } else { Packing::Xz };
        assert_eq!(entry.format, packed, "{url}");
        let series = entry.series.as_deref().unwrap();
        assert!(entry.id.starts_with(series) && series.contains(arch), "{}", entry.id);
    }
}

#[test]
fn no_two_images_share_a_digest_or_an_address() {
    let catalogue = Catalogue::shipped().unwrap();
    let mut seen = BTreeSet::new();
    for entry in catalogue.entries() {
        let digests = [entry.sha256, entry.image_sha256].into_iter().flatten();
        for mark in digests.map(|d| d.to_string()).chain([entry.url.to_string()]) {
            assert!(seen.insert(mark.clone()), "{}: {mark}", entry.id);
        }
    }
}

#[test]
fn a_series_is_its_newest_confirmed_entry() {
    let text = format!(
        "version: 1\nimages:\n{}{}{}",
        entry(
            "a-9",
            "    series: a\n    trust: confirmed\n    sha256: &d 92b94582eb7b34a8cf532e6006842b9ed215a6783cf56a3dd6271fd35243b2c0\n"
        ),
        entry("a-10", "    series: a\n    trust: confirmed\n    sha256: *d\n")
            .replace("\"1\"", "\"1.10\""),
        entry("a-11", "    series: a\n").replace("\"1\"", "\"1.11\""),
    );
    let mut catalogue = Catalogue::default();
    catalogue.add("test", parse("test", &text).unwrap()).unwrap();
    assert_eq!(catalogue.find("a").unwrap().id, "a-10");
    assert_eq!(catalogue.find("a-11").unwrap().id, "a-11");
}

#[test]
fn an_unknown_image_is_answered_with_a_near_one() {
    let catalogue = Catalogue::shipped().unwrap();
    let error = catalogue.find("raspios-lite-arm64-bookwurm").unwrap_err();
    assert!(error.hints()[0].contains("raspios-lite-arm64-bookworm"), "{:?}", error.hints());
    assert_eq!(error.exit(), crate::error::Exit::Usage);
}

#[test]
fn faults_say_where() {
    let twice = format!("version: 1\nimages:\n{}{}", entry("a", ""), entry("a", ""));
    let found = faults(&twice);
    assert_eq!((found.len(), found[0].at.unwrap().line), (1, 10), "{found:?}");
    let unknown = format!("version: 1\nimages:\n{}", entry("a", "    colour: red\n"));
    let found = faults(&unknown);
    assert_eq!(found[0].at.unwrap(), crate::error::Position { line: 10, column: 5 }, "{found:?}");
    assert!(found[0].message.contains("colour"), "{found:?}");
    for (text, line) in [
        ("version: 2\nimages: []\n".to_owned(), 1),
        (format!("version: 1\nimages:\n{}", entry("a b", "")), 3),
        (format!("version: 1\nimages:\n{}", entry("a", "    trust: confirmed\n")), 3),
        (format!("version: 1\nimages:\n{}", entry("a", "    sha256: 12\n")), 10),
        (format!("version: 1\nimages:\n{}", entry("a", "").replace("https", "ftp")), 8),
        ("version: 1\nimages: [\n".to_owned(), 2),
    ] {
        let found = faults(&text);
        assert_eq!(found[0].at.map(|p| p.line), Some(line), "{text}: {found:?}");
    }
}

#[test]
fn pins_of_k3s_are_found_by_asset() {
    assert!(k3s_pin("v1.37.1+k3s1", "k3s-arm64").unwrap().is_some());
    assert!(k3s_pin("v1.37.1+k3s1", "k3s-armhf").unwrap().is_none());
    assert!(k3s_pin("v9.9.9+k3s1", "k3s").unwrap().is_none());
}
