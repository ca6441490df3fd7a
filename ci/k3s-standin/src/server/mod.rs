//! `k3s server`: checks, files, port, and what becomes true when.

mod files;
mod leader;
mod rotation;
mod start;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::access::Access;
use crate::api;
use crate::bootstrap::Found;
use crate::config::{Config, Verb};
use crate::etcd::{Gateway, Member};
use crate::http::server::Listener;
use crate::nodes::Leases;
use crate::pki::Tls;
use crate::settings::{Generation, Settings};
use crate::store::{EtcdStore, FileStore, PostgresStore, Store};
use crate::{Fatal, bootstrap, host, log, version};
use files::Tokens;
pub use files::kubeconfig;
pub use rotation::rotate;

/// How long a request waits for etcd; K3s's readyz gives up after 2 s.
const PATIENCE: Duration = Duration::from_secs(3);

/// Embedded etcd.
#[derive(Debug)]
pub struct Etcd {
    /// This server's member.
    pub member: Member,
    /// A client of it.
    pub gateway: Arc<Gateway>,
}

/// A running server.
pub struct Server {
    begun: Instant,
    /// Timings and switches.
    pub settings: Settings,
    /// Passwords that open this server; others count from its next start on.
    pub tokens: Tokens,
    /// Certificates.
    pub tls: Tls,
    /// Where the API listens.
    pub port: u16,
    /// How long a node may be silent.
    pub grace: Duration,
    /// When nodes were heard of.
    pub leases: Leases,
    /// Embedded etcd, where the cluster has it.
    pub etcd: Option<Etcd>,
    /// Whether the files that servers share are in line with the others' already.
    reconciled: bool,
    store: Arc<dyn Store>,
    open: AtomicBool,
    up: AtomicBool,
}

impl Server {
    /// Whether anything but 503 is answered.
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Whether the API server has started.
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Whether the API is ready: it has started, and its datastore answers.
    pub fn is_ready(&self) -> Result<(), Fatal> {
        if !self.is_up() {
            return Err(
                "[-]poststarthook/start-apiextensions-informers failed: not finished".into()
            );
        }
        let health = self.store.get("/registry/health");
        health.map(drop).map_err(|e| format!("[-]etcd failed: {e}"))
    }

    /// The datastore.
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }
}

/// Where the cluster's data is, and whether it is there already.
enum Datastore {
    /// Embedded etcd: with data, alone, or by way of a server.
    Etcd(Start),
    /// An external database, or SQLite: there at once, and the shared files lie in it.
    Kine(Arc<dyn Store>),
}

/// How embedded etcd starts.
enum Start {
    /// With its data; whether another server gave the files that servers share.
    Existing(bool),
    New,
    Join(Box<Access>),
}

/// Runs until it is killed.
pub fn run(args: &[String]) -> Result<(), Fatal> {
    let config = Config::load(Verb::Server, args)?;
    log::line("info", &format!("Starting k3s {} (stand-in)", version()));
    let settings = Settings::from_env()?;
    host::require_memory_cgroup()?;
    refuse_what_is_missing(&config)?;
    let data_dir = config.path("data-dir", "/var/lib/rancher/k3s");
    let tls = Tls(data_dir.join("server/tls"));
    let datastore = datastore(&config, &settings, &data_dir, &tls)?;
    let tokens = Tokens::load(&config, &data_dir, &tls)?;
    tls.ensure_authorities()?;
    let reconciled = !matches!(datastore, Datastore::Etcd(Start::Existing(false)));
    if reconciled {
        tokens.ensure_users(&tls)?;
    }
    if let Datastore::Kine(store) = &datastore {
        start::settle(store.as_ref(), &tls, &tokens, &settings, reconciled)?;
    }
    tokens.write(&tls)?;
    let name = host::node_name(&config)?;
    let address = host::node_address(&config);
    tls.sign_own(&files::names(&config, &name, &address))?;
    let port = port(&config)?;
    files::write_kubeconfig(&config, &tls, port)?;

    let (etcd, store, start) = open(datastore, &config, &settings, &data_dir, &tls)?;
    let grace = settings.grace.or_else(|| files::grace_period(&config));
    let server = Arc::new(Server {
        begun: Instant::now(),
        settings,
        tokens,
        port,
        grace: grace.unwrap_or(Duration::from_secs(4)),
        leases: Leases::default(),
        etcd,
        reconciled,
        store,
        tls,
        open: AtomicBool::new(false),
        up: AtomicBool::new(false),
    });
    let bind = config.get("bind-address").unwrap_or("0.0.0.0");
    let bind: IpAddr = bind.parse().map_err(|e| format!("bind-address {bind}: {e}"))?;
    let listener = Listener::bind(SocketAddr::new(bind, port), &server.tls)?;
    start::threads(&server, start, &config, &data_dir)?;
    listener.serve(move |request| api::respond(&server, request))
}

/// K3s's order: etcd's data decides; without any, `server` joins; without that, a new cluster.
fn datastore(
    config: &Config,
    settings: &Settings,
    data_dir: &Path,
    tls: &Tls,
) -> Result<Datastore, Fatal> {
    if let Some(url) = config.get("datastore-endpoint") {
        let files = ["datastore-cafile", "datastore-certfile", "datastore-keyfile"];
        let store = PostgresStore::open(url, files.map(|key| config.get(key)))?;
        return kine(Arc::new(store), config, settings, data_dir, tls);
    }
    if Member::has_data(&data_dir.join("server/db/etcd")) {
        log::line("info", "Managed etcd cluster bootstrap already complete and initialized");
        return Ok(Datastore::Etcd(Start::Existing(ask_another(config, tls)?)));
    }
    if let Some(url) = config.get("server") {
        let token = Tokens::configured(config, "token")?;
        let token = token.ok_or("K3S_TOKEN is required to join a cluster")?;
        let failed = |e| format!("starting kubernetes: preparing server: {e}");
        let access = Access::validate(url, &token, "server").map_err(failed)?;
        let files = access.get("/v1-k3s/server-bootstrap").map_err(failed)?;
        bootstrap::reconcile(tls, &files)?;
        return Ok(Datastore::Etcd(Start::Join(Box::new(access))));
    }
    if config.is_on("cluster-init") {
        log::line("info", "Managed etcd cluster initializing");
        return Ok(Datastore::Etcd(Start::New));
    }
    let store = FileStore::open(&data_dir.join("server/db/state.db"))?;
    kine(Arc::new(store), config, settings, data_dir, tls)
}

/// A server with data asks first where it is told to join: that saves it looking into its own
/// etcd. False where nobody answered it.
fn ask_another(config: &Config, tls: &Tls) -> Result<bool, Fatal> {
    let Some(url) = config.get("server") else { return Ok(false) };
    let Some(token) = Tokens::configured(config, "token")? else { return Ok(false) };
    let files = Access::validate(url, &token, "server")
        .and_then(|access| access.get("/v1-k3s/server-bootstrap"));
    match files {
        Ok(files) => {
            bootstrap::reconcile(tls, &files)?;
            log::line("info", "Successfully reconciled with remote datastore");
            Ok(true)
        }
        Err(e) => {
            log::line("warning", &format!("Unable to reconcile with remote datastore: {e}"));
            Ok(false)
        }
    }
}

/// Takes the shared files out of the datastore, if they are there (K3s, `storageBootstrap`).
fn kine(
    store: Arc<dyn Store>,
    config: &Config,
    settings: &Settings,
    data_dir: &Path,
    tls: &Tls,
) -> Result<Datastore, Fatal> {
    if let Some(token) = Tokens::known(config, data_dir)? {
        match bootstrap::find(store.as_ref(), &token.password)? {
            Found::Ours(files) => bootstrap::reconcile(tls, &files)?,
            Found::Another if guards_token(settings) => return Err(start::another_token()),
            Found::Another | Found::Nothing => {}
        }
    }
    Ok(Datastore::Kine(store))
}

type Opened = (Option<Etcd>, Arc<dyn Store>, Option<Start>);

fn open(
    datastore: Datastore,
    config: &Config,
    settings: &Settings,
    data_dir: &Path,
    tls: &Tls,
) -> Result<Opened, Fatal> {
    let start = match datastore {
        Datastore::Kine(store) => return Ok((None, store, None)),
        Datastore::Etcd(start) => start,
    };
    let joins = matches!(start, Start::Join(_));
    let dir = data_dir.join("server/db/etcd");
    let (name, address) = (host::node_name(config)?, host::node_address(config));
    let mut member = Member::new(dir, &name, &address, tls, joins, settings.generation)?;
    member.args = config.all("etcd-arg").map(str::to_owned).collect();
    let gateway = Arc::new(member.local(PATIENCE)?);
    let store = Arc::new(EtcdStore(Arc::clone(&gateway)));
    Ok((Some(Etcd { member, gateway }), store, Some(start)))
}

/// Better no test than one that believes what it does not do.
fn refuse_what_is_missing(config: &Config) -> Result<(), Fatal> {
    let external = config.get("datastore-endpoint").filter(|url| !url.starts_with("postgres"));
    let reset = config.is_on("cluster-reset").then_some("cluster-reset");
    match external.or(reset) {
        Some(key) => Err(format!("the stand-in has no {key}")),
        None => Ok(()),
    }
}

fn port(config: &Config) -> Result<u16, Fatal> {
    let port = config.get("https-listen-port").unwrap_or("6443");
    port.parse().map_err(|e| format!("https-listen-port {port}: {e}"))
}

/// Whether the token of a used datastore matters.
fn guards_token(settings: &Settings) -> bool {
    settings.generation == Generation::New
}
