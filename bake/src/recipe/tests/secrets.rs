//! Who gets which secret: every file of every node is searched for every secret of the cluster.

use nodeconf::{Role, Secret, paths};

use super::fixtures::release;
use super::plans::{DATABASE, ETCD, SINGLE, profile};
use super::{apply_all, recipe_for};
use crate::fs::FileKind;
use crate::profile::{ClusterSecrets, Member};
use crate::recipe::{Action, Recipe, Source};

/// A secret, and who has it.
pub(super) struct Known<'a> {
    pub(super) what: String,
    pub(super) secret: &'a Secret,
    belongs: Box<dyn Fn(&Member) -> bool + 'a>,
}

pub(super) fn known(secrets: &ClusterSecrets, own_database: bool) -> Vec<Known<'_>> {
    let mut all = Vec::new();
    let mut add = |what: &str, secret, belongs| {
        all.push(Known { what: what.to_owned(), secret, belongs });
    };
    let pki = &secrets.pki;
    let nobody = || Box::new(|_: &Member| false) as Box<dyn Fn(&Member) -> bool>;
    let servers = || Box::new(|m: &Member| m.role == Role::Server) as Box<_>;
    for (what, identity) in [
        ("root", &pki.root),
        ("witness CA", &pki.witness_ca),
        ("database CA", &pki.database_ca),
        ("operator", &pki.operator),
    ] {
        add(what, &identity.key, nobody());
    }
    for (name, authority) in pki.k3s.files() {
        add(name, &authority.key, servers());
    }
    add("service key", &pki.service_key, servers());
    add("administrator", &pki.admin.key, servers());
    add("server token", &secrets.server_token, servers());
    add("agent token", &secrets.agent_token, Box::new(|m| m.role != Role::Database));
    let database = move |m: &Member| own_database && m.role != Role::Agent;
    add("database password", &secrets.database_password, Box::new(database));
    if let Some(own) = &pki.database {
        add("database key", &own.key, Box::new(|m| m.role == Role::Database));
    }
    for (name, record) in &secrets.nodes {
        add(name, &record.witness.key, Box::new(move |m| m.name == *name));
        let password = move |m: &Member| m.name == *name && m.role != Role::Database;
        add(name, &record.password, Box::new(password));
    }
    all
}

/// The text by which a secret is known: of a key a line that only it has.
pub(super) fn needle(secret: &Secret) -> &str {
    secret.expose().lines().nth(1).unwrap_or(secret.expose())
}

/// Everything a recipe writes, with what `--dry-run` prints of it.
fn written(recipe: &Recipe) -> (String, String) {
    let (mut content, mut printed) = (String::new(), String::new());
    for edit in &recipe.edits {
        printed += &format!("{edit:#}\n{edit:?}\n");
        match &edit.action {
            Action::Write { source: Source::Bytes(bytes), .. } => {
                content += &String::from_utf8_lossy(bytes);
            }
            Action::Amend { change, .. } => content += change.text().unwrap_or_default(),
            _ => {}
        }
    }
    (content, printed)
}

#[test]
fn every_node_holds_its_own_secrets_and_no_others() {
    let root = release("bookworm");
    for yaml in [SINGLE, ETCD, DATABASE] {
        let profile = profile(yaml, &[]);
        let members = profile.members();
        let secrets = ClusterSecrets::generate(profile.cluster(), &members, 1_790_000_000).unwrap();
        let known = known(&secrets, yaml == DATABASE);
        assert!(known.len() > 15);
        for member in &members {
            let plan = profile.plan(&member.name, &secrets).unwrap();
            let recipe = recipe_for(&root, &plan);
            let (content, _) = written(&recipe);
            for Known { what, secret, belongs } in &known {
                let holds = content.contains(needle(secret));
                assert_eq!(holds, belongs(member), "{} and {what}", member.name);
            }
            let vrrp = content.contains(needle(&secrets.vrrp_password));
            assert!(!vrrp || member.role == Role::Server, "{}", member.name);
        }
    }
}

#[test]
fn nothing_printed_holds_a_secret() {
    let root = release("bookworm");
    for yaml in [SINGLE, ETCD, DATABASE] {
        let profile = profile(yaml, &[]);
        let members = profile.members();
        let secrets = ClusterSecrets::generate(profile.cluster(), &members, 1_790_000_000).unwrap();
        for member in &members {
            let plan = profile.plan(&member.name, &secrets).unwrap();
            let json = serde_json::to_string(&plan.redacted()).unwrap();
            let (_, printed) = written(&recipe_for(&root, &plan));
            let shown = format!("{printed}{json}{:?}{plan:?}", plan.redacted());
            for Known { what, secret, .. } in known(&secrets, true) {
                assert!(!shown.contains(needle(secret)), "{} shows {what}", member.name);
            }
        }
    }
}

#[test]
fn keys_are_roots_alone_and_equal_in_time_on_all_servers() {
    let profile = profile(ETCD, &[]);
    let members = profile.members();
    let secrets = ClusterSecrets::generate(profile.cluster(), &members, 1_790_000_000).unwrap();
    for member in &members {
        let mut root = release("bookworm");
        let plan = profile.plan(&member.name, &secrets).unwrap();
        let recipe = recipe_for(&root, &plan);
        apply_all(&mut root, &recipe).unwrap();
        let at = |path: &str| root.lstat(path.as_bytes()).unwrap().unwrap();
        for file in &plan.pki.files {
            let found = at(&file.path).attributes;
            let mode = if file.private { 0o600 } else { 0o644 };
            assert_eq!((found.mode, found.uid, found.gid), (mode, 0, 0), "{}", file.path);
            assert_eq!(found.mtime, 1_790_000_000, "{}", file.path);
            let text = root.read(file.path.as_bytes(), 1 << 16).unwrap().unwrap();
            assert_eq!(text, file.text.expose().as_bytes());
            if file.private {
                let (parent, _) = file.path.rsplit_once('/').unwrap();
                assert_eq!(at(parent).attributes.mode, 0o700, "{parent}");
            }
        }
        let tls = root.lstat(paths::K3S_TLS.as_bytes()).unwrap();
        assert_eq!(tls.is_some(), member.role == Role::Server);
        assert!(tls.is_none_or(|m| m.kind == FileKind::Directory && m.attributes.mode == 0o700));
    }
}
