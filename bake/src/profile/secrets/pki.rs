//! The keys and certificates of a cluster (docs/adr/0087-one-certificate-per-k3s-ca.md).

use std::net::Ipv4Addr;

use nodeconf::Secret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Result;
use crate::pki::{Form, Identity, Leaf, Usage, authority, cross_sign, issue, new_key};

/// Stands where nothing has been made yet.
pub const PLACEHOLDER: &str = "not-yet-made";
/// As [`PLACEHOLDER`], for what is no secret.
const NO_CERTIFICATE: &str = "certificate-not-yet-made";
/// The group whose members may do everything in a Kubernetes cluster.
const MASTERS: &str = "system:masters";

/// Keys and certificates of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pki {
    /// Trusted above K3s's authorities by every kubeconfig, so that they can be replaced. Its key
    /// goes nowhere.
    pub root: Identity,
    /// K3s's own authorities.
    pub k3s: Authorities,
    /// Signs the tokens of service accounts, PEM.
    pub service_key: Secret,
    /// Issues the certificates of the witnesses and of those who ask them. Its key goes nowhere.
    pub witness_ca: Identity,
    /// Lets the operator ask any witness how its node is.
    pub operator: Identity,
    /// Lets a server act on the API before its own K3s runs: member of `system:masters`.
    pub admin: Identity,
    /// Issues the certificate of the cluster's own database. Its key goes nowhere.
    pub database_ca: Identity,
    /// Of the cluster's own database, where it has one.
    pub database: Option<DatabaseIdentity>,
}

/// The authorities K3s makes on its first start, unless they are there (K3s docs, custom CA
/// certificates).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authorities {
    /// Of everything that serves the API.
    pub server: K3sAuthority,
    /// Of the clients of the API.
    pub client: K3sAuthority,
    /// Of the aggregation layer's front proxy.
    pub request_header: K3sAuthority,
    /// Of etcd's clients and its serving side.
    pub etcd_server: K3sAuthority,
    /// Of etcd's members among each other.
    pub etcd_peer: K3sAuthority,
}

impl Authorities {
    /// Each with the name of its files below `server/tls`, without `.crt` and `.key`.
    #[must_use]
    pub fn files(&self) -> [(&'static str, &K3sAuthority); 5] {
        [
            ("server-ca", &self.server),
            ("client-ca", &self.client),
            ("request-header-ca", &self.request_header),
            ("etcd/server-ca", &self.etcd_server),
            ("etcd/peer-ca", &self.etcd_peer),
        ]
    }
}

/// One of K3s's authorities: signed by itself, so that its file is one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct K3sAuthority {
    /// PEM, signed by itself.
    pub certificate: String,
    /// PEM, SEC 1.
    pub key: Secret,
    /// PEM, the same name and key signed by [`Pki::root`]; for the day it is replaced.
    pub cross: String,
}

impl K3sAuthority {
    /// What signs with it.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity { certificate: self.certificate.clone(), key: self.key.clone() }
    }
}

/// Certificate of the database server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseIdentity {
    /// The address it is for.
    pub address: Ipv4Addr,
    /// PEM.
    pub certificate: String,
    /// PEM, PKCS#8.
    pub key: Secret,
}

/// What stands where an identity has not been made yet.
pub fn placeholder() -> Identity {
    Identity { certificate: NO_CERTIFICATE.into(), key: Secret::new(PLACEHOLDER) }
}

impl Pki {
    pub(super) fn generate(cluster: &str, created: u64) -> Result<Self> {
        let own = |what: &str, depth| authority(&format!("{what}@{created}"), depth, Form::Pkcs8);
        let root = own("bake-root-ca", None)?;
        let k3s = |what: &str| -> Result<K3sAuthority> {
            // As K3s names its own (k3s pkg/daemons/control/deps).
            let name = format!("k3s-{what}-ca@{created}");
            let made = authority(&name, None, Form::Sec1)?;
            let cross = cross_sign(&root, &name, &made)?;
            Ok(K3sAuthority { certificate: made.certificate, key: made.key, cross })
        };
        let k3s = Authorities {
            server: k3s("server")?,
            client: k3s("client")?,
            request_header: k3s("request-header")?,
            etcd_server: k3s("etcd-server")?,
            etcd_peer: k3s("etcd-peer")?,
        };
        let client = |name: &str, groups: &[&str], issuer: &Identity| {
            issue(issuer, &Leaf { organizations: groups, ..leaf(name, Usage::Client) })
        };
        let witness_ca = own("bake-witness-ca", Some(0))?;
        Ok(Self {
            operator: client("operator", &[cluster], &witness_ca)?,
            admin: client("bake:server", &[MASTERS], &k3s.client.identity())?,
            service_key: new_key(Form::Sec1)?,
            database_ca: own("bake-database-ca", Some(0))?,
            database: None,
            root,
            k3s,
            witness_ca,
        })
    }

    pub(super) fn placeholder() -> Self {
        let k3s = || K3sAuthority {
            certificate: NO_CERTIFICATE.into(),
            key: Secret::new(PLACEHOLDER),
            cross: NO_CERTIFICATE.into(),
        };
        Self {
            root: placeholder(),
            k3s: Authorities {
                server: k3s(),
                client: k3s(),
                request_header: k3s(),
                etcd_server: k3s(),
                etcd_peer: k3s(),
            },
            service_key: Secret::new(PLACEHOLDER),
            witness_ca: placeholder(),
            operator: placeholder(),
            admin: placeholder(),
            database_ca: placeholder(),
            database: None,
        }
    }

    pub(super) fn witness(&self, node: &str, cluster_id: &str, votes: bool) -> Result<Identity> {
        let name = nodeconf::names::witness_name(node, cluster_id);
        let usage = if votes { Usage::Both } else { Usage::Server };
        issue(&self.witness_ca, &Leaf { dns: &[&name], ..leaf(node, usage) })
    }

    /// A certificate for a database at `address`, unless there is one. Returns whether it was
    /// made.
    pub(super) fn certify_database(&mut self, address: Ipv4Addr) -> Result<bool> {
        if self.database.as_ref().is_some_and(|database| database.address == address) {
            return Ok(false);
        }
        let addresses = [address.into()];
        let leaf = Leaf { addresses: &addresses, ..leaf("bake-database", Usage::Server) };
        let Identity { certificate, key } = issue(&self.database_ca, &leaf)?;
        self.database = Some(DatabaseIdentity { address, certificate, key });
        Ok(true)
    }

    /// A token that lets its bearer join only the cluster with this server CA. K3s compares the
    /// SHA-256 of the file it is served by `/cacerts`, byte for byte while that is a single
    /// certificate (k3s `pkg/clientaccess/token.go`, every release since v1.21).
    #[must_use]
    pub fn pinned_token(&self, user: &str, password: &Secret) -> Secret {
        let hash = hex::encode(Sha256::digest(&self.k3s.server.certificate));
        Secret::new(format!("K10{hash}::{user}:{}", password.expose()))
    }

    /// A client certificate for the API: a user and the groups it is in.
    ///
    /// # Errors
    /// [`crate::error::Error::Usage`] for a name that no certificate can hold.
    pub fn client(&self, user: &str, groups: &[&str], until: u64) -> Result<Identity> {
        let leaf = leaf(user, Usage::Client);
        let leaf = Leaf { organizations: groups, until: Some(until), ..leaf };
        issue(&self.k3s.client.identity(), &leaf)
    }
}

fn leaf(name: &str, usage: Usage) -> Leaf<'_> {
    Leaf { name, organizations: &[], dns: &[], addresses: &[], usage, until: None }
}
