//! The files of a server, and what its configuration says about them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;

use crate::Fatal;
use crate::access::mismatch;
use crate::config::Config;
use crate::passwd::Passwd;
use crate::pki::{Tls, ca_hash, write};
use crate::settings::random_hex;
use crate::token::Token;

/// The passwords of both tokens.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// Of user `server`.
    pub server: String,
    /// Of user `node`; the same where no agent token is set.
    pub agent: String,
    /// Whether an agent token is set.
    pub own_agent: bool,
}

impl Tokens {
    /// `KEY` or what `KEY-file` names.
    pub fn configured(config: &Config, key: &str) -> Result<Option<Token>, Fatal> {
        Token::configured(config, key)
    }

    /// The server token as configured, or as an earlier start wrote it.
    pub fn known(config: &Config, data_dir: &Path) -> Result<Option<Token>, Fatal> {
        match (
            Token::configured(config, "token")?,
            fs::read_to_string(data_dir.join("server/token")),
        ) {
            (Some(token), _) => Ok(Some(token)),
            (None, Ok(text)) => Token::parse(&text).map(Some),
            (None, Err(_)) => Ok(None),
        }
    }

    /// Those that are known, or new ones. A pinned one must fit.
    pub fn load(config: &Config, data_dir: &Path, tls: &Tls) -> Result<Self, Fatal> {
        let token = match Self::known(config, data_dir)? {
            Some(token) => token,
            None => Token { pin: None, password: random_hex::<16>()? },
        };
        if let Some(pin) = &token.pin {
            if !tls.was_placed() {
                return Err("a full token needs the CA it pins below server/tls".into());
            }
            let hash = ca_hash(&tls.read("server-ca.crt")?)?;
            if hash != *pin {
                return Err(mismatch(pin, &hash));
            }
        }
        let agent = Token::configured(config, "agent-token")?;
        let own_agent = agent.is_some();
        let agent = agent.map_or_else(|| token.password.clone(), |agent| agent.password);
        Ok(Self { server: token.password, agent, own_agent })
    }

    /// Brings the passwords that servers share in line with these (K3s `genUsers`).
    pub fn ensure_users(&self, tls: &Tls) -> Result<(), Fatal> {
        let mut users = Passwd::read(tls)?;
        users.ensure("node", &self.agent);
        users.ensure("server", &self.server);
        users.write()
    }

    /// Writes `token`, `agent-token` and `node-token`.
    pub fn write(&self, tls: &Tls) -> Result<(), Fatal> {
        let server = write_token(tls, "token", &self.server, "server")?;
        if self.own_agent {
            write_token(tls, "agent-token", &self.agent, "node")?;
        }
        let link = server.with_file_name("node-token");
        if link.symlink_metadata().is_err() {
            std::os::unix::fs::symlink(server, &link).map_err(|e| e.to_string())?;
        }
        Ok(())
    }
}

/// Writes a token below `server`, pinned to the server's authority; where it lies.
pub fn write_token(tls: &Tls, name: &str, password: &str, user: &str) -> Result<PathBuf, Fatal> {
    let file = tls.0.with_file_name(name);
    let token = Token { pin: None, password: password.to_owned() };
    let token = token.full(&ca_hash(&tls.read("server-ca.crt")?)?, user);
    write(&file, token.as_bytes(), 0o600)?;
    Ok(file)
}

/// The names in the serving certificate.
pub fn names(config: &Config, node: &str, address: &str) -> Vec<String> {
    let fixed = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        "127.0.0.1",
        "::1",
        "10.43.0.1",
        node,
        address,
    ];
    fixed.into_iter().chain(config.all("tls-san")).map(str::to_owned).collect()
}

/// Where this server's own clients reach it.
pub fn own_url(config: &Config, port: u16) -> String {
    match config.get("bind-address") {
        Some(address) if address != "0.0.0.0" && address != "::" => {
            format!("https://{address}:{port}")
        }
        _ => format!("https://127.0.0.1:{port}"),
    }
}

/// `/etc/rancher/k3s/k3s.yaml`.
pub fn write_kubeconfig(config: &Config, tls: &Tls, port: u16) -> Result<(), Fatal> {
    let file: PathBuf = config.path("write-kubeconfig", "/etc/rancher/k3s/k3s.yaml");
    let mode = config.get("write-kubeconfig-mode").unwrap_or("0600");
    let mode = u32::from_str_radix(mode, 8).map_err(|e| format!("kubeconfig mode: {e}"))?;
    let text = kubeconfig(
        &own_url(config, port),
        &tls.read("server-ca.crt")?,
        &tls.read("client-admin.crt")?,
        &tls.read("client-admin.key")?,
    );
    write(&file, text.as_bytes(), mode)
}

/// A kubeconfig; PEM goes into it as base64.
pub fn kubeconfig(url: &str, ca: &str, crt: &str, key: &str) -> String {
    let data = |pem: &str| base64::engine::general_purpose::STANDARD.encode(pem);
    format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {}\n    \
         server: {url}\n  name: default\ncontexts:\n- context:\n    \
         cluster: default\n    user: default\n  name: default\ncurrent-context: default\n\
         kind: Config\nusers:\n- name: default\n  user:\n    client-certificate-data: {}\n    \
         client-key-data: {}\n",
        data(ca),
        data(crt),
        data(key)
    )
}

/// `node-monitor-grace-period` of the controller manager.
pub fn grace_period(config: &Config) -> Option<Duration> {
    let mut args = config.all("kube-controller-manager-arg");
    let text = args.find_map(|arg| arg.strip_prefix("node-monitor-grace-period="))?;
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" | "m0s" => Some(Duration::from_secs(60 * number)),
        _ => None,
    }
}
