//! Readers of what the kernel and the system say. Pure: text in, facts out.

pub mod arp;
pub mod cgroup;
pub mod etcd_log;
pub mod hosts;
pub mod k3s;
pub mod mounts;
pub mod routes;
