//! Attestations: what stands in them, and what is refused.

use std::collections::BTreeMap;

use bake::error::Error;
use bake::provenance::attestation::{BUILD_TYPE, PREDICATE, Resource, STATEMENT};
use bake::provenance::{Attestation, Base, Component, Record, Subject, VERSION};

fn record() -> Record {
    Record {
        version: VERSION,
        tool: "bake 1.2.3".into(),
        node: Subject {
            profile: "edge".into(),
            profile_sha256: Some("aa".repeat(32)),
            lock_sha256: None,
            cluster: "edge".into(),
            name: Some("node1".into()),
            role: nodeconf::Role::Server,
            incarnation: Some(2),
        },
        base: Base {
            name: "my base.img".into(),
            os: "Debian GNU/Linux 12".into(),
            architecture: "arm64".into(),
            sha256: None,
            verified: None,
        },
        components: vec![Component {
            name: "keepalived".into(),
            version: Some("1:2.2.7-1+b2".into()),
            sha256: "bb".repeat(32),
            purl: Some("pkg:deb/debian/keepalived@1:2.2.7-1%2Bb2?arch=arm64".into()),
        }],
        packages: Vec::new(),
        container_images: BTreeMap::new(),
        shared: String::new(),
        time: 1_750_000_000,
        files: Vec::new(),
    }
}

#[test]
fn it_says_what_was_made_of_what() {
    let subject = vec![Resource::new("node1.img", "cc".repeat(32))];
    let attestation = Attestation::new(&record(), subject);
    let json: serde_json::Value = serde_json::from_str(&attestation.to_json()).unwrap();
    assert_eq!(json["_type"], STATEMENT);
    assert_eq!(json["predicateType"], PREDICATE);
    assert_eq!(json["subject"][0]["digest"]["sha256"], "cc".repeat(32));
    let build = &json["predicate"]["buildDefinition"];
    assert_eq!(build["externalParameters"]["node"], "node1");
    assert_eq!(build["externalParameters"]["role"], "server");
    assert_eq!(build["externalParameters"]["profile"]["digest"]["sha256"], "aa".repeat(32));
    assert_eq!(build["internalParameters"]["sourceDateEpoch"], 1_750_000_000);
    assert_eq!(build["internalParameters"]["incarnation"], 2);
    let dependencies = build["resolvedDependencies"].as_array().unwrap();
    // A base whose digest nobody took has a name only, and is not passed over.
    assert_eq!(dependencies[0]["uri"], "pkg:generic/my%20base.img");
    assert_eq!(dependencies[0].get("digest"), None);
    assert_eq!(dependencies[1]["digest"]["sha256"], "bb".repeat(32));
    assert_eq!(json["predicate"]["runDetails"]["builder"]["version"]["bake"], "1.2.3");
    assert_eq!(Attestation::parse("it", attestation.to_json().as_bytes()).unwrap(), attestation);
}

#[test]
fn what_others_attest_is_not_ours() {
    let text = Attestation::new(&record(), Vec::new()).to_json();
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        Attestation::parse("it", text.replacen(from, to, 1).as_bytes()).unwrap_err()
    };
    for (field, value) in
        [("_type", STATEMENT), ("predicateType", PREDICATE), ("buildType", BUILD_TYPE)]
    {
        let error = refused(value, "https://example.org/other");
        assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
        assert!(error.to_string().contains(field), "{error}");
    }
    assert!(matches!(refused("\"predicate\"", "\"pradicate\""), Error::Unsupported { .. }));
    assert!(matches!(refused("sourceDateEpoch", "date"), Error::Corrupt { .. }));
    assert!(Attestation::parse("it", b"[]").is_err());
    // What a later version adds does not matter.
    let more = text.replacen("\"subject\"", "\"more\": 1, \"subject\"", 1);
    assert!(Attestation::parse("it", more.as_bytes()).is_ok());
    let digest = BTreeMap::from([("sha512".to_owned(), "dd".to_owned())]);
    assert_eq!(Resource { digest, ..Resource::default() }.sha256(), None);
}

#[test]
fn what_differs_is_told_what_went_in_first() {
    let output = |digit: &str| vec![Resource::new("node1.img", digit.repeat(64))];
    let was = Attestation::new(&record(), output("c"));
    assert_eq!(was.differences(&was), [""; 0]);
    let mut other = record();
    other.node.profile = "renamed".into();
    other.base.sha256 = Some("e".repeat(64));
    let mut again = Attestation::new(&other, output("c"));
    again.predicate.run_details = was.predicate.run_details.clone();
    assert_eq!(was.differences(&again), [""; 0], "a name, and what nobody knew then");
    other.tool = "bake 1.2.4".into();
    other.node.lock_sha256 = Some("f".repeat(64));
    other.node.incarnation = Some(3);
    other.components[0].sha256 = "d".repeat(64);
    other.components.push(Component { name: "metallb".into(), ..other.components[0].clone() });
    let lines = was.differences(&Attestation::new(&other, output("a")));
    let begin = [
        "bake: it was 1.2.3, and is 1.2.4",
        "incarnation: it was 2, and is 3",
        "lock: it was not there",
        "keepalived: its sha256 was bbbb",
        "metallb: it was not there",
        "output /etc/bake/record.json: its sha256 was ",
        "output node1.img: its sha256 was cccc",
    ];
    assert_eq!(lines.len(), begin.len(), "{lines:?}");
    for (line, begin) in lines.iter().zip(begin) {
        assert!(line.starts_with(begin), "{line}");
    }
}
