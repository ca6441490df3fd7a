//! HTTP over TLS, both sides.

pub mod client;
pub mod server;
