//! Downloads and their cache: nothing leaves this room before its digest was compared.
//!
//! [`Fetcher`] is the way in: [`Fetcher::file`] for something with a known digest,
//! [`Fetcher::base`] for a base image ready to be baked on, [`k3s`] for releases of K3s,
//! [`Fetcher::container_image`] for what a registry has under a name.

mod base;
mod cache;
mod client;
mod download;
mod entry;
mod fetcher;
pub mod k3s;
mod local;
mod lock;
mod part;
mod registry;
mod signature;
mod signed;
mod stream;
mod sums;
mod unpack;
mod verified;

pub use base::{Base, BaseRequest};
pub use cache::{Cache, Listed};
pub use client::{shown, shown_text};
pub use entry::{Kind, Record};
pub use fetcher::{Fetcher, FileRequest, Options};
pub use registry::{Held, Platform};
pub use signature::{Signature, SignedBy, Verification};
pub use verified::Verified;
