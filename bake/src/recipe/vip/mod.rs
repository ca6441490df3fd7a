//! One address for all servers: keepalived moves it, HAProxy behind it balances (ADR 0089).

mod kube_vip;

use nodeconf::vip::{ALIVE, ALIVE_PORT, Shared};
use nodeconf::{NodeConfig, Role, Vip, VipProvider, paths};

use super::edit::{Access, Topic};
use super::steps::Steps;
use crate::profile::NodePlan;

/// Debian packages of a server that takes part in moving the address. With `arping` firstboot
/// finds out who else answers for it.
pub const PACKAGES: [&str; 3] = ["keepalived", "haproxy", "iputils-arping"];

/// Debian's unit restarts HAProxy five times and then no more.
const HAPROXY_UNIT: &str = "[Unit]\nStartLimitIntervalSec=0\n\n[Service]\nRestartSec=250ms\n";

pub(super) fn edits(plan: &NodePlan, config: &NodeConfig, steps: &mut Steps) {
    let Some(vip) = &plan.cluster.vip else { return };
    if vip.provider == VipProvider::KubeVip && plan.node.role == Role::Server {
        kube_vip::edits(plan, vip, steps);
    }
    let Some(shared) = Shared::of(config, &config.cluster.servers) else { return };
    steps.about(Topic::Vip);
    steps.directory("/etc/keepalived", Access::root(0o755));
    steps.directory("/etc/haproxy", Access::root(0o755));
    steps.write(paths::KEEPALIVED_CONFIG, 0o600, shared.keepalived());
    steps.write(paths::HAPROXY_CONFIG, 0o644, shared.haproxy());
    steps.write(ALIVE, 0o755, alive());
    drop_in("keepalived.service", &keepalived_unit(vip, &plan.node.interface), steps);
    drop_in("haproxy.service", HAPROXY_UNIT, steps);
}

/// Debian's unit does not restart keepalived, and one that was killed leaves the address behind,
/// where it would answer beside the new holder. It waits for `firstboot servers`: a server that the
/// others do not know would take the address as well.
fn keepalived_unit(vip: &Vip, interface: &str) -> String {
    format!(
        "[Unit]\n\
         StartLimitIntervalSec=0\n\
         ConditionPathExists={}\n\
         \n\
         [Service]\n\
         Restart=always\n\
         RestartSec=1s\n\
         ExecStopPost=-/sbin/ip address del {}/32 dev {interface}\n",
        paths::VIP_ADMITTED,
        vip.address
    )
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
