//! `k3s-standin`: a test double of the k3s binary.
//!
//! It answers as a real K3s server was seen to answer (facts E of the project's notes): the same
//! files, endpoints, exits and order of events, with none of the work behind them. It runs no
//! container. Tests that have a real binary use that instead.
//!
//! | file | what it stands for |
//! |---|---|
//! | [`config`] | `config.yaml`, its drop-ins, flags |
//! | [`token`] | tokens and the CA hash in them |
//! | [`pki`] | CAs, made here or placed beforehand, and the certificates they sign |
//! | [`data`] | what survives a restart |
//! | [`server`] | `k3s server`: the order of events |
//! | [`api`] | the HTTPS port, 6443 |
//! | [`kubectl`] | the two questions tests ask |
//!
//! Timing comes from the environment, which the unit's `EnvironmentFile=` can set:
//! `K3S_STANDIN_PING_MS`, `K3S_STANDIN_READY_MS`, `K3S_STANDIN_NODE_MS` (milliseconds from start
//! until `/ping`, `/readyz` and the node's Ready condition), and `K3S_STANDIN_ROOT` puts a
//! directory before every default path.

mod api;
mod config;
mod data;
mod kubectl;
mod log;
mod pki;
mod server;
mod token;

use std::path::Path;
use std::process::ExitCode;

/// A problem that ends the process, worded as K3s words it.
type Fatal = String;

fn main() -> ExitCode {
    let mut args = std::env::args();
    let name = args.next().unwrap_or_default();
    let name = Path::new(&name).file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
    let args: Vec<String> = args.collect();
    let outcome = match name.as_str() {
        "kubectl" => kubectl::run(&args),
        "crictl" | "ctr" => Err(format!("{name} is not part of the stand-in")),
        _ => dispatch(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            log::line("fatal", &message);
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<(), Fatal> {
    match args.split_first().map(|(verb, rest)| (verb.as_str(), rest)) {
        Some(("server", rest)) => server::run(rest),
        Some(("kubectl", rest)) => kubectl::run(rest),
        Some(("--version" | "-v", _)) => {
            log::out(&format!("k3s version {} (stand-in)\ngo version none\n", version()))
        }
        Some((other, _)) => Err(format!("the stand-in has no command {other:?}")),
        None => Err("the stand-in needs a command".into()),
    }
}

/// The release it claims to be.
fn version() -> String {
    std::env::var("K3S_STANDIN_VERSION").unwrap_or_else(|_| "v1.36.5+k3s1".into())
}

/// A default path, below the root that tests give.
fn rooted(path: &str) -> std::path::PathBuf {
    match std::env::var_os("K3S_STANDIN_ROOT") {
        Some(root) => Path::new(&root).join(path.trim_start_matches('/')),
        None => path.into(),
    }
}
