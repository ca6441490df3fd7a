//! Timings and switches, from the environment.

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

use crate::Fatal;

/// Which K3s it behaves like where they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// v1.21.2: ends when it cannot join, answers `/db/info` to anybody, founds anew after its
    /// removal, takes any token for a used database.
    Old,
    /// 2026: waits and retries each second, asks for credentials, refuses.
    New,
}

/// Everything that a test may want shorter, longer or otherwise.
#[derive(Debug, Clone)]
pub struct Settings {
    /// From start until `/ping` answers, at the least.
    pub ping: Duration,
    /// From start until the API is ready, at the least.
    pub ready: Duration,
    /// From start until the node is Ready, at the least.
    pub node: Duration,
    /// Between the check of a token and the joining of etcd: the container runtime's start.
    pub join: Duration,
    /// How often the leader looks for learners to promote (K3s: 15 s).
    pub manage: Duration,
    /// After this long without progress a learner is removed (K3s: 5 min).
    pub stall: Duration,
    /// How often a node renews its lease (Kubernetes: 10 s).
    pub heartbeat: Duration,
    /// How long a node may be silent before it is NotReady, where the environment says so; else
    /// the controller manager's `node-monitor-grace-period` counts, else 4 s (Kubernetes: 50 s).
    pub grace: Option<Duration>,
    /// How long a deleted server's Node stays after its etcd member is gone.
    pub finalizer: Duration,
    /// How often an agent tries again (K3s: 2 s to 5 s).
    pub retry: Duration,
    /// After this long without its database the leader ends (K3s: 10 s).
    pub leader: Duration,
    /// Which K3s.
    pub generation: Generation,
}

impl Settings {
    /// Reads `K3S_STANDIN_*`.
    pub fn from_env() -> Result<Self, Fatal> {
        Ok(Self {
            ping: millis("PING_MS", 2000)?,
            ready: millis("READY_MS", 4000)?,
            node: millis("NODE_MS", 6000)?,
            join: millis("JOIN_MS", 0)?,
            manage: millis("MANAGE_MS", 500)?,
            stall: millis("STALL_MS", 300_000)?,
            heartbeat: millis("HEARTBEAT_MS", 1000)?,
            grace: match std::env::var_os("K3S_STANDIN_GRACE_MS") {
                Some(_) => Some(millis("GRACE_MS", 0)?),
                None => None,
            },
            finalizer: millis("FINALIZER_MS", 0)?,
            retry: millis("RETRY_MS", 1000)?,
            leader: millis("LEADER_MS", 3000)?,
            generation: match std::env::var("K3S_STANDIN_GENERATION").as_deref() {
                Ok("old") => Generation::Old,
                Ok("new") | Err(_) => Generation::New,
                Ok(other) => return Err(format!("K3S_STANDIN_GENERATION={other}: old or new")),
            },
        })
    }
}

fn millis(name: &str, default: u64) -> Result<Duration, Fatal> {
    let name = format!("K3S_STANDIN_{name}");
    let Ok(text) = std::env::var(&name) else { return Ok(Duration::from_millis(default)) };
    text.parse().map(Duration::from_millis).map_err(|e| format!("{name}={text}: {e}"))
}

/// Random bytes, as hexadecimal.
pub fn random_hex<const N: usize>() -> Result<String, Fatal> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "no random numbers")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A random UUID (RFC 9562, version 4).
pub fn uuid() -> Result<String, Fatal> {
    let hex = random_hex::<16>()?;
    Ok(format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..]))
}
