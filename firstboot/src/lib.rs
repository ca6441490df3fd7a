//! `firstboot` takes a baked board from power-on to a Ready member of its K3s cluster.
//!
//! systemd runs it on every boot. It is crash-safe at every instruction: what comes next is a
//! pure function of what was recorded, what is observed and what is configured, every step is
//! check-then-apply, and every durable write goes through [`sys::write_durable`].
//!
//! | room | what it is |
//! |---|---|
//! | [`run`] | one run: asks the machine what next, does it, reports |
//! | [`machine`] | the pure decision, and the table behind it |
//! | [`steps`] | one file a step: check, then apply |
//! | [`report`] | journal, `status.json`, log on the boot partition |
//! | [`ledger`] | which steps are done, across power cuts |
//! | [`facts`] | readers of what the kernel and the system say |
//! | [`etcd`] | what embedded etcd has on this card |
//! | [`kube`] | questions to a Kubernetes API server |
//! | [`witness`] | promises about who founds, served to the other servers, and asking theirs |
//! | [`servers`] | servers that come and leave: who knows whom, and what the shared address's services follow |
//! | [`finding`], [`exit`] | the words all of them use |
//! | [`sys`] | the only way out: files, commands, clock, network; tests bring their own |

pub mod cli;
pub mod etcd;
pub mod exit;
pub mod facts;
pub mod finding;
pub mod kube;
pub mod ledger;
pub mod machine;
pub mod report;
pub mod run;
pub mod servers;
pub mod steps;
pub mod sys;
pub mod witness;

/// The systemd unit that runs `firstboot` at every boot; `bake` places it and enables it.
pub const UNIT: &str = include_str!("../units/bake-firstboot.service");
/// The systemd unit that runs the witness; `bake` places it and enables it.
pub const WITNESS_UNIT: &str = include_str!("../units/bake-witness.service");
/// The systemd unit that tells servers of each other; `bake` places it and enables it on them.
pub const SERVERS_UNIT: &str = include_str!("../units/bake-servers.service");
