//! The controllers' leader with an external database: it ends when it cannot renew its lease,
//! while the other servers wait for the database (seen of a real K3s).

use std::time::Instant;

use serde_json::json;

use crate::settings::{Settings, random_hex};
use crate::store::Store;
use crate::{Fatal, log};

const KEY: &str = "/registry/leases/kube-system/k3s";
/// klog's exit status.
const LOST: i32 = 255;

/// Runs for ever, or ends the process.
pub fn lead(store: &dyn Store, name: &str, settings: &Settings) -> Result<(), Fatal> {
    let me = format!("{name}_{}", random_hex::<8>()?);
    let mut renewed = None;
    let mut seen = (0, Instant::now());
    let mut round = 0_u64;
    loop {
        round += 1;
        match try_once(store, &me, round, settings, &mut seen) {
            Ok(true) => renewed = Some(Instant::now()),
            Ok(false) => renewed = None,
            Err(e) => log::line("error", &format!("error retrieving resource lock: {e}")),
        }
        if renewed.is_some_and(|at| at.elapsed() > settings.leader) {
            log::line("fatal", "leaderelection lost for k3s");
            std::process::exit(LOST);
        }
        std::thread::sleep(settings.leader / 6);
    }
}

/// Renews the lease, or takes one that nobody has renewed for a while.
fn try_once(
    store: &dyn Store,
    me: &str,
    round: u64,
    settings: &Settings,
    seen: &mut (i64, Instant),
) -> Result<bool, Fatal> {
    let lease = json!({"kind": "Lease", "apiVersion": "coordination.k8s.io/v1",
        "metadata": {"name": "k3s", "namespace": "kube-system"},
        "spec": {"holderIdentity": me, "round": round}})
    .to_string();
    let Some(entry) = store.get(KEY)? else { return store.swap(KEY, &lease, 0) };
    if entry.value.contains(me) {
        return store.swap(KEY, &lease, entry.revision);
    }
    if entry.revision != seen.0 {
        *seen = (entry.revision, Instant::now());
    }
    match seen.1.elapsed() > settings.leader * 3 / 2 {
        true => store.swap(KEY, &lease, entry.revision),
        false => Ok(false),
    }
}
