use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::*;
use crate::io::sealed::Keys;

/// Servers of these names.
pub fn members(names: &[&str]) -> Vec<Member> {
    let member = |(i, name): (usize, &&str)| Member {
        name: (*name).to_owned(),
        role: Role::Server,
        address: Some(Ipv4Addr::new(192, 0, 2, u8::try_from(i + 1).unwrap())),
    };
    names.iter().enumerate().map(member).collect()
}

pub fn claim<'a>(node: &'a str, inputs: &'a str, replace: bool) -> Claim<'a> {
    Claim { node, inputs, shape: "", replace }
}

fn secrets(names: &[&str]) -> ClusterSecrets {
    ClusterSecrets::generate("edge", &members(names), 1_790_000_000).unwrap()
}

#[test]
fn incarnations_rise_when_the_image_changes() {
    let mut secrets = secrets(&["node1"]);
    assert_eq!(secrets.claim(&claim("node1", "a", false)), Some((1, true)));
    assert_eq!(secrets.claim(&claim("node1", "a", false)), Some((1, false)));
    assert_eq!(secrets.claim(&claim("node1", "b", false)), Some((2, true)));
    assert_eq!(secrets.claim(&claim("node1", "b", true)), Some((3, true)));
    assert_eq!(secrets.claim(&claim("node1", "b", false)), Some((3, false)));
    assert_eq!(secrets.claim(&claim("nobody", "b", false)), None);
}

#[test]
fn a_card_baked_after_its_node_left_is_another_one() {
    let mut secrets = secrets(&["node1", "node2"]);
    assert_eq!(secrets.claim(&claim("node1", "a", false)), Some((1, true)));
    assert!(secrets.retire("node1") && !secrets.retire("node1"));
    assert_eq!(secrets.claim(&claim("node1", "a", false)), Some((2, true)));
    assert_eq!(secrets.claim(&claim("node1", "a", false)), Some((2, false)));
    assert!(!secrets.retire("node2"), "never baked");
    assert_eq!(secrets.claim(&claim("node2", "a", false)), Some((1, true)));
}

/// One server grows to three: the two new ones must not be a majority of first cards.
#[test]
fn only_servers_of_the_first_shape_have_first_incarnations() {
    let mut secrets = secrets(&["node1", "node2", "node3"]);
    let claim = |node, inputs, shape| Claim { node, inputs, shape, replace: false };
    assert_eq!(secrets.claim(&claim("node1", "a", "one")), Some((1, true)));
    assert_eq!(secrets.claim(&claim("node2", "a", "three")), Some((2, true)));
    assert_eq!(secrets.claim(&claim("node2", "a", "three")), Some((2, false)));
    assert_eq!(secrets.claim(&claim("node1", "b", "three")), Some((2, true)));
    assert_eq!(secrets.claim(&claim("node3", "a", "three")), Some((2, true)));
    let mut older = self::secrets(&["node1", "node2"]);
    older.claim(&claim("node1", "a", "one"));
    older.first_shape = None;
    assert_eq!(older.claim(&claim("node2", "a", "two")), Some((2, true)), "nobody knows");
}

#[test]
fn replacing_before_the_first_bake_raises_too() {
    assert_eq!(secrets(&["node1"]).claim(&claim("node1", "a", true)), Some((2, true)));
}

#[test]
fn secrets_differ_and_have_their_shapes() {
    let (one, two) = (secrets(&["node1", "node2"]), secrets(&["node1"]));
    assert_ne!(one.id, two.id);
    assert_ne!(one.server_token, two.server_token);
    assert_ne!(one.server_token, one.agent_token);
    assert_ne!(one.nodes["node1"].password, one.nodes["node2"].password);
    assert_ne!(one.nodes["node1"].witness, one.nodes["node2"].witness);
    assert_eq!(one.vrrp_password.expose().len(), 8);
    assert_eq!(one.server_token.expose().len(), 48);
    assert_eq!((one.id.len(), &one.id[14..15]), (36, "4"));
    assert!(matches!(&one.id[19..20], "8" | "9" | "a" | "b"));
}

/// Every key of the file, by what it is.
fn keys(value: &serde_json::Value, at: &str, found: &mut Vec<(String, String)>) {
    match value {
        serde_json::Value::Object(map) => {
            map.iter().for_each(|(key, value)| keys(value, &format!("{at}.{key}"), found));
        }
        serde_json::Value::String(text) if text.contains("PRIVATE KEY") => {
            found.push((at.to_owned(), text.clone()));
        }
        _ => {}
    }
}

#[test]
fn all_keys_differ_and_none_shows() {
    let members = [members(&["node1", "node2"]), vec![database(7)]].concat();
    let secrets = ClusterSecrets::generate("edge", &members, 1_790_000_000).unwrap();
    let mut found = Vec::new();
    keys(&serde_json::to_value(&secrets).unwrap(), "", &mut found);
    // Root, five of K3s, service, witness and database authorities, operator, administrator,
    // database server, three witnesses.
    assert_eq!(found.len(), 15, "{found:?}");
    let shown = format!("{secrets:?}");
    for (i, (at, key)) in found.iter().enumerate() {
        assert!(found[..i].iter().all(|(_, other)| other != key), "{at}");
        assert!(!shown.contains(key.lines().nth(1).unwrap()), "{at}");
        let sec1 = at.contains(".k3s.") || at.ends_with("service_key");
        assert_eq!(key.contains("EC PRIVATE KEY"), sec1, "{at}");
    }
}

fn database(last: u8) -> Member {
    Member {
        name: "db".into(),
        role: Role::Database,
        address: Some(Ipv4Addr::new(192, 0, 2, last)),
    }
}

#[test]
fn the_databases_certificate_follows_its_address() {
    let mut secrets = secrets(&["node1"]);
    assert_eq!(secrets.pki.database, None);
    assert!(secrets.complete(&[database(7)], 0).unwrap());
    let first = secrets.pki.database.clone().unwrap();
    assert!(!secrets.complete(&[database(7)], 0).unwrap());
    assert!(secrets.complete(&[database(8)], 0).unwrap());
    let second = secrets.pki.database.clone().unwrap();
    assert_ne!(first.certificate, second.certificate);
    let ca = &secrets.pki.database_ca.certificate;
    assert!(verify(ca, &second.certificate, &["-verify_ip", "192.0.2.8"]));
    assert!(!verify(ca, &second.certificate, &["-verify_ip", "192.0.2.7"]));
}

#[test]
fn a_node_that_becomes_a_server_gets_a_vote() {
    let mut secrets = secrets(&["node1"]);
    let agent = Member { role: Role::Agent, ..members(&["node1"]).remove(0) };
    let before = secrets.nodes["node1"].clone();
    assert!(secrets.complete(&[agent], 0).unwrap());
    let after = secrets.nodes["node1"].clone();
    assert_eq!((after.votes, &after.password), (false, &before.password));
    let ca = &secrets.pki.witness_ca.certificate;
    let name = nodeconf::names::witness_name("node1", &secrets.id);
    let client = ["-purpose", "sslclient"];
    let server = ["-purpose", "sslserver", "-verify_hostname", &name];
    for (record, votes) in [(&before, true), (&after, false)] {
        assert_eq!(verify(ca, &record.witness.certificate, &client), votes);
        assert!(verify(ca, &record.witness.certificate, &server));
    }
    let operator = &secrets.pki.operator.certificate;
    assert!(verify(ca, operator, &client) && !verify(ca, operator, &server[..2]));
}

/// Whether OpenSSL accepts `certificate` below `ca`.
fn verify(ca: &str, certificate: &str, more: &[&str]) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let (ca, certificate) = (put("ca", ca), put("leaf", certificate));
    let mut command = Command::new("openssl");
    command.args(["verify", "-x509_strict"]).args(more).arg("-CAfile").arg(ca).arg(certificate);
    command.output().expect("openssl").status.success()
}

#[test]
fn the_file_of_each_authority_is_one_certificate_and_leads_to_the_root_too() {
    let secrets = secrets(&[]);
    for (name, authority) in secrets.pki.k3s.files() {
        assert_eq!(authority.certificate.matches("BEGIN CERTIFICATE").count(), 1, "{name}");
        assert!(verify(&authority.certificate, &authority.certificate, &[]), "{name}");
        assert!(verify(&secrets.pki.root.certificate, &authority.cross, &[]), "{name}");
    }
    let client = &secrets.pki.k3s.client.certificate;
    assert!(verify(client, &secrets.pki.admin.certificate, &["-purpose", "sslclient"]));
    assert!(!verify(&secrets.pki.k3s.etcd_server.certificate, &secrets.pki.admin.certificate, &[]));
}

#[test]
fn the_pin_of_a_token_is_what_sha256sum_says_of_the_file() {
    let secrets = secrets(&[]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("server-ca.crt");
    fs::write(&file, &secrets.pki.k3s.server.certificate).unwrap();
    let out = Command::new("sha256sum").arg(&file).output().unwrap().stdout;
    let sum = String::from_utf8(out).unwrap()[..64].to_owned();
    let token = secrets.pki.pinned_token("server", &Secret::new("pass"));
    assert_eq!(token.expose(), format!("K10{sum}::server:pass"));
}

const FIRST: &str = r#"{
  "version": 1, "cluster": "edge", "id": "6f1c2a52-7f0e-4d57-9d3c-2f4a1b0c9e77",
  "server_token": "st", "agent_token": "at", "vrrp_password": "vp", "database_password": "dp",
  "nodes": {
    "node1": {"password": "n1", "incarnation": 3, "inputs": "abc"},
    "gone": {"password": "g", "incarnation": 2, "inputs": null}
  }
}"#;

#[test]
fn version_1_is_completed_in_place_and_keeps_all_it_had() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("edge.secrets.json");
    fs::write(&path, FIRST).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let peeked = SecretsFile::peek(&path, "edge", &Keys::none()).unwrap().unwrap();
    assert_eq!(peeked.pki.root.key.expose(), pki::PLACEHOLDER);
    assert_eq!(fs::read_to_string(&path).unwrap(), FIRST, "looking changes nothing");
    let all = members(&["node1", "node2"]);
    let opened = SecretsFile::open(&path, "edge", &all, &Keys::none()).unwrap();
    assert_eq!(opened.origin(), Origin::Completed);
    let secrets = opened.secrets();
    assert_eq!(secrets.id, "6f1c2a52-7f0e-4d57-9d3c-2f4a1b0c9e77");
    let tokens = [&secrets.server_token, &secrets.agent_token, &secrets.vrrp_password];
    assert_eq!(tokens.map(Secret::expose), ["st", "at", "vp"]);
    let record = &secrets.nodes["node1"];
    let inputs = record.inputs.as_deref();
    assert_eq!((record.incarnation, inputs, record.votes), (3, Some("abc"), true));
    assert_eq!(secrets.nodes["gone"].incarnation, 2);
    assert!(secrets.created > 1_700_000_000);
    let ca = &secrets.pki.witness_ca.certificate;
    for name in ["node1", "node2", "gone"] {
        assert!(verify(ca, &secrets.nodes[name].witness.certificate, &[]), "{name}");
    }
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains(pki::PLACEHOLDER));
    let again = SecretsFile::open(&path, "edge", &all, &Keys::none()).unwrap();
    assert_eq!(again.secrets(), secrets);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}
