//! What nodes share: the same for all of a role, and nothing that may not be seen.

use nodeconf::Role;

use super::fixtures::{BUILT, RELEASES, release};
use super::plans::{DATABASE, ETCD, SINGLE, profile};
use super::secrets::{known, needle};
use super::{bake, recipe_for, text};
use crate::profile::{ClusterSecrets, Member, Profile};
use crate::recipe::apply::{Applied, apply};
use crate::recipe::{Action, Recipe, Scope, Source};

fn secrets(profile: &Profile) -> ClusterSecrets {
    ClusterSecrets::generate(profile.cluster(), &profile.members(), 1_790_000_000).unwrap()
}

/// The recipe of every node, under secrets of its own, with its role.
fn recipes(release_name: &str, yaml: &str, sets: &[&str]) -> Vec<(Role, Recipe)> {
    let root = release(release_name);
    let profile = profile(yaml, sets);
    let of = |member: &Member| {
        let plan = profile.plan(&member.name, &secrets(&profile)).unwrap();
        (member.role, recipe_for(&root, &plan))
    };
    profile.members().iter().map(of).collect()
}

#[test]
fn nodes_of_a_role_share_one_golden_layer_whatever_their_secrets() {
    let full = [
        "system.wifi={ssid: Field Lab, psk: correct horse, country: DE}",
        "cluster.load_balancer={provider: metallb, addresses: [192.168.24.41-192.168.24.49]}",
    ];
    for (name, _) in RELEASES {
        for sets in [&[][..], &full] {
            let all = recipes(name, ETCD, sets);
            let digest = |i: usize| all[i].1.shared_digest();
            assert_eq!(digest(0), digest(1), "{name}");
            assert_eq!(digest(0), digest(2), "{name}");
            assert_ne!(digest(0), digest(3), "{name}: an agent has another unit");
        }
    }
}

#[test]
fn what_is_shared_holds_no_secret_and_names_no_node() {
    let root = release("bookworm");
    for yaml in [SINGLE, ETCD, DATABASE] {
        let wifi = "system.wifi={ssid: Field Lab, psk: correct horse, country: DE}";
        let profile = profile(yaml, &[wifi]);
        let secrets = secrets(&profile);
        let known = known(&secrets, true);
        for member in profile.members() {
            let plan = profile.plan(&member.name, &secrets).unwrap();
            let recipe = recipe_for(&root, &plan);
            let mut content = String::new();
            for edit in recipe.of(Scope::Shared) {
                content += &format!("{edit:#}\n");
                if let Action::Write { source: Source::Bytes(bytes), secret, .. } = &edit.action {
                    assert!(!secret, "{edit}");
                    content += &String::from_utf8_lossy(bytes);
                }
            }
            for secret in &known {
                assert!(!content.contains(needle(secret.secret)), "{}", secret.what);
            }
            assert!(!content.contains("correct horse"), "{content}");
            for Member { name, address, .. } in profile.members() {
                let address = address.map_or("no address".into(), |a| a.to_string());
                assert!(!content.contains(&name) && !content.contains(&address), "{name}");
            }
        }
    }
}

#[test]
fn golden_layers_of_two_nodes_are_equal_file_by_file() {
    let listing = |node: usize| {
        let all = recipes("trixie", ETCD, &[]);
        let mut root = release("trixie");
        let applied =
            apply(&mut root, all[node].1.of(Scope::Shared), BUILT, &Applied::default()).unwrap();
        (super::listing(&root), applied.files)
    };
    assert_eq!(listing(0), listing(1));
    assert_ne!(listing(0).0, listing(3).0);
}

#[test]
fn files_that_others_may_not_read_are_each_nodes_own() {
    let files =
        "files=[{path: /opt/open, content: a}, {path: /opt/closed, content: b, mode: '600'}]";
    let all = recipes("bookworm", SINGLE, &[files]);
    let scope = |path: &str| {
        let edit = all[0].1.edits.iter().find(|edit| edit.action.path() == path);
        edit.unwrap_or_else(|| panic!("{path}")).scope
    };
    assert_eq!(scope("/opt/open"), Scope::Shared);
    assert_eq!(scope("/opt/closed"), Scope::Node);
    assert_eq!(scope("/usr/local/bin/k3s"), Scope::Shared);
    assert_eq!(scope("/etc/bake/node.json"), Scope::Node);
}

#[test]
fn a_file_of_the_users_still_wins_over_what_bake_writes_there() {
    let sets = ["files=[{path: /etc/hosts, content: \"127.0.0.1 mine\\n\"}]"];
    let profile = profile(SINGLE, &sets);
    let plan = profile.plan("node1", &secrets(&profile)).unwrap();
    let mut root = release("bookworm");
    bake(&mut root, &plan);
    assert_eq!(text(&root, "/etc/hosts"), "127.0.0.1 mine\n");
}
