//! The verbs about a cluster, run as a user runs them, judged by OpenSSL, curl and Python's YAML.

#[path = "../support/mod.rs"]
mod support;

mod desk;
mod double;
mod kubeconfig;
mod remove;
mod status;
