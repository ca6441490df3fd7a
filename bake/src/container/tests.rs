use std::collections::BTreeMap;
use std::io::Cursor;

use super::manifest::{Named, Pinned, pin, read};
use super::{Reference, archive};
use crate::error::Fault;
use crate::io::digest::Sha256;

fn full(name: &str) -> Result<String, String> {
    name.parse::<Reference>().map(|reference| reference.to_string())
}

#[test]
fn names_mean_what_containerd_takes_them_for() {
    let hex = "0123456789abcdef".repeat(4);
    let pinned = format!("quay.io/a/b:1@sha256:{hex}");
    for (name, means) in [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.29", "docker.io/library/nginx:1.29"),
        ("rancher/klipper-lb:v0.4", "docker.io/rancher/klipper-lb:v0.4"),
        ("index.docker.io/library/a", "docker.io/library/a:latest"),
        ("docker.io/a", "docker.io/library/a:latest"),
        ("quay.io/metallb/controller:v0.16.1", "quay.io/metallb/controller:v0.16.1"),
        ("localhost/x", "localhost/x:latest"),
        ("localhost:5000/x/y__z:T_1.2-3", "localhost:5000/x/y__z:T_1.2-3"),
        ("[::1]:5000/x", "[::1]:5000/x:latest"),
        ("Registry/x", "Registry/x:latest"),
        ("a/b/c", "docker.io/a/b/c:latest"),
        (&pinned, &pinned),
    ] {
        assert_eq!(full(name).as_deref(), Ok(means), "{name}");
    }
    for wrong in [
        "",
        "Nginx",
        "a:",
        "a:b:c",
        "-a",
        "a//b",
        "a/../b",
        "a b",
        "a@sha256:12",
        "a_-b",
        "x.y:port/z",
    ] {
        assert!(full(wrong).is_err(), "{wrong}");
    }
}

const MANIFEST: &str = r#"# Ünïcode before it: places are bytes.
apiVersion: apps/v1
kind: Deployment
metadata: {name: "é", annotations: {image: "not/a:container"}}
spec:
  template:
    spec:
      initContainers: [{name: init, image: busybox:1}, {image: 'quay.io/q/q:2', name: z}]
      containers:
        - name: probe # the probe
          image:   registry.example/probe:1.2   # do not touch this
        - image: &same "registry.example/other:3"
          name: other
        - {name: third, image: *same}
      volumes:
        - name: data
          image: {reference: registry.example/data:4, pullPolicy: Never}
---
apiVersion: v1
kind: ConfigMap
data:
  pod.yaml: |
    containers:
      - image: in/a:text
---
{"kind": "List", "items": [{"kind": "Pod", "spec": {"containers": [{"image": "json/pod:5"}]}}]}
---
kind: CustomResourceDefinition
spec: {schema: {properties: {image: {type: string}, containers: {items: {properties: {image: {type: string}}}}}}}
---
kind: Plan
spec: {upgrade: {image: rancher/k3s-upgrade}}
"#;

#[test]
fn images_are_found_where_pods_name_them() {
    let found = images(MANIFEST).unwrap();
    let of = |pods: bool| -> Vec<(&str, usize)> {
        let some = found.iter().filter(|named| named.of_pod == pods);
        some.map(|named| (named.name.as_str(), named.line)).collect()
    };
    assert_eq!(
        of(true),
        [
            ("busybox:1", 8),
            ("quay.io/q/q:2", 8),
            ("registry.example/probe:1.2", 11),
            ("registry.example/other:3", 12),
            ("registry.example/other:3", 14),
            ("registry.example/data:4", 17),
            ("json/pod:5", 26),
        ]
    );
    assert_eq!(of(false), [("not/a:container", 4), ("rancher/k3s-upgrade", 32)]);
    let fault = images("a: [1\nb: }").unwrap_err();
    assert!(fault.at.is_some() && fault.message.contains("YAML"), "{fault:?}");
}

fn images(text: &str) -> Result<Vec<Named>, Fault> {
    Ok(read(text)?.images)
}

fn digests(names: &[&str]) -> BTreeMap<String, Sha256> {
    names.iter().map(|name| ((*name).to_owned(), Sha256::of(name.as_bytes()))).collect()
}

#[test]
fn pinning_adds_digests_and_changes_nothing_else() {
    let names = [
        "busybox:1",
        "quay.io/q/q:2",
        "registry.example/probe:1.2",
        "registry.example/other:3",
        "registry.example/data:4",
        "json/pod:5",
        "in/a:text",
        "rancher/k3s-upgrade",
    ];
    let known = digests(&names);
    let pinned = pin(MANIFEST, &known).unwrap();
    assert_eq!(pinned.loose, Vec::<String>::new());
    let pinned = pinned.text.unwrap();
    let mut expected = MANIFEST.to_owned();
    for (from, name) in [
        ("image: busybox:1", names[0]),
        ("'quay.io/q/q:2'", names[1]),
        ("image:   registry.example/probe:1.2", names[2]),
        ("\"registry.example/other:3\"", names[3]),
        ("registry.example/data:4", names[4]),
        ("\"json/pod:5\"", names[5]),
    ] {
        let to = from.replace(name, &format!("{name}@sha256:{}", known[name]));
        assert!(expected.contains(from));
        expected = expected.replace(from, &to);
    }
    let other = format!("{}@sha256:{}", names[3], known[names[3]]);
    expected = expected.replace("image: *same", &format!("image: {other}"));
    assert_eq!(pinned, expected);
    assert_eq!(pin(&pinned, &known).unwrap(), Pinned::default(), "once is enough");
    let none = pin(MANIFEST, &digests(&["absent:1"])).unwrap();
    assert_eq!((none.text, none.loose.len()), (None, 7));
    let some = pin(MANIFEST, &digests(&names[1..])).unwrap();
    assert_eq!(some.loose, names[..1]);
}

#[test]
fn what_cannot_be_pinned_in_place_is_a_fault() {
    let text = "containers:\n  - image: >-\n      some/image:1\n    name: a\n";
    let fault = pin(text, &digests(&["some/image:1"])).unwrap_err();
    assert!(fault.message.contains("cannot pin"), "{fault:?}");
}

fn archived(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn archives_tell_what_they_hold() {
    let docker = archived(&[
        ("layer.tar", "no matter what"),
        ("manifest.json", r#"[{"RepoTags":["rancher/pause:3.6","a:1"]},{"RepoTags":null}]"#),
    ]);
    let oci = archived(&[(
        "./index.json",
        r#"{"manifests":[{"annotations":{"io.containerd.image.name":"quay.io/m/c:v1",
            "org.opencontainers.image.ref.name":"v1"}},{"digest":"sha256:12"},
            {"annotations":{"org.opencontainers.image.ref.name":"quay.io/m/s:v1"}}]}"#,
    )]);
    let zstd = zstd::encode_all(&docker[..], 1).unwrap();
    let held = |bytes: Vec<u8>| archive::names(Cursor::new(bytes)).map(Vec::from_iter);
    let expected = ["docker.io/library/a:1", "docker.io/rancher/pause:3.6"];
    assert_eq!(held(docker).unwrap(), expected);
    assert_eq!(held(zstd).unwrap(), expected);
    assert_eq!(held(oci).unwrap(), ["quay.io/m/c:v1", "quay.io/m/s:v1"]);
    assert!(held(archived(&[("manifest.json", "{")])).is_err());
    assert!(held(b"no archive at all".to_vec()).is_err());
}

proptest::proptest! {
    /// Manifests that were cut and joined anywhere end in an answer; what was pinned stays pinned.
    #[test]
    fn damaged_manifests_end_in_an_answer(
        cuts in proptest::collection::vec((0..MANIFEST.len(), 0..12_usize, "[\\-:{}\\[\\]&*!|>'\" \nü#a]{0,3}"), 1..6),
    ) {
        let mut text = MANIFEST.to_owned();
        for (at, len, with) in cuts {
            let at = text.floor_char_boundary(at);
            let end = text.floor_char_boundary((at + len).min(text.len()));
            text.replace_range(at..end.max(at), &with);
        }
        let known: BTreeMap<String, Sha256> = match images(&text) {
            Ok(found) => digests(&found.iter().map(|n| n.name.as_str()).collect::<Vec<_>>()),
            Err(_) => digests(&["busybox:1"]),
        };
        if let Ok(Pinned { text: Some(pinned), loose }) = pin(&text, &known) {
            proptest::prop_assert!(pinned.len() > text.len());
            let again = Pinned { text: None, loose };
            proptest::prop_assert_eq!(pin(&pinned, &known).ok(), Some(again), "{}", pinned);
        }
    }
}
