//! The script that lies beside the new files of a node, and brings them to their places there.

use nodeconf::{Role, paths};

use crate::profile::{Member, Rotated};

/// The same for every node; what it is told stands before it.
const BODY: &str = include_str!("apply.sh");

/// The script of `member`, of a cluster whose first server is `leader`. It has no secret in it.
pub(super) fn of(cluster: &str, member: &Member, what: Rotated, leader: &str) -> String {
    let (role, unit) = match member.role {
        Role::Server => ("server", paths::K3S_SERVER_UNIT),
        Role::Agent => ("agent", paths::K3S_AGENT_UNIT),
        Role::Database => ("database", ""),
    };
    let (name, what) = (&member.name, what.name());
    let first = if name == leader { "yes" } else { "no" };
    format!(
        "#!/bin/sh\n\
         # Gives {name} of the cluster {cluster} its new {what}. Copy this folder to {name} and run\n\
         # the script there as root; when anything went wrong, run it again.\n\
         # With `stage` it only puts the files in their places.\n\
         node={name} role={role} first={first} leader={leader} what={what} unit={unit}\n\
         {BODY}"
    )
}
