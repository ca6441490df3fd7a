//! The node configuration: what `bake` writes into an image and `firstboot` reads on the device.
//!
//! Both sides use this crate, so what one writes the other understands. It does no I/O: callers
//! bring bytes and take bytes.
//!
//! - [`NodeConfig`] (`/etc/bake/node.json`, 0644) says what the node is; it holds no secrets.
//! - [`NodeSecrets`] (`/etc/bake/secrets.json`, 0600) holds what only this node may know.
//! - [`paths`] names every file, unit and port the two sides share.
//! - [`kube`] is what both read of a Kubernetes API.
//! - [`status`] is what a node says about itself.
//! - [`servers`] is what servers tell each other of who came and left; [`vip`] what follows for the
//!   services that move the shared address.
//!
//! Reading is strict: unknown keys, a version this build does not know, and values that
//! contradict each other are errors, and [`NodeConfig::validate`] reports all of them.

mod config;
mod error;
pub mod kube;
pub mod names;
mod package;
pub mod paths;
mod secrets;
pub mod servers;
pub mod status;
mod validate;
pub mod vip;

pub use config::{
    Address, Bootstrap, Cluster, Datastore, DatastoreKind, Failover, Iptables, K3s, Node,
    NodeConfig, Peer, Role, StaticAddress, Swap, System, Topology, Vip, VipProvider,
};
pub use error::{Error, Fault};
pub use package::Package;
pub use secrets::{DatabaseSecret, NodeSecrets, Secret};

/// Version of both files that this build writes. Every older version stays readable forever.
pub const VERSION: u32 = 2;
