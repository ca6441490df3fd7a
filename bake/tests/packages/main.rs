//! Packages for an image: what is believed, what is chosen, what is refused.

mod archive;
mod chosen;
mod locked;
#[path = "../fetch/server.rs"]
#[allow(dead_code, reason = "each test program uses its part")]
mod server;
#[path = "../support/mod.rs"]
mod support;
mod trusted;
