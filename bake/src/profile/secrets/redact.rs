//! Secrets as people may see them.

use nodeconf::Secret;

use super::{Authorities, ClusterSecrets, DatabaseIdentity, K3sAuthority, Next, NodeRecord, Pki};
use crate::pki::Identity;

const SHOWN: &str = "[redacted]";

impl ClusterSecrets {
    /// Everything but what is secret.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let mut shown = self.clone();
        shown.each(&mut |secret| *secret = Secret::new(SHOWN));
        shown
    }

    /// Visits every secret. Takes all fields by name, so that a new one cannot be forgotten.
    fn each(&mut self, visit: &mut dyn FnMut(&mut Secret)) {
        let Self {
            version: _,
            cluster: _,
            id: _,
            created: _,
            server_token,
            agent_token,
            vrrp_password,
            database_password,
            first_shape: _,
            recipients: _,
            next,
            pki,
            nodes,
        } = self;
        for secret in [server_token, agent_token, vrrp_password, database_password] {
            visit(secret);
        }
        match next {
            Some(Next::Tokens { server_token, agent_token }) => {
                visit(server_token);
                visit(agent_token);
            }
            Some(Next::Database { password }) => visit(password),
            None => {}
        }
        for record in nodes.values_mut() {
            let NodeRecord {
                password,
                incarnation: _,
                inputs: _,
                shape: _,
                votes: _,
                witness: Identity { certificate: _, key },
            } = record;
            visit(password);
            visit(key);
        }
        each_of_pki(pki, visit);
    }
}

fn each_of_pki(pki: &mut Pki, visit: &mut dyn FnMut(&mut Secret)) {
    let Pki { root, k3s, service_key, witness_ca, operator, admin, database_ca, database } = pki;
    visit(service_key);
    for Identity { certificate: _, key } in [root, witness_ca, operator, admin, database_ca] {
        visit(key);
    }
    let Authorities { server, client, request_header, etcd_server, etcd_peer } = k3s;
    for authority in [server, client, request_header, etcd_server, etcd_peer] {
        let K3sAuthority { certificate: _, key, cross: _ } = authority;
        visit(key);
    }
    if let Some(DatabaseIdentity { address: _, certificate: _, key }) = database {
        visit(key);
    }
}
