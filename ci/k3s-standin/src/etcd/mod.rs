//! Embedded etcd: as K3s runs it inside itself, the stand-in runs Debian's `etcd` as its child.

mod child;
mod gateway;
mod manage;
mod member;

pub use child::{Ended, become_etcd};
pub use gateway::Gateway;
pub use manage::manage;
pub use member::{Cluster, Member};
