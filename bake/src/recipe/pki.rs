//! Keys and certificates.

use super::edit::{Access, Topic};
use super::steps::Steps;
use crate::profile::PkiPlan;

pub(super) fn edits(plan: &PkiPlan, steps: &mut Steps) {
    steps.about(Topic::Pki);
    for directory in &plan.directories {
        steps.directory(&directory.path, Access::root(directory.mode));
    }
    let time = i64::try_from(plan.time).unwrap_or(i64::MAX);
    for file in &plan.files {
        let (text, path) = (file.text.expose(), &file.path);
        let mode = if file.private { 0o600 } else { 0o644 };
        if file.private {
            steps.secret(path, text);
        } else {
            steps.write(path, mode, text);
        }
        // K3s compares the times of its own files between servers (k3s pkg/cluster/bootstrap.go).
        steps.stamp(path, Access::root(mode), time);
    }
}
