use super::*;

fn digest(byte: u8) -> Sha256 {
    Sha256::of(&[byte])
}

fn lock() -> Lock {
    let package = |name: &str, version: &str, byte| Package {
        name: name.into(),
        version: version.into(),
        architecture: "arm64".into(),
        source: Some(format!("http://deb.example/pool/{name}.deb")),
        size: 7,
        sha256: digest(byte),
    };
    Lock {
        version: VERSION,
        bake: env!("CARGO_PKG_VERSION").into(),
        profile: "p".into(),
        time: 1_790_000_000,
        base: Base {
            image: "pi-os".into(),
            architecture: "arm64".into(),
            source: Some("https://example.org/a.img.xz".into()),
            sha256: digest(1),
            image_size: 4 << 20,
            image_sha256: digest(2),
            verified: Some("digest, signature by ABCD".into()),
        },
        parts: vec![Part {
            name: "k3s".into(),
            version: Some("v1.36.5+k3s1".into()),
            file: None,
            source: Some("https://example.org/k3s".into()),
            size: 9,
            sha256: digest(3),
        }],
        files: vec![OwnFile { path: "m/a.yaml".into(), size: 3, sha256: digest(4) }],
        packages: vec![
            package("haproxy", "2.6.12-1+deb12u3", 5),
            package("keepalived", "1:2.2.7", 6),
            package("libnl", "3.7", 7),
        ],
        selections: vec![Selection {
            wanted: vec!["haproxy".into(), "keepalived".into()],
            batches: vec![vec!["libnl".into()], vec!["haproxy".into(), "keepalived".into()]],
        }],
        container_images: vec![ContainerImage::by_digest("example.org/vip:1", Some(digest(8)))],
    }
}

fn locked(lock: &Lock) -> Locked {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.lock.yaml");
    lock.write(&path).unwrap();
    Locked::read(&path).unwrap().unwrap()
}

#[test]
fn what_is_written_is_read_and_people_can_read_it_too() {
    let text = lock().render().unwrap();
    assert_eq!(Lock::parse("p.lock.yaml", &text).unwrap(), lock());
    for line in [
        "# What the images of profile p are made of, pinned by digest. `bake lock` wrote it; a",
        "- name: haproxy",
        "  version: 2.6.12-1+deb12u3",
        "  source: http://deb.example/pool/haproxy.deb",
        "container_images:",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}: {text}");
    }
}

#[test]
fn faults_say_where() {
    let text = lock().render().unwrap();
    for (from, to, part) in [
        ("size: 7", "size: many", "invalid u64"),
        (
            "- name: example.org/vip:1",
            "- name: a\n- name: b",
            "container image a needs exactly one",
        ),
        ("- name: example.org/vip:1", "- name: c\n  as_named: true", "container image c needs"),
        ("profile: p", "profile: p\ncolour: red", "colour"),
        ("version: 2", "version: 1", "version 1 is not known"),
        ("version: 2", "version: 3\ncolour: red", "version 3 is not known"),
    ] {
        let error = Lock::parse("p.lock.yaml", &text.replacen(from, to, 1)).unwrap_err();
        let crate::error::Error::Invalid { faults, .. } = &error else { panic!("{error}") };
        assert!(faults[0].message.contains(part), "{faults:?}");
    }
    let other = Lock { bake: "0.0.9".into(), ..lock() };
    let dir = tempfile::tempdir().unwrap();
    other.write(&dir.path().join("l")).unwrap();
    let error = Locked::read(&dir.path().join("l")).unwrap_err();
    assert_eq!(error.exit(), crate::error::Exit::Verification);
    assert!(error.to_string().contains("bake 0.0.9"), "{error}");
    for time in [-1, 4_354_819_200, i64::MAX] {
        Lock { time, ..lock() }.write(&dir.path().join("l")).unwrap();
        let error = Locked::read(&dir.path().join("l")).unwrap_err();
        assert_eq!(error.exit(), crate::error::Exit::Verification);
        assert!(error.to_string().contains(&format!("`time` {time} is not")), "{error}");
    }
}

/// What the fuzzer begins with has to follow the format.
#[test]
fn the_seed_of_the_fuzzer_is_a_lock() {
    let seed = include_str!("../../fuzz/seeds/lock/edge.lock.yaml");
    let lock = Lock::parse("edge.lock.yaml", seed).unwrap();
    assert_eq!(Lock::parse("again", &lock.render().unwrap()).unwrap(), lock);
}

#[test]
fn changes_are_told_by_what_people_know() {
    let mut new = lock();
    new.packages[0].version = "2.6.12-1+deb12u4".into();
    new.packages[0].sha256 = digest(9);
    new.packages[1].sha256 = digest(10);
    new.parts[0].version = Some("v1.37.1+k3s1".into());
    new.files.clear();
    new.container_images[0].sha256 = Some(digest(11));
    new.base.source = Some("https://example.org/b.img.xz".into());
    let lines = lock().changes(&new);
    assert_eq!(
        lines[..5],
        [
            "base a.img.xz -> b.img.xz",
            "container image example.org/vip:1 sha256 beead77994cf5733… -> sha256 e7cf46a078fed4fa…",
            "file m/a.yaml: gone, was 3 bytes",
            "k3s v1.36.5+k3s1 -> v1.37.1+k3s1",
            "package haproxy 2.6.12-1+deb12u3 -> 2.6.12-1+deb12u4",
        ]
    );
    assert!(lines[5].starts_with("package keepalived 1:2.2.7: other bytes, sha256 "), "{lines:?}");
    assert_eq!((lines.len(), lock().changes(&lock()).len()), (6, 0));
    let mut new = lock();
    new.base.verified = None;
    new.base.source = None;
    new.base.image = "a.img.xz".into();
    new.parts[0].source = Some("https://example.com/k3s".into());
    assert_eq!(
        lock().changes(&new),
        [
            "base a.img.xz: from https://example.org/a.img.xz -> a file of yours",
            "base verified by digest, signature by ABCD -> nothing",
            "k3s v1.36.5+k3s1: from https://example.org/k3s -> https://example.com/k3s",
        ]
    );
}

#[test]
fn what_is_not_pinned_is_refused() {
    let locked = locked(&lock());
    let names = ["keepalived".to_owned(), "haproxy".to_owned()];
    let chosen = locked.selection(&names).unwrap();
    let shown: Vec<_> = chosen.iter().map(|(batch, p)| (*batch, p.name.as_str())).collect();
    assert_eq!(shown, [(0, "libnl"), (1, "haproxy"), (1, "keepalived")]);
    for error in [
        locked.selection(&names[..1]).unwrap_err(),
        locked.base("ubuntu").unwrap_err(),
        locked.part("metallb", None).unwrap_err(),
        locked.part("k3s", Some("v1.37.1+k3s1")).unwrap_err(),
        locked.file(std::path::Path::new("m/b.yaml")).unwrap_err(),
        locked.same("k3s", digest(1), &digest(2).to_string()).unwrap_err(),
    ] {
        assert_eq!(error.exit(), crate::error::Exit::Verification, "{error}");
        assert!(error.hints()[0].contains("bake lock --update"), "{error}");
    }
    locked.file(std::path::Path::new("./m/a.yaml")).unwrap();
    locked.base("pi-os").unwrap();
    locked.part("k3s", Some("v1.36.5+k3s1")).unwrap();
}

#[test]
fn a_file_is_called_the_same_however_its_profile_is_named() {
    for (folder, path) in [
        ("", "./m/a.yaml"),
        (".", "m/a.yaml"),
        ("./", "./m/a.yaml"),
        ("../p", "../p/m/a.yaml"),
        ("/p", "/p/./m/a.yaml"),
    ] {
        let called = super::own_path(folder.as_ref(), path.as_ref());
        assert_eq!(called, "m/a.yaml", "{folder}: {path}");
    }
}
