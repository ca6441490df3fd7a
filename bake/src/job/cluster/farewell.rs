//! Tells the servers that one of them is none any more: they take it out of keepalived, HAProxy and
//! the firewall, and itself it gives the shared address up (ADR 0098).

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use nodeconf::names::witness_name;
use nodeconf::paths::WITNESS_PORT;
use nodeconf::servers::{DISMISS, Dismissal, Noted};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::profile::{ClusterSecrets, Profile};
use crate::remote::{Access, Failure, Method, Place};
use crate::sys::interrupt::Cancel;

/// For one question to a witness.
const ANSWER: Duration = Duration::from_secs(5);
/// For its services to go by it.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(500);

/// Who goes by it now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Farewell {
    /// Servers that do.
    pub told: Vec<String>,
    /// Servers that do not, and why.
    pub untold: Vec<Untold>,
}

/// A server that does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Untold {
    /// Its name.
    pub server: String,
    /// Why.
    pub why: String,
}

/// Tells it to everybody; first to the server itself, at `address`: as long as it has keepalived
/// run, the others must send it their adverts.
///
/// # Errors
/// The secrets are damaged, or it is interrupted.
pub fn farewell(
    profile: &Profile,
    secrets: &ClusterSecrets,
    name: &str,
    address: Option<Ipv4Addr>,
    cancel: &Cancel,
) -> Result<Farewell> {
    let cluster = profile.cluster_config(secrets);
    let pki = &secrets.pki;
    let operator = &pki.operator;
    let asker = Asker {
        access: Access::new(&pki.witness_ca.certificate, &operator.certificate, &operator.key)?,
        cluster: &cluster.id,
        leaving: name,
        cancel,
    };
    let declared = |server: &str| cluster.servers.iter().find(|peer| peer.name == server)?.address;
    let mut done = Farewell::default();
    if let Some(own) = address.or_else(|| declared(name)) {
        match asker.tell(name, own)? {
            Ok(()) => {}
            // Switched off, as it should be.
            Err(Why { unreachable: true, .. }) => {}
            Err(Why { text, .. }) => {
                let why = format!("{text}; switch it off, then repeat this");
                done.untold.push(Untold { server: name.to_owned(), why });
                return Ok(done);
            }
        }
    }
    for peer in cluster.servers.iter().filter(|peer| peer.name != name) {
        let Some(address) = peer.address else { continue };
        match asker.tell(&peer.name, address)? {
            Ok(()) => done.told.push(peer.name.clone()),
            Err(Why { text: why, .. }) => {
                done.untold.push(Untold { server: peer.name.clone(), why });
            }
        }
    }
    Ok(done)
}

struct Why {
    unreachable: bool,
    text: String,
}

struct Asker<'a> {
    access: Access,
    cluster: &'a str,
    leaving: &'a str,
    cancel: &'a Cancel,
}

impl Asker<'_> {
    /// Tells one server, until its services go by it.
    fn tell(&self, server: &str, address: Ipv4Addr) -> Result<std::result::Result<(), Why>> {
        let place = Place {
            address: SocketAddr::from((address, WITNESS_PORT)),
            name: Some(witness_name(server, self.cluster)),
        };
        let start = Instant::now();
        loop {
            self.cancel.check()?;
            let noted = match self.ask(&place) {
                Ok(noted) => noted,
                Err(why) => return Ok(Err(why)),
            };
            if noted.applied {
                return Ok(Ok(()));
            }
            if start.elapsed() >= PATIENCE {
                let text = noted.trouble.unwrap_or_else(|| "its services do not go by it".into());
                return Ok(Err(Why { unreachable: false, text }));
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn ask(&self, place: &Place) -> std::result::Result<Noted, Why> {
        #[derive(Deserialize)]
        struct Complaint {
            error: String,
        }
        let body = serde_json::json!(Dismissal { name: self.leaving.to_owned() });
        let reply = self.access.ask(place, Method::POST, DISMISS, Some(&body), ANSWER);
        let reply = reply.map_err(|failure| Why {
            unreachable: matches!(failure, Failure::Silent | Failure::Unreachable(_)),
            text: failure.to_string(),
        })?;
        let why = |text| Why { unreachable: false, text };
        match reply.status {
            200 => serde_json::from_slice(&reply.body).map_err(|e| why(format!("its answer: {e}"))),
            404 => Err(why("its card is of an older bake, which keeps no list of servers".into())),
            status => Err(why(match serde_json::from_slice::<Complaint>(&reply.body) {
                Ok(complaint) => format!("it answers {status}: {}", complaint.error),
                Err(_) => format!("it answers {status}"),
            })),
        }
    }
}
