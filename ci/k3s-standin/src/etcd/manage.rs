//! What the leader does for the others: lets learners vote, drops those that make no progress,
//! and removes the members of deleted nodes (K3s `manageLearners`, `RegisterMemberHandlers`).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::gateway::Peer;
use super::{Gateway, Member};
use crate::objects::{self, ETCD_NAME, NODES};
use crate::pki::Tls;
use crate::settings::Settings;
use crate::store::Store;
use crate::{Fatal, log};

/// How often it looks for deleted nodes; K3s is told of them.
const TICK: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(3);

/// How far a learner has come.
struct Progress {
    id: u64,
    applied: u64,
    since: Instant,
}

/// Runs for ever.
pub fn manage(member: &Member, gateway: &Gateway, store: &dyn Store, settings: &Settings) {
    let mut progress = None;
    let mut removed = BTreeMap::new();
    let mut next = Instant::now();
    loop {
        std::thread::sleep(TICK.min(settings.manage));
        match gateway.status() {
            Ok(status) if status.leader == status.member => {}
            _ => {
                (progress, removed) = (None, BTreeMap::new());
                continue;
            }
        }
        let mut done = retire(member, gateway, store, settings, &mut removed);
        if Instant::now() >= next {
            next = Instant::now() + settings.manage;
            done = done.and_then(|()| learners(gateway, &member.tls, settings, &mut progress));
        }
        if let Err(e) = done {
            log::line("error", &format!("etcd members: {e}"));
        }
    }
}

fn learners(
    gateway: &Gateway,
    tls: &Tls,
    settings: &Settings,
    progress: &mut Option<Progress>,
) -> Result<(), Fatal> {
    let Some(learner) = gateway.members()?.into_iter().find(|peer| peer.learner) else {
        *progress = None;
        return Ok(());
    };
    if gateway.promote(learner.id).is_ok() {
        log::line("info", &format!("Promoted learner {}", learner.name));
        return Ok(());
    }
    let now = Instant::now();
    let at = match progress.take() {
        Some(at) if at.id == learner.id => at,
        _ => Progress { id: learner.id, applied: 0, since: now },
    };
    let applied = applied(&learner, tls).unwrap_or(0);
    let at = match applied > at.applied {
        true => Progress { applied, since: now, ..at },
        false => at,
    };
    if at.since.elapsed() > settings.stall {
        gateway.remove(learner.id)?;
        log::line("warning", &format!("Removed learner {} from etcd cluster", learner.name));
        return Ok(());
    }
    *progress = Some(at);
    Ok(())
}

fn applied(learner: &Peer, tls: &Tls) -> Option<u64> {
    let gateway = Gateway::new(tls, learner.client_urls.clone(), PATIENCE).ok()?;
    gateway.status().ok().map(|status| status.applied)
}

/// Carries out deletions that wait for the etcd finalizer.
fn retire(
    member: &Member,
    gateway: &Gateway,
    store: &dyn Store,
    settings: &Settings,
    removed: &mut BTreeMap<String, Instant>,
) -> Result<(), Fatal> {
    for entry in store.list(NODES)? {
        let node: Value = serde_json::from_str(&entry.value).map_err(|e| e.to_string())?;
        let metadata = &node["metadata"];
        let uid = metadata["uid"].as_str().unwrap_or_default().to_owned();
        if metadata["deletionTimestamp"].is_null() {
            continue;
        }
        let name = metadata["annotations"][ETCD_NAME].as_str().unwrap_or_default();
        if !removed.contains_key(&uid) {
            let found = gateway.members()?.into_iter().find(|peer| peer.name == name);
            if let Some(peer) = found {
                if peer.name == member.name {
                    // K3s: "not removing self from etcd cluster"; the Node stays.
                    continue;
                }
                gateway.remove(peer.id)?;
                log::line("info", &format!("Removing name={name} id={:x} from etcd", peer.id));
            }
            removed.insert(uid.clone(), Instant::now());
        }
        if removed.get(&uid).is_some_and(|at| at.elapsed() >= settings.finalizer) {
            let node = metadata["name"].as_str().unwrap_or_default();
            objects::forget_node(store, node)?;
            removed.remove(&uid);
        }
    }
    Ok(())
}
