//! `k3s agent`.

use crate::config::{Config, Verb};
use crate::node::{Kubelet, Token};
use crate::settings::Settings;
use crate::{Fatal, host, log, version};

/// Runs until it is killed; what the servers refuse it asks again.
pub fn run(args: &[String]) -> Result<(), Fatal> {
    let config = Config::load(Verb::Agent, args)?;
    log::line("info", &format!("Starting k3s agent {} (stand-in)", version()));
    let settings = Settings::from_env()?;
    host::require_memory_cgroup()?;
    let token = crate::token::Token::configured(&config, "token")?.ok_or("--token is required")?;
    let server = config.get("server").ok_or("--server is required")?.trim_end_matches('/');
    let token = Token { user: "node", password: token.password, pin: token.pin };
    Kubelet::new(&config, &settings, server, true, token)?.run();
    Ok(())
}
