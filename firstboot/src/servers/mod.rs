//! Servers tell each other of themselves, and what moves the shared address follows (ADR 0098).
//!
//! A server that came later is in no other server's files. It introduces itself to every server it
//! knows; their witnesses keep it, and here keepalived, HAProxy and the firewall are brought to who
//! there is. keepalived starts on a server only when the others send their adverts to it.
//!
//! It runs for as long as the node does: it repeats its introduction, since a card that was written
//! again has forgotten who came.

mod apply;
mod firewall;
mod gate;
mod round;
pub mod service;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use nodeconf::vip::Shared;
use nodeconf::{NodeConfig, Peer, paths};

use crate::exit::Exit;
use crate::finding::Condition;
use crate::run::load_config;
use crate::sys::{Priority, Sys, read_text_if_there, write_durable};
use crate::witness::{List, Progress, is_one_of_several};
pub use gate::{Holder, Outlook, Standing, admit};
use service::SERVICES;

/// Between two looks at what the witness keeps.
const TURN: Duration = Duration::from_millis(500);
/// Between two introductions, while somebody is still to take this server in.
const SOON: Duration = Duration::from_secs(1);
/// The same where keepalived runs already and only servers that are off are missing.
const LATER: Duration = Duration::from_secs(3);
/// The same where all have.
const SELDOM: Duration = Duration::from_secs(60);
/// Between two attempts to bring the services to the list.
const AGAIN: Duration = Duration::from_secs(2);

/// Keeps at it until something ends it.
#[must_use]
pub fn keep(sys: &dyn Sys) -> Exit {
    let config = match load_config(sys) {
        Ok(config) if is_one_of_several(&config) => config,
        Ok(_) => {
            sys.say(Priority::Error, "servers: this node is no server of several");
            return Exit::ConfigWrong;
        }
        Err((exit, condition)) => {
            sys.say(Priority::Error, &format!("{}; {}", condition.what, condition.remedy));
            return exit;
        }
    };
    let mut keeper = Keeper::new(sys, &config);
    loop {
        keeper.turn();
        sys.sleep(TURN);
    }
}

/// What was done in this boot, and what is due.
#[derive(Debug)]
pub struct Keeper<'a> {
    sys: &'a dyn Sys,
    config: &'a NodeConfig,
    /// Whom the firewall lets through.
    opened: Vec<Peer>,
    apply_at: Duration,
    ask_at: Duration,
    rounds: u32,
    since: Option<Duration>,
    said: String,
}

impl<'a> Keeper<'a> {
    /// Begins, in a boot in which it may have run before.
    pub fn new(sys: &'a dyn Sys, config: &'a NodeConfig) -> Self {
        Self {
            sys,
            config,
            opened: config.cluster.servers.clone(),
            apply_at: Duration::ZERO,
            ask_at: Duration::ZERO,
            rounds: 0,
            since: None,
            said: String::new(),
        }
    }

    /// Does what is due.
    pub fn turn(&mut self) {
        match self.try_turn() {
            Ok(()) => {}
            Err(condition) => self.say(&condition),
        }
    }

    fn try_turn(&mut self) -> Result<(), Condition> {
        let list = List::read(self.sys).inspect_err(|why| self.trouble(why))?;
        let now = self.sys.uptime();
        if !Progress::read(self.sys).has_applied(&list) && now >= self.apply_at {
            self.apply_at = now + AGAIN;
            apply::apply(self.sys, self.config, &list, &self.opened)
                .inspect_err(|why| self.trouble(why))?;
            self.opened = list.changes.servers(self.config);
            self.apply_at = Duration::ZERO;
            self.ask_at = Duration::ZERO;
        }
        if list.changes.dismissed(&self.config.node.name) {
            return self.leave();
        }
        if now >= self.ask_at {
            self.round(&list)?;
        }
        Ok(())
    }

    fn say(&mut self, condition: &Condition) {
        let line = format!("servers: {}; {}", condition.what, condition.remedy);
        if self.said != line {
            self.sys.say(Priority::Notice, &line);
            self.said = line;
        }
    }

    /// Lets the witness tell the others why the services do not go by the newest list.
    fn trouble(&self, why: &Condition) {
        let progress = Progress::read(self.sys);
        let trouble = Some(format!("{}; {}", why.what, why.remedy));
        if progress.trouble != trouble {
            let _ = apply::note(self.sys, &Progress { trouble, ..progress });
        }
    }

    fn round(&mut self, list: &List) -> Result<(), Condition> {
        let servers = list.changes.servers(self.config);
        let own = match round::own_address(self.sys, self.config) {
            Ok(own) => own,
            Err(condition) => {
                (self.since, self.rounds) = (None, 0);
                self.ask_at = self.sys.uptime() + SOON;
                return self.hold(condition);
            }
        };
        let began = self.sys.uptime();
        let since = *self.since.get_or_insert(began);
        let before = self.known();
        let others = round::ask(self.sys, self.config, &servers, own, &before)?;
        let taken = |(name, standing): &(String, Standing)| {
            (*standing == Standing::TookUsIn).then(|| name.clone())
        };
        let known: BTreeSet<String> =
            others.iter().filter_map(taken).chain(before.clone()).collect();
        if known != before {
            self.remember(&known)?;
        }
        self.rounds += 1;
        let all = others.iter().all(|(name, standing)| match standing {
            Standing::TookUsIn => true,
            Standing::NotYet(_) | Standing::Stranger(_) => false,
            Standing::Silent { .. } => known.contains(name),
        });
        let outcome = match self.is_admitted() {
            true => Ok(()),
            false => {
                let holder = round::holder(self.sys, self.config, &servers);
                let waited = self.sys.uptime().saturating_sub(since);
                admit(&Outlook { others, holder, rounds: self.rounds, waited })
            }
        };
        self.ask_at = self.sys.uptime()
            + match (all, &outcome) {
                (_, Err(_)) => SOON,
                (false, Ok(())) => LATER,
                (true, Ok(())) => SELDOM,
            };
        match outcome {
            Ok(()) => self.let_in(),
            Err(condition) => self.hold(condition),
        }
    }

    fn shares_an_address(&self) -> bool {
        Shared::of(self.config, &[]).is_some()
    }

    fn is_admitted(&self) -> bool {
        self.sys.stat(Path::new(paths::VIP_ADMITTED)).is_ok()
    }

    /// From now on systemd may start keepalived; it does so at once where it was kept from it.
    fn let_in(&mut self) -> Result<(), Condition> {
        if !self.shares_an_address() || self.is_admitted() {
            return Ok(());
        }
        let progress = Progress::read(self.sys);
        apply::note(self.sys, &Progress { held: None, ..progress })?;
        let path = paths::VIP_ADMITTED;
        write_durable(self.sys, Path::new(path), b"", 0o644)
            .map_err(|e| Condition::io(format!("writing {path}"), &e))?;
        self.sys.say(Priority::Notice, "servers: all others know this server; keepalived may run");
        self.said.clear();
        for service in &SERVICES {
            if service.is_enabled(self.sys) && service.state(self.sys)? == "inactive" {
                service.start(self.sys)?;
            }
        }
        Ok(())
    }

    /// Notes what keepalived is held back by.
    fn hold(&mut self, condition: Condition) -> Result<(), Condition> {
        let progress = Progress::read(self.sys);
        let held = Some(format!("{}; {}", condition.what, condition.remedy));
        if self.shares_an_address() && !self.is_admitted() && progress.held != held {
            apply::note(self.sys, &Progress { held, ..progress })?;
        }
        self.say(&condition);
        Ok(())
    }

    /// This server was taken out of the cluster: the others send it no adverts any more.
    fn leave(&mut self) -> Result<(), Condition> {
        let condition = Condition::new(
            "this server was taken out of the cluster (bake remove)",
            "switch it off; a card that is baked anew joins again",
        );
        if self.is_admitted() {
            let gone = self.sys.remove(Path::new(paths::VIP_ADMITTED));
            gone.map_err(|e| Condition::io(format!("removing {}", paths::VIP_ADMITTED), &e))?;
        }
        for service in SERVICES.iter().rev().filter(|_| self.shares_an_address()) {
            if matches!(&*service.state(self.sys)?, "active" | "activating" | "reloading") {
                service.stop(self.sys)?;
            }
        }
        self.hold(condition)
    }

    /// Who once took this server in.
    fn known(&self) -> BTreeSet<String> {
        let text = read_text_if_there(self.sys, paths::SERVERS_KNOWN).ok().flatten();
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    fn remember(&self, known: &BTreeSet<String>) -> Result<(), Condition> {
        let path = paths::SERVERS_KNOWN;
        let failed = |e: std::io::Error| Condition::io(format!("writing {path}"), &e);
        let json = serde_json::to_vec(known).map_err(|e| failed(e.into()))?;
        write_durable(self.sys, Path::new(path), &json, 0o600).map_err(failed)
    }
}
