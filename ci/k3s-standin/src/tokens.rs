//! `k3s token rotate` (K3s `pkg/cli/token`).

use std::fs;

use serde_json::json;

use crate::access::Access;
use crate::token::Token;
use crate::{Fatal, log, rooted};

/// Asks a server to take another token.
pub fn run(args: &[String]) -> Result<(), Fatal> {
    let Some(("rotate", mut rest)) = args.split_first().map(|(verb, rest)| (verb.as_str(), rest))
    else {
        return Err("the stand-in's token knows rotate".into());
    };
    let mut server = std::env::var("K3S_URL").unwrap_or_else(|_| "https://127.0.0.1:6443".into());
    let mut token = std::env::var("K3S_TOKEN").ok();
    let mut new = None;
    while let [flag, value, after @ ..] = rest {
        match flag.as_str() {
            "--server" | "-s" => server = value.clone(),
            "--token" | "-t" => token = Some(value.clone()),
            "--new-token" => new = Some(value.clone()),
            other => return Err(format!("flag provided but not defined: {other}")),
        }
        rest = after;
    }
    if let [flag, ..] = rest {
        return Err(format!("flag needs an argument: {flag}"));
    }
    let new = new.ok_or("the stand-in makes no token: --new-token")?;
    let token = match token {
        Some(token) => token,
        None => {
            let file = rooted("/var/lib/rancher/k3s/server/token");
            fs::read_to_string(&file).map_err(|e| format!("open {}: {e}", file.display()))?
        }
    };
    log::out(
        "\u{1b}[33mWARNING\u{1b}[0m: Recommended to keep a record of the old token. If restoring \
         from a snapshot, you must use the token associated with that snapshot.\n",
    )?;
    let access = Access::validate(&server, &Token::parse(&token)?, "server")?;
    access.put("/v1-k3s/token", &json!({"newToken": new}))?;
    log::out("Token rotated, restart k3s nodes with new token\n")
}
