//! `k3s-standin`: a test double of the k3s binary.
//!
//! It answers as a real K3s was seen to answer (facts E of the project's notes): the same files,
//! endpoints, exits and order of events, with none of the work behind them. It runs no container;
//! its etcd is a real one. Tests that have a real binary use that instead. `README.md` beside it
//! says what it does not do.
//!
//! | file | what it stands for |
//! |---|---|
//! | [`config`], [`settings`], [`token`] | `config.yaml` and flags; timings; tokens |
//! | [`pki`], [`bootstrap`], [`cipher`], [`passwd`] | CAs, what they sign, and how servers share them |
//! | [`store`], [`etcd`] | the datastore; embedded etcd and its members |
//! | [`server`], [`agent`], [`node`] | `k3s server`, `k3s agent`, the node in both |
//! | [`api`], [`objects`], [`nodes`] | the port, 6443; Kubernetes objects; who is Ready |
//! | [`access`], [`http`] | how nodes come to trust a server |
//! | [`kubectl`], [`tokens`], [`debug`] | what people and tests ask |

mod access;
mod agent;
mod api;
mod bootstrap;
mod cipher;
mod config;
mod debug;
mod etcd;
mod host;
mod http;
mod kubectl;
mod log;
mod node;
mod nodes;
mod objects;
mod passwd;
mod pki;
mod server;
mod settings;
mod store;
mod token;
mod tokens;

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
        Some(("agent", rest)) => agent::run(rest),
        Some(("etcd-child", rest)) => etcd::become_etcd(rest),
        Some(("debug", rest)) => debug::run(rest),
        Some(("kubectl", rest)) => kubectl::run(rest),
        Some(("token", rest)) => tokens::run(rest),
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
