//! The `database` node: PostgreSQL's settings, who may connect, and its backups.
//!
//! The version is known once the packages are installed, so `firstboot` moves the files to where
//! that version reads them.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use nodeconf::{Address, Role, paths};

use super::edit::{Access, Topic};
use super::steps::Steps;
use crate::profile::{DATABASE, NodePlan};

const BACKUP: &str = "bake-database-backup";
const BACKUP_PROGRAM: &str = "/usr/local/lib/bake/database-backup";
/// Dumps that are kept: one week of one every six hours.
const KEPT: u32 = 28;
/// Connections for each server, and some for people. K3s's driver opens as many as it has requests
/// at a time: two servers overflowed PostgreSQL's default of 100.
const CONNECTIONS: (usize, usize) = (100, 20);

pub(super) fn edits(plan: &NodePlan, steps: &mut Steps) {
    if plan.node.role != Role::Database {
        return;
    }
    steps.about(Topic::Database);
    let servers: Vec<Ipv4Addr> = plan.cluster.servers.iter().filter_map(|s| s.address).collect();
    steps.write(paths::DATABASE_CONFIG, 0o644, settings(&plan.node.address, servers.len()));
    steps.write(paths::DATABASE_ACCESS, 0o644, access(&servers));
    // PostgreSQL binds its addresses once, at its start: not before they are there.
    steps.directory("/etc/systemd/system/postgresql@.service.d", Access::root(0o755));
    steps.write(
        "/etc/systemd/system/postgresql@.service.d/50-bake.conf",
        0o644,
        "# Written by bake\n[Unit]\nWants=network-online.target\nAfter=network-online.target\n",
    );
    backup(steps);
}

fn settings(address: &Address, servers: usize) -> String {
    let listen = match address {
        Address::Static(own) => format!("localhost,{}", own.address),
        Address::Dhcp => "*".into(),
    };
    let connections = CONNECTIONS.0 * servers + CONNECTIONS.1;
    format!(
        "# Written by bake; firstboot places it in PostgreSQL's conf.d\n\
         listen_addresses = '{listen}'\n\
         port = {port}\n\
         max_connections = {connections}\n\
         password_encryption = 'scram-sha-256'\n\
         ssl = 'on'\n\
         ssl_min_protocol_version = 'TLSv1.2'\n\
         ssl_cert_file = '{tls}/server.crt'\n\
         ssl_key_file = '{tls}/server.key'\n",
        port = paths::POSTGRES_PORT,
        tls = paths::POSTGRES_TLS,
    )
}

/// Who may connect (PostgreSQL manual, 21.1): the first line that fits decides, and without one
/// nobody may.
fn access(servers: &[Ipv4Addr]) -> String {
    let (database, user) = DATABASE;
    let mut text = String::from(
        "# Written by bake; firstboot places it as PostgreSQL's pg_hba.conf\n\
         # TYPE   DATABASE    USER      ADDRESS             METHOD\n\
         local    all         all                           peer\n",
    );
    for server in servers {
        // Writing to a string does not fail.
        let _ = writeln!(text, "hostssl  {database}  {user}       {server}/32  scram-sha-256");
    }
    text
}

fn backup(steps: &mut Steps) {
    let database = DATABASE.0;
    let folder = paths::BACKUPS;
    steps.write(
        BACKUP_PROGRAM,
        0o755,
        format!(
            "#!/bin/sh\n\
             # Written by bake: dumps K3s's database and keeps the newest {KEPT} dumps.\n\
             # Restoring: docs/database.md\n\
             set -eu\n\
             umask 077\n\
             cd {folder}\n\
             pg_dump --format=custom --file=.new {database}\n\
             sync .new\n\
             mv .new \"{database}-$(date -u +%Y%m%dT%H%M%SZ).dump\"\n\
             sync .\n\
             ls -1 | grep '^{database}-.*\\.dump$' | sort -r | tail -n +{first} | xargs -r rm --\n",
            first = KEPT + 1
        ),
    );
    let unit = |suffix: &str| format!("{}/{BACKUP}.{suffix}", paths::UNIT_DIR);
    steps.write(
        unit("service"),
        0o644,
        format!(
            "# Written by bake\n[Unit]\nDescription=Backup of the database of K3s\n\
             After=postgresql.service\nConditionPathExists={tls}/server.key\n\n[Service]\nType=oneshot\nUser=postgres\n\
             ExecStartPre=+/usr/bin/install -d -o postgres -g postgres -m 0700 {folder}\n\
             ExecStart={BACKUP_PROGRAM}\nNice=10\nIOSchedulingClass=idle\n",
            tls = paths::POSTGRES_TLS,
        ),
    );
    steps.write(
        unit("timer"),
        0o644,
        "# Written by bake\n[Unit]\nDescription=Backups of the database of K3s\n\n\
         [Timer]\nOnCalendar=*-*-* 00/6:15:00\nRandomizedDelaySec=10min\nPersistent=true\n\n\
         [Install]\nWantedBy=timers.target\n",
    );
    steps.enable("timers.target", &format!("{BACKUP}.timer"), unit("timer"));
}
