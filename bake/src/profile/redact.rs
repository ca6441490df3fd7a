//! Plans as people may see them.

use nodeconf::Secret;
use serde_json::Value;

use super::k3s::K3sConfig;
use super::plan::{FileContent, ImageSource, NodePlan};
use crate::fetch::shown_text;

const SHOWN: &str = "[redacted]";

impl NodePlan {
    /// The plan with every secret replaced or left out, and with it the content of the user's own
    /// files.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let mut plan = self.clone();
        if let Some(k3s) = &mut plan.k3s {
            k3s.env.values_mut().chain(k3s.secret_files.values_mut()).for_each(hide);
            for (key, value) in &mut k3s.config.0 {
                if is_sensitive(key) {
                    *value = Value::from(SHOWN);
                }
            }
        }
        if let ImageSource::Url { url, .. } = &mut plan.image {
            // What follows the path may be a key to it.
            *url = shown_text(url);
        }
        plan.system.users.iter_mut().filter_map(|u| u.password_hash.as_mut()).for_each(hide);
        plan.system.wifi.iter_mut().filter_map(|w| w.psk.as_mut()).for_each(hide);
        plan.pki.files.iter_mut().filter(|f| f.private).for_each(|f| hide(&mut f.text));
        let secrets = &mut plan.secrets;
        let tokens = [&mut secrets.server_token, &mut secrets.agent_token];
        tokens.into_iter().flatten().for_each(hide);
        secrets.database.iter_mut().for_each(|d| hide(&mut d.password));
        for file in &mut plan.files {
            if let FileContent::Inline(text) = &mut file.content {
                *text = format!("[{} bytes]", text.len());
            }
        }
        plan
    }
}

fn hide(secret: &mut Secret) {
    *secret = Secret::new(SHOWN);
}

impl K3sConfig {
    /// Whether a value of it is a secret.
    #[must_use]
    pub fn holds_secrets(&self) -> bool {
        self.0.keys().any(|key| is_sensitive(key))
    }
}

/// K3s keys whose value is a secret (`etcd-s3-secret-key`, `vpn-auth`, …); the names of files
/// that hold one are not.
fn is_sensitive(key: &str) -> bool {
    !key.ends_with("-file")
        && ["secret-key", "access-key", "session-token", "vpn-auth", "password"]
            .iter()
            .any(|part| key.contains(part))
}
