//! How a node finds out whether the server behind an URL is its own (K3s `pkg/clientaccess`).

use std::time::Duration;

use serde_json::Value;

use crate::Fatal;
use crate::http::client::{Client, Reply, Trust};
use crate::pki::ca_hash;
use crate::token::Token;

const PATIENCE: Duration = Duration::from_secs(10);

/// A server whose authority the token knows.
#[derive(Debug, Clone)]
pub struct Access {
    /// `https://HOST:PORT`.
    pub base: String,
    /// What `/cacerts` said.
    pub ca: String,
    user: String,
    password: String,
    client: Client,
}

impl Access {
    /// Fetches the authority, compares it with the token, and checks that it issued the server's
    /// certificate.
    pub fn validate(base: &str, token: &Token, user: &str) -> Result<Self, Fatal> {
        if !base.starts_with("https://") {
            return Err(format!("only https:// URLs are supported, invalid scheme: {base}"));
        }
        let base = base.trim_end_matches('/').to_owned();
        let url = format!("{base}/cacerts");
        let ca = Client::new(&Trust::Any, None, PATIENCE)?
            .get(&url, None)
            .and_then(|reply| reply.body(&url))
            .map_err(|e| format!("failed to get CA certs: {e}"))?;
        let client = Client::new(&Trust::Bundle(ca.clone()), None, PATIENCE)?;
        client
            .get(&url, None)
            .and_then(|reply| reply.body(&url))
            .map_err(|e| format!("CA cert validation failed: {e}"))?;
        if let Some(pin) = &token.pin {
            let hash = ca_hash(&ca)?;
            if hash != *pin {
                return Err(mismatch(pin, &hash));
            }
        }
        let password = token.password.clone();
        Ok(Self { base, ca, user: user.to_owned(), password, client })
    }

    /// A GET with the token.
    pub fn get(&self, path: &str) -> Result<String, Fatal> {
        let url = format!("{}{path}", self.base);
        self.client.get(&url, Some((&self.user, &self.password)))?.body(&url)
    }

    /// A PUT of JSON with the token.
    pub fn put(&self, path: &str, body: &Value) -> Result<String, Fatal> {
        let url = format!("{}{path}", self.base);
        let reply =
            self.client.send("PUT", &url, Some((&self.user, &self.password)), Some(body))?;
        reply.body(&url)
    }

    /// A POST with the token and headers.
    pub fn post(&self, url: &str, headers: &[(&str, &str)]) -> Result<Reply, Fatal> {
        self.client.send_with("POST", url, Some((&self.user, &self.password)), headers, None)
    }

    /// Where the voting members of the cluster listen for clients, except at `own`.
    pub fn etcd_urls(&self, own: &str) -> Result<Vec<String>, Fatal> {
        let info: Value =
            serde_json::from_str(&self.get("/db/info")?).map_err(|e| format!("/db/info: {e}"))?;
        let own = format!("https://{own}:");
        let voting = info["members"].as_array().into_iter().flatten();
        let urls = voting
            .filter(|member| member["isLearner"] != true)
            .flat_map(|member| member["clientURLs"].as_array().into_iter().flatten())
            .filter_map(Value::as_str)
            .filter(|url| !url.starts_with(&own));
        Ok(urls.map(str::to_owned).collect())
    }
}

/// The words of a token that pins another authority.
pub fn mismatch(pin: &str, hash: &str) -> String {
    format!("token CA hash does not match the Cluster CA certificate hash: {pin} != {hash}")
}
