//! The witness: keeps this node's promises about who founds its cluster, and tells how the node is
//! doing. The rules are those of the crate `bootstrap`; here they get a file, a port and peers.
//!
//! It runs on every node, as long as the node does. Only servers that keep the cluster's state
//! among themselves (embedded etcd) have a vote; what any node serves is its state. Who asks must
//! show a certificate of the witnesses' CA, and asks for a vote only in its own name. Servers of
//! several also keep who came and left since their card was baked.
//!
//! One thread does everything, so requests follow each other and each finds the state that the
//! one before it left.

mod client;
mod gate;
mod keys;
mod roll;
mod routes;
mod sealed;
mod served;
mod server;
mod voter;

use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;

use nodeconf::{NodeConfig, paths};

use crate::exit::Exit;
use crate::finding::Condition;
use crate::run::load_config;
use crate::sys::{Priority, Real, Sys};

pub use client::{Silence, Witnesses};
pub use roll::{List, Progress, is_one_of_several};
pub use voter::told;

/// Beside the ledger's, in memory: a full card must not be able to keep the witness from starting.
const LOCK: &str = "/run/bake/witness.lock";

/// Serves on `listen` until something ends it; says so in the journal if it cannot.
#[must_use]
pub fn serve(sys: Real, listen: SocketAddr) -> Exit {
    let sys: Rc<dyn Sys> = Rc::new(sys);
    match prepare(sys.as_ref()).and_then(|(config, tls)| {
        server::run(sys.clone(), config, tls, listen)
            .map_err(|e| (Exit::TryAgain, Condition::io(format!("serving on {listen}"), &e)))
    }) {
        Ok(never) => match never {},
        Err((exit, condition)) => end(sys.as_ref(), exit, &condition),
    }
}

fn prepare(sys: &dyn Sys) -> Result<(NodeConfig, rustls::ServerConfig), (Exit, Condition)> {
    let config = load_config(sys)?;
    let locked = sys
        .make_dirs(Path::new(paths::RUNTIME_DIR), 0o755)
        .and_then(|()| sys.lock(Path::new(LOCK)))
        .map_err(|e| (Exit::TryAgain, Condition::io(format!("locking {LOCK}"), &e)))?;
    if !locked {
        let what = "another witness is running on this node";
        return Err((Exit::TryAgain, Condition::new(what, "it is tried again")));
    }
    let tls = keys::tls(sys)?;
    Ok((config, tls))
}

fn end(sys: &dyn Sys, exit: Exit, condition: &Condition) -> Exit {
    let priority = if exit == Exit::TryAgain { Priority::Warning } else { Priority::Error };
    sys.say(priority, &format!("witness: {}; {}", condition.what, condition.remedy));
    exit
}
