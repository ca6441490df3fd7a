//! Which keys and certificates a node gets, and where they lie.

use nodeconf::{Secret, paths};

use super::arguments::own_database;
use super::check::{Checked, Node};
use super::plan::{PkiDirectory, PkiFile, PkiPlan};
use super::raw::Role;
use super::secrets::{ClusterSecrets, Pki};
use crate::pki::Identity;

/// Only servers get what lets others join or command; nobody gets the key of the root, of the
/// witnesses' authority or of the database's.
pub fn plan(profile: &Checked, node: &Node, secrets: &ClusterSecrets) -> PkiPlan {
    let (pki, database) = (&secrets.pki, own_database(profile));
    let mut plan = PkiPlan { time: secrets.created, directories: Vec::new(), files: Vec::new() };
    plan.directory(paths::WITNESS_DIR, 0o700);
    plan.certificate(paths::WITNESS_CA, &pki.witness_ca.certificate);
    if let Some(record) = secrets.nodes.get(&node.name) {
        plan.identity(paths::WITNESS_CERT, paths::WITNESS_KEY, &record.witness);
    }
    match node.role {
        Role::Server => {
            server(&mut plan, pki);
            if database {
                plan.directory(paths::DATABASE_DIR, 0o755);
                plan.certificate(paths::DATABASE_CA, &pki.database_ca.certificate);
            }
        }
        Role::Agent => {
            plan.directory(parent(paths::API_CA), 0o755);
            plan.certificate(paths::API_CA, &pki.k3s.server.certificate);
        }
        Role::Database => {
            plan.directory(paths::DATABASE_DIR, 0o700);
            plan.certificate(paths::DATABASE_CA, &pki.database_ca.certificate);
            if let Some(own) = &pki.database {
                plan.certificate(paths::DATABASE_CERT, &own.certificate);
                plan.key(paths::DATABASE_KEY, &own.key);
            }
        }
    }
    plan.files.sort();
    plan
}

fn server(plan: &mut PkiPlan, pki: &Pki) {
    plan.directory(parent(paths::API_CA), 0o700);
    plan.certificate(paths::API_CA, &pki.k3s.server.certificate);
    plan.identity(paths::API_ADMIN_CERT, paths::API_ADMIN_KEY, &pki.admin);
    // As K3s makes them.
    plan.directory(parent(paths::K3S_TLS), 0o700);
    plan.directory(paths::K3S_TLS, 0o700);
    plan.directory(&format!("{}/etcd", paths::K3S_TLS), 0o700);
    for (name, authority) in pki.k3s.files() {
        plan.certificate(&format!("{}/{name}.crt", paths::K3S_TLS), &authority.certificate);
        plan.key(&format!("{}/{name}.key", paths::K3S_TLS), &authority.key);
    }
    plan.key(&format!("{}/service.key", paths::K3S_TLS), &pki.service_key);
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("/", |(parent, _)| parent)
}

impl PkiPlan {
    fn directory(&mut self, path: &str, mode: u16) {
        self.directories.push(PkiDirectory { path: path.to_owned(), mode });
    }

    fn certificate(&mut self, path: &str, pem: &str) {
        self.files.push(PkiFile { path: path.to_owned(), text: Secret::new(pem), private: false });
    }

    fn key(&mut self, path: &str, pem: &Secret) {
        self.files.push(PkiFile { path: path.to_owned(), text: pem.clone(), private: true });
    }

    fn identity(&mut self, certificate: &str, key: &str, identity: &Identity) {
        self.certificate(certificate, &identity.certificate);
        self.key(key, &identity.key);
    }
}
