//! Kubeconfigs made from a cluster's secrets alone (Kubernetes docs, "Organizing Cluster Access
//! Using kubeconfig Files").

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::json;
use url::{Host, Url};

use crate::error::{Error, Result};
use crate::pki::Identity;
use crate::profile::{ClusterSecrets, Profile};

/// Who a kubeconfig is for, and what it says.
#[derive(Debug, Clone)]
pub struct Request {
    /// Common name of the certificate.
    pub user: String,
    /// Groups of the user.
    pub groups: Vec<String>,
    /// How long it is good for.
    pub life: Duration,
    /// Address of the API; `None` for where the profile says clients reach it.
    pub server: Option<String>,
}

/// A kubeconfig. No `Debug`: the text holds a key.
#[derive(Clone, Serialize)]
#[allow(missing_debug_implementations, reason = "the text holds a key")]
pub struct Kubeconfig {
    /// The cluster's name.
    pub cluster: String,
    /// Address of the API.
    pub server: String,
    /// Whose it is.
    pub user: String,
    /// Groups of the user.
    pub groups: Vec<String>,
    /// Last second it is good for, RFC 3339.
    pub until: String,
    /// The file.
    #[serde(skip)]
    pub text: String,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Makes a kubeconfig with a certificate of its own.
///
/// # Errors
/// [`Error::Usage`] for names no certificate can hold, a server that is no HTTPS URL, or where
/// nothing says which address the API has.
pub fn kubeconfig(
    profile: &Profile,
    secrets: &ClusterSecrets,
    request: &Request,
) -> Result<Kubeconfig> {
    let (server, host) = server(profile, secrets, request.server.as_deref())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let until = (now + request.life).as_secs();
    let groups: Vec<&str> = request.groups.iter().map(String::as_str).collect();
    let identity = secrets.pki.client(&request.user, &groups, until)?;
    let until = i64::try_from(until).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
    let warnings = unknown_name(profile, secrets, &host)?.into_iter().collect();
    Ok(Kubeconfig {
        cluster: profile.cluster().to_owned(),
        text: text(profile.cluster(), &server, &request.user, secrets, &identity),
        server,
        user: request.user.clone(),
        groups: request.groups.clone(),
        until: until.map(|time| time.to_string()).unwrap_or_default(),
        warnings,
    })
}

fn server(
    profile: &Profile,
    secrets: &ClusterSecrets,
    asked: Option<&str>,
) -> Result<(String, String)> {
    let address = match asked {
        Some(url) => url.to_owned(),
        None => match profile.cluster_config(secrets).api_endpoint() {
            Some((address, port)) => format!("https://{address}:{port}"),
            None => {
                return Err(Error::Usage("the profile does not say where the API will be".into())
                    .hint(
                        "its only server gets its address from the network: use `--server URL`",
                    ));
            }
        },
    };
    let wrong = |why: String| Error::Usage(format!("--server {address}: {why}"));
    let url = Url::parse(&address).map_err(|e| wrong(e.to_string()))?;
    if url.scheme() != "https" {
        return Err(wrong("the API is reached by https".into()));
    }
    let host = match url.host() {
        Some(Host::Ipv6(address)) => address.to_string(),
        Some(host) => host.to_string(),
        None => return Err(wrong("it names no host".into())),
    };
    Ok((url.as_str().trim_end_matches('/').to_owned(), host))
}

/// K3s serves certificates only for the names it was told; others fail in the client.
fn unknown_name(profile: &Profile, secrets: &ClusterSecrets, host: &str) -> Result<Option<String>> {
    let cluster = profile.cluster_config(secrets);
    let Some(first) = cluster.servers.first() else { return Ok(None) };
    let plan = profile.plan(&first.name, secrets)?;
    let names = plan.k3s.as_ref().and_then(|k3s| k3s.config.0.get("tls-san")?.as_array().cloned());
    let local = ["localhost", "127.0.0.1", "::1", "kubernetes"];
    let known = names.is_none_or(|names| names.iter().any(|name| name == host));
    Ok((!known && !local.contains(&host)).then(|| {
        format!(
            "{host} is not among the names of the API's certificate: \
             add it to `k3s.config.tls-san` of the profile, or clients will refuse it"
        )
    }))
}

/// YAML in JSON's clothes where a value could be read as something else.
fn text(
    cluster: &str,
    server: &str,
    user: &str,
    secrets: &ClusterSecrets,
    identity: &Identity,
) -> String {
    let encode = |text: &str| BASE64_STANDARD.encode(text);
    let authorities =
        [secrets.pki.k3s.server.certificate.as_str(), &secrets.pki.root.certificate].concat();
    format!(
        "apiVersion: v1\n\
         kind: Config\n\
         clusters:\n\
         - name: {cluster}\n\
        \x20 cluster:\n\
        \x20   server: {server}\n\
        \x20   certificate-authority-data: {authorities}\n\
         users:\n\
         - name: {user}\n\
        \x20 user:\n\
        \x20   client-certificate-data: {certificate}\n\
        \x20   client-key-data: {key}\n\
         contexts:\n\
         - name: {cluster}\n\
        \x20 context:\n\
        \x20   cluster: {cluster}\n\
        \x20   user: {user}\n\
         current-context: {cluster}\n\
         preferences: {{}}\n",
        cluster = json!(cluster),
        server = json!(server),
        user = json!(user),
        authorities = encode(&authorities),
        certificate = encode(&identity.certificate),
        key = encode(identity.key.expose()),
    )
}
