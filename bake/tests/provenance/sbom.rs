//! Bills of materials, as far as their specifications can be held in a few lines; `ci/release-test`
//! asks the formats' own validators.

use std::collections::BTreeSet;

use bake::packages::Installed;
use bake::provenance::sbom::{Contents, Sbom};
use bake::provenance::{Base, Component};
use serde_json::Value;

fn base() -> Base {
    Base {
        name: "2026-06-18 lite.img".into(),
        os: "Debian GNU/Linux 12".into(),
        architecture: "arm64".into(),
        sha256: Some("ab".repeat(32)),
        verified: None,
    }
}

fn components() -> Vec<Component> {
    let component = |name: &str, version: Option<&str>, purl: Option<&str>| Component {
        name: name.into(),
        version: version.map(str::to_owned),
        sha256: "cd".repeat(32),
        purl: purl.map(str::to_owned),
    };
    vec![
        component("firstboot", None, None),
        component("k3s", Some("v1.36.5+k3s1"), Some("pkg:github/k3s-io/k3s@v1.36.5%2Bk3s1")),
        component("g++", Some("1"), Some("pkg:deb/debian/g%2B%2B@1?arch=arm64")),
    ]
}

fn installed() -> Vec<Installed> {
    let package = |name: &str, architecture: &str, source: &str| Installed {
        name: name.into(),
        architecture: architecture.into(),
        version: "1:2.36-9+deb12u1".into(),
        source: source.into(),
        source_version: "2.36-9".into(),
    };
    vec![
        package("g++", "arm64", "gcc-12"),
        package("g--", "arm64", "g--"),
        package("libc6", "arm64", "glibc"),
        package("libc6", "armhf", "glibc"),
    ]
}

fn sbom(base: &Base, installed: &[Installed], time: i64) -> Sbom {
    Sbom::new(&Contents {
        name: "edge-server-arm64",
        tool: "bake 1.2.3",
        base,
        distribution: "debian",
        components: &components(),
        installed,
        time,
    })
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn texts<'j>(list: &'j Value, key: &str) -> Vec<&'j str> {
    list.as_array().unwrap().iter().filter_map(|item| item[key].as_str()).collect()
}

#[test]
fn every_package_has_one_element_of_its_own() {
    let Sbom { spdx, cyclonedx } = sbom(&base(), &installed(), 1_750_000_000);
    let (spdx, cyclonedx) = (json(&spdx), json(&cyclonedx));
    // The image itself and its base, three components, four packages.
    let ids = texts(&spdx["packages"], "SPDXID");
    assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (9, 9), "{ids:?}");
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    assert!(ids.iter().all(|id| id.starts_with("SPDXRef-") && id.chars().all(allowed)), "{ids:?}");
    let related = texts(&spdx["relationships"], "relatedSpdxElement");
    assert!(related.iter().collect::<BTreeSet<_>>() == ids.iter().collect(), "{related:?}");
    let refs = texts(&cyclonedx["components"], "bom-ref");
    assert_eq!((refs.len(), refs.iter().collect::<BTreeSet<_>>().len()), (8, 8), "{refs:?}");
    let libc = &spdx["packages"].as_array().unwrap()[8];
    assert_eq!(libc["versionInfo"], "1:2.36-9+deb12u1");
    assert_eq!(libc["sourceInfo"], "built from the source package glibc 2.36-9");
    assert_eq!(
        libc["externalRefs"][0]["referenceLocator"],
        "pkg:deb/debian/libc6@1:2.36-9%2Bdeb12u1?arch=armhf"
    );
    let purls = texts(&cyclonedx["components"], "purl");
    assert_eq!(purls.len(), 7, "all but firstboot: {purls:?}");
    assert!(purls.contains(&"pkg:github/k3s-io/k3s@v1.36.5%2Bk3s1"));
}

#[test]
fn times_and_identifiers_come_from_the_content() {
    let one = sbom(&base(), &installed(), 1_750_000_000);
    assert_eq!(one, sbom(&base(), &installed(), 1_750_000_000));
    let (spdx, cyclonedx) = (json(&one.spdx), json(&one.cyclonedx));
    assert_eq!(spdx["creationInfo"]["created"], "2025-06-15T15:06:40Z");
    assert_eq!(cyclonedx["metadata"]["timestamp"], "2025-06-15T15:06:40Z");
    let uuid = cyclonedx["serialNumber"].as_str().unwrap().strip_prefix("urn:uuid:").unwrap();
    assert_eq!((uuid.len(), &uuid[14..15], &uuid[19..20]), (36, "8", "8"), "{uuid}");
    assert!(spdx["documentNamespace"].as_str().unwrap().ends_with(uuid));
    let other = sbom(&base(), &installed()[1..], 1_750_000_000);
    assert_ne!(json(&other.cyclonedx)["serialNumber"], cyclonedx["serialNumber"]);
    // No time is too odd to be written.
    assert_eq!(
        json(&sbom(&base(), &[], i64::MAX).spdx)["creationInfo"]["created"],
        "1970-01-01T00:00:00Z"
    );
}
