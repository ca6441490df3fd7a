//! A double of PostgreSQL as Debian packages it, for what is left of a cluster when its making or
//! its setting up ends at any moment. What it committed is safe.

use std::path::Path;

use firstboot::sys::{Command, CommandError};
use nodeconf::paths;

use super::{Fake, World};

const CONFIG: &str = "/etc/postgresql/15/main/conf.d/50-bake.conf";
const ACCESS: &str = "/etc/postgresql/15/main/pg_hba.conf";

/// A cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Cluster {
    #[default]
    None,
    /// Listed, and without all it needs to start.
    Half,
    Whole,
}

/// The cluster `15 main`.
#[derive(Debug, Clone, Default)]
pub struct Postgres {
    pub cluster: Cluster,
    /// The settings that it runs with.
    running: Option<String>,
    role: bool,
    database: bool,
}

impl Postgres {
    pub fn is_provided(&self) -> bool {
        self.running.is_some() && self.role && self.database
    }

    /// Whether it takes connections from others.
    pub fn listens(&self) -> bool {
        self.running.as_ref().is_some_and(|settings| !settings.is_empty())
    }
}

impl World {
    fn start_postgres(&mut self) -> bool {
        let text = |path: &str| self.disk.read(Path::new(path)).unwrap_or_default();
        // It reads its key and its rules at the start.
        let complete = text(CONFIG).is_empty()
            || !text(ACCESS).is_empty()
                && !text(&format!("{}/server.key", paths::POSTGRES_TLS)).is_empty();
        if self.postgres.cluster != Cluster::Whole || !complete {
            return false;
        }
        self.postgres.running = Some(String::from_utf8(text(CONFIG)).unwrap());
        true
    }

    /// As systemd has it: it starts with the board where it can.
    pub(super) fn boot_postgres(&mut self) {
        self.postgres.running = None;
        self.start_postgres();
    }
}

fn failed(command: &Command) -> CommandError {
    CommandError::Failed {
        line: command.line(),
        status: "exit status: 1".into(),
        code: Some(1),
        stdout: String::new(),
        stderr: Some("it does not run".into()),
    }
}

impl Fake {
    /// The programs it answers for; `None` for any other.
    pub(super) fn database_program(
        &self,
        command: &Command,
    ) -> Option<Result<String, CommandError>> {
        let args: Vec<&str> = command.args.iter().map(String::as_str).collect();
        let cluster = self.world.borrow().postgres.cluster.clone();
        let enter = |cluster| {
            self.world.borrow_mut().postgres.cluster = cluster;
            self.tick_write();
        };
        Some(match (command.program, args.as_slice()) {
            ("pg_lsclusters", _) if cluster == Cluster::None => Ok(String::new()),
            ("pg_lsclusters", _) => {
                let runs = self.world.borrow().postgres.running.is_some();
                let status = if runs { "online" } else { "down" };
                Ok(format!("15 main 5432 {status} postgres /var/lib/postgresql/15/main x\n"))
            }
            ("pg_createcluster", _) => {
                enter(Cluster::Half);
                enter(Cluster::Whole);
                Ok(String::new())
            }
            ("rm", ["-rf", "--", ..]) => {
                let only_data = args.len() == 3;
                enter(if only_data { cluster } else { Cluster::None });
                Ok(String::new())
            }
            ("install", ["-d", ..]) => Ok(String::new()),
            ("install", ["-D", .., from, to]) => {
                let bytes = self.world.borrow().disk.read(Path::new(from)).unwrap();
                self.world.borrow_mut().disk.create(Path::new(to), &bytes, 0o600).unwrap();
                Ok(String::new())
            }
            ("systemctl", ["restart", "postgresql@15-main.service"]) => {
                self.world.borrow_mut().postgres.running = None;
                self.tick_write();
                match self.world.borrow_mut().start_postgres() {
                    true => Ok(String::new()),
                    false => Err(failed(command)),
                }
            }
            ("runuser", _) => match self.sql(command.input.as_ref().unwrap().expose()) {
                Some(said) => Ok(said),
                None => Err(failed(command)),
            },
            _ => return None,
        })
    }

    fn sql(&self, text: &str) -> Option<String> {
        let postgres = self.world.borrow().postgres.clone();
        let settings = postgres.running.as_ref()?;
        if text.contains("pg_settings") {
            let line = |line: &str| Some(line.replace('\'', "").replacen(" = ", "|", 1) + "\n");
            return Some(settings.lines().filter_map(line).collect());
        }
        for statement in text.lines() {
            let does = |verb: &str| statement.starts_with(verb);
            if does("CREATE ROLE") || does("ALTER ROLE") {
                assert_eq!(does("ALTER ROLE"), self.world.borrow().postgres.role);
                self.world.borrow_mut().postgres.role = true;
            }
            if does("CREATE DATABASE") || does("ALTER DATABASE") {
                assert_eq!(does("ALTER DATABASE"), self.world.borrow().postgres.database);
                self.world.borrow_mut().postgres.database = true;
            }
            self.tick_write();
        }
        let mut said = String::new();
        for (what, there) in [("role", postgres.role), ("database", postgres.database)] {
            if there && text.contains(&format!("SELECT '{what}'")) {
                said.push_str(&format!("{what}\n"));
            }
        }
        Some(said)
    }
}
