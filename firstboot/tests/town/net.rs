//! Who answers whom.

use std::path::Path;

use bootstrap::{Card, Config, Nonce, Observed, Request, State};
use firstboot::sys::{HttpsError, HttpsReply, HttpsRequest, Method};
use nodeconf::{NodeConfig, paths};

use super::Town;
use crate::fake::FLOOR;

/// How long certificates last, in seconds.
const VALID: u64 = 10 * 365 * 86400;

type Answer = Result<HttpsReply, HttpsError>;

pub(super) fn reply(status: u16, body: impl Into<Vec<u8>>) -> Answer {
    Ok(HttpsReply { status, body: body.into() })
}

impl Town {
    pub(super) fn https(&self, from: usize, request: &HttpsRequest) -> Answer {
        let clock = self.boards[from].world.borrow().clock.as_secs();
        if clock < FLOOR {
            return Err(HttpsError::Untimely("certificate not valid yet".into()));
        }
        if clock > FLOOR + VALID {
            return Err(HttpsError::Untimely("certificate expired".into()));
        }
        let (ip, port) = (request.address.ip(), request.address.port());
        let to = if ip.is_loopback() {
            Some(from)
        } else if ip.to_string() == "192.168.24.10" {
            // HAProxy asks /ping of every server; one that does not serve gets no connection.
            let Some(to) = self.behind_vip(from) else {
                return Err(HttpsError::Unreachable("connection closed".into()));
            };
            Some(to)
        } else {
            (0..self.boards.len()).find(|&board| self.plan.address(board) == ip.to_string())
        };
        let apart = |to: &usize| {
            let strange = &self.shared.borrow().other_secrets;
            from != *to && (strange.contains(&from) || strange.contains(to))
        };
        match to {
            Some(to) if self.reaches(from, to) && apart(&to) => {
                Err(HttpsError::Untrusted("certificate issued by an unknown authority".into()))
            }
            Some(to) if self.reaches(from, to) => match port {
                paths::WITNESS_PORT => self.witness(to, request),
                _ => self.api(to, request),
            },
            _ => Err(HttpsError::Unreachable("timed out".into())),
        }
    }

    /// Whether one board's packets reach another.
    pub(super) fn reaches(&self, from: usize, to: usize) -> bool {
        let shared = self.shared.borrow();
        let apart = shared.cut_off.contains(&from) || shared.cut_off.contains(&to);
        shared.powered[from] && shared.powered[to] && (from == to || !apart)
    }

    pub(super) fn behind_vip(&self, from: usize) -> Option<usize> {
        let held = !self.shared.borrow().vip_down;
        (0..self.plan.servers)
            .filter(|_| held)
            .find(|&to| self.reaches(from, to) && self.serves(to))
    }

    fn witness(&self, board: usize, request: &HttpsRequest) -> Answer {
        let config = self.boards[board].file(paths::NODE_CONFIG).unwrap();
        let config = NodeConfig::parse(config.as_bytes()).unwrap();
        let rules = Config::of(&config);
        let has_data = self.data(board).is_some();
        let world = &mut *self.boards[board].world.borrow_mut();
        let now_ms = u64::try_from(world.uptime.as_millis()).unwrap();
        let observed = Observed { now_ms, has_data };
        let shared = &mut *self.shared.borrow_mut();
        let state = match shared.witnesses[board].take() {
            Some(state) => state,
            None => match world.disk.read(Path::new(paths::WITNESS_STATE)) {
                Ok(bytes) => State::from_json(&bytes, now_ms).unwrap(),
                Err(_) => {
                    let nonce = Nonce(shared.number().into());
                    let card = Card::new(&config.node.name, config.node.incarnation, nonce);
                    State::new(card, now_ms)
                }
            },
        };
        let (state, answer) = match request.method {
            Method::Get => {
                let view = serde_json::to_vec(&state.view(&rules, &observed)).unwrap();
                (state, view)
            }
            _ => {
                let asked: Request = serde_json::from_slice(&request.body).unwrap();
                let (state, reply) = state.on_request(&rules, &asked, &observed);
                (state, serde_json::to_vec(&reply).unwrap())
            }
        };
        world.disk.place(paths::WITNESS_STATE, state.to_json().as_bytes(), 0o600);
        shared.witnesses[board] = Some(state);
        reply(200, answer)
    }
}
