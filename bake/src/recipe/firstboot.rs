//! The device binary, its units, and what it reads.

use nodeconf::{NodeConfig, Role, Topology, paths};

use super::Materials;
use super::edit::{Access, Source, Topic};
use super::steps::Steps;
use crate::profile::NodePlan;

/// The units as `firstboot` keeps them, beside the exit codes they must agree with.
const UNITS: [(&str, &str); 2] = [
    (paths::FIRSTBOOT_UNIT, include_str!("../../../firstboot/units/bake-firstboot.service")),
    (paths::WITNESS_UNIT, include_str!("../../../firstboot/units/bake-witness.service")),
];
/// The one of servers that have others beside them.
const SERVERS_UNIT: (&str, &str) =
    (paths::SERVERS_UNIT, include_str!("../../../firstboot/units/bake-servers.service"));

pub(super) fn edits(
    plan: &NodePlan,
    config: &NodeConfig,
    materials: &Materials,
    steps: &mut Steps,
) {
    steps.about(Topic::Firstboot).shared();
    let binary = Source::Material(materials.firstboot.clone());
    steps.put(paths::FIRSTBOOT, Access::root(0o755), binary);
    let several = plan.node.role == Role::Server && plan.cluster.topology != Topology::Single;
    let units = || UNITS.into_iter().chain(several.then_some(SERVERS_UNIT));
    for (name, text) in units() {
        let unit = format!("{}/{name}", paths::UNIT_DIR);
        steps.write(&unit, 0o644, text);
        steps.enable("multi-user.target", name, unit);
    }
    // A first boot may disable what no preset enables.
    let presets: String = units().map(|(name, _)| format!("enable {name}\n")).collect();
    steps.write("/etc/systemd/system-preset/00-bake.preset", 0o644, presets);
    steps.directory(paths::STATE_DIR, Access::root(0o755));
    steps.own();
    steps.write(paths::NODE_CONFIG, 0o644, config.to_json());
    steps.secret(paths::NODE_SECRETS, plan.secrets.to_json());
}
