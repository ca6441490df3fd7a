//! HAProxy and keepalived as services of this node.

use std::path::Path;

use nodeconf::paths;
use nodeconf::vip::Shared;

use crate::facts::k3s::properties;
use crate::finding::Condition;
use crate::sys::{Command, CommandError, Sys};

/// Where both packages' units are wanted.
const WANTS: &str = "/etc/systemd/system/multi-user.target.wants";

/// A service, the configuration that is ours, and how it judges it.
#[derive(Debug)]
pub struct Service {
    /// The program.
    pub program: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Its configuration.
    pub config: &'static str,
    test: &'static [&'static str],
    mode: u32,
    text: fn(&Shared) -> String,
}

/// HAProxy first: keepalived asks whether it works.
pub const SERVICES: [Service; 2] = [
    Service {
        program: "haproxy",
        unit: "haproxy.service",
        config: paths::HAPROXY_CONFIG,
        test: &["-c", "-q", "-f"],
        mode: 0o644,
        text: |shared| shared.haproxy(),
    },
    Service {
        program: "keepalived",
        unit: "keepalived.service",
        config: paths::KEEPALIVED_CONFIG,
        test: &["--config-test", "-f"],
        mode: 0o600,
        text: |shared| shared.keepalived(),
    },
];

impl Service {
    /// Permissions of its configuration.
    #[must_use]
    pub fn mode(&self) -> u32 {
        self.mode
    }

    /// What its configuration should be.
    #[must_use]
    pub fn wanted(&self, shared: &Shared) -> String {
        (self.text)(shared)
    }

    /// Whether systemd starts it at boot.
    pub fn is_enabled(&self, sys: &dyn Sys) -> bool {
        sys.read_link(&Path::new(WANTS).join(self.unit)).is_ok()
    }

    /// Its `ActiveState=`.
    ///
    /// # Errors
    /// systemd does not say.
    pub fn state(&self, sys: &dyn Sys) -> Result<String, Condition> {
        let show =
            Command::new("systemctl", ["show", "--property=ActiveState,SubState,Job", self.unit]);
        let out = sys.run(&show)?;
        Ok(properties(&out).get("ActiveState").copied().unwrap_or("unknown").to_owned())
    }

    /// Has the program itself look at a configuration.
    ///
    /// # Errors
    /// What it says, or that it is not installed.
    pub fn judge(&self, sys: &dyn Sys, file: &str) -> Result<(), Condition> {
        match self.try_judge(sys, file) {
            Ok(()) => Ok(()),
            Err(CommandError::Missing(program)) => Err(Condition::new(
                format!("{program} is not installed"),
                "bake the card again with its packages, or install it",
            )),
            Err(CommandError::Failed { status, stderr, .. }) => Err(Condition::new(
                format!("{} refuses {file}: {}", self.program, stderr.unwrap_or(status)),
                "correct what it names; it goes on by itself",
            )),
            Err(other) => Err(other.into()),
        }
    }

    /// As [`Self::judge`]; false where the program is not installed.
    ///
    /// # Errors
    /// What it says.
    pub fn judge_if_there(&self, sys: &dyn Sys, file: &str) -> Result<bool, Condition> {
        match self.try_judge(sys, file) {
            Err(CommandError::Missing(_)) => Ok(false),
            _ => self.judge(sys, file).map(|()| true),
        }
    }

    fn try_judge(&self, sys: &dyn Sys, file: &str) -> Result<(), CommandError> {
        let mut test = Command::new(self.program, []);
        test.args = self.test.iter().chain([&file]).map(|&arg| arg.to_owned()).collect();
        sys.run(&test).map(drop)
    }

    /// Has systemd start it at boot.
    ///
    /// # Errors
    /// systemctl or the card fails.
    pub fn enable(&self, sys: &dyn Sys) -> Result<(), Condition> {
        if !self.is_enabled(sys) {
            sys.run(&Command::new("systemctl", ["enable", "--no-reload", self.unit]))?;
        }
        for dir in [paths::UNIT_DIR, WANTS] {
            let synced = sys.sync_dir(Path::new(dir));
            synced.map_err(|e| Condition::io(format!("syncing {dir}"), &e))?;
        }
        Ok(())
    }

    /// Has systemd start it now.
    ///
    /// # Errors
    /// systemctl fails.
    pub fn start(&self, sys: &dyn Sys) -> Result<(), Condition> {
        // Fails where the unit has not failed before.
        let _ = sys.run(&Command::new("systemctl", ["reset-failed", self.unit]));
        sys.run(&Command::new("systemctl", ["start", "--no-block", self.unit]))?;
        Ok(())
    }

    /// Ends it.
    ///
    /// # Errors
    /// systemctl fails.
    pub fn stop(&self, sys: &dyn Sys) -> Result<(), Condition> {
        sys.run(&Command::new("systemctl", ["stop", self.unit]))?;
        Ok(())
    }

    /// Has it take up its configuration if it runs. Neither loses a connection by that.
    ///
    /// # Errors
    /// systemctl fails, or it is just starting, and nobody knows with which configuration.
    pub fn reload(&self, sys: &dyn Sys) -> Result<bool, Condition> {
        let state = self.state(sys)?;
        match state.as_str() {
            "active" => {
                sys.run(&Command::new("systemctl", ["reload", self.unit]))?;
                Ok(true)
            }
            "activating" | "reloading" | "deactivating" => {
                let what = format!("{} is {state}", self.unit);
                Err(Condition::new(what, "its configuration is taken up after that"))
            }
            _ => Ok(false),
        }
    }
}
