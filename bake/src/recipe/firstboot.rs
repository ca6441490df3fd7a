//! The device binary, its unit, and what it reads.

use nodeconf::{NodeConfig, paths};

use super::Materials;
use super::edit::{Access, Source, Topic};
use super::steps::Steps;
use crate::profile::NodePlan;

/// The unit as `firstboot` keeps it, beside the exit codes it must agree with.
const UNIT: &str = include_str!("../../../firstboot/units/bake-firstboot.service");

pub(super) fn edits(
    plan: &NodePlan,
    config: &NodeConfig,
    materials: &Materials,
    steps: &mut Steps,
) {
    steps.about(Topic::Firstboot);
    let binary = Source::Material(materials.firstboot.clone());
    steps.put(paths::FIRSTBOOT, Access::root(0o755), binary);
    let unit = format!("{}/{}", paths::UNIT_DIR, paths::FIRSTBOOT_UNIT);
    steps.write(&unit, 0o644, UNIT);
    steps.enable("multi-user.target", paths::FIRSTBOOT_UNIT, unit);
    steps.directory(paths::STATE_DIR, Access::root(0o755));
    steps.write(paths::NODE_CONFIG, 0o644, config.to_json());
    steps.secret(paths::NODE_SECRETS, plan.secrets.to_json());
}
