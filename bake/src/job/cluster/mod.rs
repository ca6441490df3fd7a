//! A cluster, from outside: access to it, how it is, and taking nodes from it.

pub mod kubeconfig;
