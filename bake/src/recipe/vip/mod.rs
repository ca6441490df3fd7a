//! One address for all servers: keepalived moves it, HAProxy behind it balances (ADR 0089).

mod haproxy;
mod keepalived;
mod kube_vip;

use nodeconf::{Role, VipProvider, paths};

use super::edit::{Access, Topic};
use super::steps::Steps;
use crate::profile::NodePlan;

/// Debian packages of a server that takes part in moving the address. With `arping` firstboot
/// finds out who else answers for it.
pub const PACKAGES: [&str; 3] = ["keepalived", "haproxy", "iputils-arping"];

/// Asked by keepalived whether HAProxy works.
pub(super) const ALIVE: &str = "/usr/local/lib/bake/vip-alive";
/// Where HAProxy answers it, TCP on the loopback interface.
const ALIVE_PORT: u16 = 16442;

pub(super) fn edits(plan: &NodePlan, steps: &mut Steps) {
    let Some(vip) = &plan.cluster.vip else { return };
    if vip.provider == VipProvider::KubeVip && plan.node.role == Role::Server {
        kube_vip::edits(plan, vip, steps);
    }
    let Some(vrrp) = &plan.vrrp else { return };
    steps.about(Topic::Vip);
    steps.directory("/etc/keepalived", Access::root(0o755));
    steps.directory("/etc/haproxy", Access::root(0o755));
    steps.write(paths::KEEPALIVED_CONFIG, 0o600, keepalived::config(plan, vrrp, vip));
    steps.write(paths::HAPROXY_CONFIG, 0o644, haproxy::config(plan, vip));
    steps.write(ALIVE, 0o755, alive());
    let interface = &plan.node.interface;
    drop_in("keepalived.service", &keepalived::unit(vip, interface), steps);
    drop_in("haproxy.service", haproxy::UNIT, steps);
}

fn drop_in(unit: &str, text: &str, steps: &mut Steps) {
    steps.write(format!("{}/{unit}.d/bake.conf", paths::UNIT_DIR), 0o644, text);
}

/// Connecting alone would not do: the kernel accepts for a process that hangs. bash is essential
/// in Debian, nothing else that speaks TCP is.
fn alive() -> String {
    format!(
        "#!/bin/bash\n\
         # Asked by keepalived: does HAProxy work on this server?\n\
         exec 3<>/dev/tcp/127.0.0.1/{ALIVE_PORT} || exit 1\n\
         printf 'GET /alive HTTP/1.0\\r\\n\\r\\n' >&3\n\
         read -r -t 0.8 _ status _ <&3 && [ \"$status\" = 200 ]\n"
    )
}
