//! From the first thread to a ready node.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::files::{Tokens, own_url};
use super::leader::lead;
use super::{Server, Start, guards_token};
use crate::bootstrap::{self, Found};
use crate::config::Config;
use crate::etcd::{Ended, manage};
use crate::node::{Kubelet, Token};
use crate::objects::{self, ETCD_ADDRESS, ETCD_FINALIZER, ETCD_NAME, NODES};
use crate::pki::{Tls, not_before};
use crate::settings::Settings;
use crate::store::{Store, put, update};
use crate::{Fatal, host, log};

const POLL: Duration = Duration::from_millis(50);
const TIDY: Duration = Duration::from_millis(500);

/// Starts everything that runs beside the port.
pub fn threads(
    server: &Arc<Server>,
    start: Option<Start>,
    config: &Config,
    data_dir: &Path,
) -> Result<(), Fatal> {
    if let Some(start) = start {
        let server = Arc::clone(server);
        // etcd dies with the thread that starts it, so this one never ends.
        spawn(move || run_etcd(&server, &start));
    }
    if !config.is_on("disable-agent") {
        let token = Token { user: "node", password: server.tokens.agent.clone(), pin: None };
        let own = own_url(config, server.port);
        let kubelet = Kubelet::new(config, &server.settings, &own, false, token)?;
        let server = Arc::clone(server);
        spawn(move || {
            while !server.is_open() {
                std::thread::sleep(POLL);
            }
            kubelet.run()
        });
    }
    let name = host::node_name(config)?;
    let external = config.get("datastore-endpoint").is_some();
    let manifests = data_dir.join("server/manifests");
    let server = Arc::clone(server);
    spawn(move || {
        if let Err(e) = come_up(&server) {
            die(&e);
        }
        if external {
            let (lead_by, name) = (Arc::clone(&server), name.clone());
            spawn(move || {
                if let Err(e) = lead(lead_by.store(), &name, &lead_by.settings) {
                    die(&e);
                }
            });
        }
        let tidy = Arc::clone(&server);
        spawn(move || look_after(&tidy, &name, &manifests));
        let watch = Arc::clone(&server);
        spawn(move || watch.leases.watch(watch.store()));
        if let Some(etcd) = &server.etcd {
            manage(&etcd.member, &etcd.gateway, server.store(), &server.settings);
        }
    });
    Ok(())
}

fn spawn(work: impl FnOnce() + Send + 'static) {
    std::thread::spawn(work);
}

fn die(message: &str) -> ! {
    log::line("fatal", message);
    std::process::exit(1)
}

fn run_etcd(server: &Server, start: &Start) {
    let Some(etcd) = &server.etcd else { return };
    let cluster = match start {
        Start::Existing(_) => None,
        Start::New => Some(etcd.member.alone()),
        Start::Join(access) => {
            std::thread::sleep(server.settings.join);
            match etcd.member.join_patiently(access, server.settings.generation) {
                Ok(cluster) => Some(cluster),
                Err(e) => die(&e),
            }
        }
    };
    match etcd.member.run(cluster.as_ref()) {
        Ok(Ended::Removed) => {
            log::line(
                "info",
                "this node has been removed from the cluster please restart k3s to rejoin the \
                 cluster",
            );
            if let Err(e) = etcd.member.bury() {
                die(&e);
            }
        }
        Ok(Ended::Died(how)) => die(&format!("etcd exited: {how}")),
        Err(e) => die(&e),
    }
}

/// Waits for the datastore, settles whose it is, then opens in K3s's order.
fn come_up(server: &Server) -> Result<(), Fatal> {
    while !is_usable(server) {
        std::thread::sleep(POLL);
    }
    settle(server.store(), &server.tls, &server.tokens, &server.settings, server.reconciled)?;
    let after = |when: Duration| std::thread::sleep(when.saturating_sub(server.begun.elapsed()));
    after(server.settings.ping);
    server.open.store(true, Ordering::Relaxed);
    after(server.settings.ready);
    server.up.store(true, Ordering::Relaxed);
    log::line("info", "k3s is up and running");
    host::notify("READY=1");
    Ok(())
}

/// Whether the datastore answers to this server as a full member, and the clock has reached the
/// authority: before that K3s's own clients trust nothing.
fn is_usable(server: &Server) -> bool {
    let begins = server.tls.read("server-ca.crt").and_then(|pem| not_before(&pem));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if begins.is_ok_and(|begins| begins > i64::try_from(now).unwrap_or_default()) {
        return false;
    }
    let votes = |etcd: &super::Etcd| {
        etcd.gateway.status().is_ok_and(|status| !status.learner && status.leader != 0)
    };
    server.etcd.as_ref().is_none_or(votes) && server.store().get("/registry/health").is_ok()
}

/// The words of a token that did not make the data.
pub fn another_token() -> Fatal {
    format!("starting kubernetes: preparing server: {}", bootstrap::ANOTHER_TOKEN)
}

/// Puts the shared files and the first namespaces into a new datastore; an old one must have been
/// made with our token. Who comes second takes the files of the first.
pub fn settle(
    store: &dyn Store,
    tls: &Tls,
    tokens: &Tokens,
    settings: &Settings,
    reconciled: bool,
) -> Result<(), Fatal> {
    let password = &tokens.server;
    match bootstrap::find(store, password)? {
        Found::Ours(files) if !reconciled => {
            bootstrap::reconcile(tls, &files)?;
            tokens.ensure_users(tls)?;
        }
        Found::Ours(_) => {}
        Found::Another if guards_token(settings) => return Err(another_token()),
        Found::Nothing | Found::Another => {
            tokens.ensure_users(tls)?;
            if !bootstrap::save(store, password, &bootstrap::collect(tls)?)?
                && let Found::Ours(files) = bootstrap::find(store, password)?
            {
                bootstrap::reconcile(tls, &files)?;
            }
        }
    }
    for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
        let namespace = json!({"kind": "Namespace", "apiVersion": "v1",
            "metadata": {"name": name}, "status": {"phase": "Active"}});
        objects::create(store, &format!("/registry/namespaces/{name}"), namespace)?;
    }
    Ok(())
}

/// Marks this server's own Node, and lists the manifests as applied.
fn look_after(server: &Server, name: &str, manifests: &Path) {
    loop {
        // Without quorum there is nothing to do; the next round finds it again.
        let _ = mark(server, name).and_then(|()| addons(server, manifests));
        std::thread::sleep(TIDY);
    }
}

fn mark(server: &Server, name: &str) -> Result<(), Fatal> {
    let roles = |node: &mut Value| {
        if !node["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        let metadata = &mut node["metadata"];
        metadata["labels"]["node-role.kubernetes.io/control-plane"] = json!("true");
        if let Some(etcd) = &server.etcd {
            metadata["labels"]["node-role.kubernetes.io/etcd"] = json!("true");
            metadata["annotations"][ETCD_NAME] = json!(etcd.member.name);
            metadata["annotations"][ETCD_ADDRESS] = json!(etcd.member.address);
            metadata["finalizers"] = json!(["wrangler.cattle.io/node", ETCD_FINALIZER]);
        }
    };
    update(server.store(), &format!("{NODES}{name}"), roles).map(drop)
}

/// K3s makes an Addon of every manifest that it applies.
fn addons(server: &Server, manifests: &Path) -> Result<(), Fatal> {
    let Ok(entries) = std::fs::read_dir(manifests) else { return Ok(()) };
    for entry in entries.flatten() {
        let path = entry.path();
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        let kind = path.extension().and_then(|s| s.to_str()).unwrap_or_default();
        let skipped = path.with_file_name(format!("{}.skip", entry.file_name().display()));
        if !["yaml", "yml", "json"].contains(&kind) || skipped.exists() {
            continue;
        }
        let key = format!("/registry/addons/kube-system/{stem}");
        let addon = json!({"kind": "Addon", "apiVersion": "k3s.cattle.io/v1",
            "metadata": {"name": stem, "namespace": "kube-system"},
            "spec": {"source": path.display().to_string()}});
        if server.store().get(&key)?.is_none() {
            put(server.store(), &key, &addon.to_string())?;
        }
    }
    Ok(())
}
