//! A double of dpkg, for what it leaves of packages when it ends at any moment: each goes through
//! the states of the real one (dpkg(1)), and the power may go between any two. Its database is safe
//! as soon as it is written, as the real one's.

use std::collections::BTreeMap;
use std::path::Path;

use firstboot::sys::{Command, CommandError};
use sha2::{Digest, Sha256};

use super::Fake;

/// State and version of each package that it knows.
#[derive(Debug, Clone, Default)]
pub struct Dpkg {
    pub packages: BTreeMap<String, (&'static str, String)>,
    /// What a package's scripts need to be unpacked when its own unpacking was cut short before:
    /// they run as for an upgrade.
    pub needs: BTreeMap<String, String>,
}

fn failed(command: &Command, said: &str) -> CommandError {
    CommandError::Failed {
        line: command.line(),
        status: "exit status: 1".into(),
        code: Some(1),
        stdout: String::new(),
        stderr: Some(said.into()),
    }
}

impl Fake {
    /// The programs it answers for; `None` for any other.
    pub(super) fn package_program(
        &self,
        command: &Command,
    ) -> Option<Result<String, CommandError>> {
        let args: Vec<&str> = command.args.iter().map(String::as_str).collect();
        Some(match (command.program, args.as_slice()) {
            ("dpkg-query", _) => Ok(self.packages_known()),
            ("sha256sum", ["--", files @ ..]) => {
                Ok(files.iter().map(|file| self.digest(file)).collect())
            }
            ("dpkg", ["--compare-versions", ..]) => Err(failed(command, "")),
            ("dpkg", [.., "--configure", "--pending"]) => {
                let known = self.world.borrow().dpkg.packages.clone();
                known.keys().for_each(|name| self.configure(name));
                Ok(String::new())
            }
            ("dpkg", ["--force-confdef", "--force-confold", "--install", files @ ..]) => {
                let names: Vec<Option<String>> = files.iter().map(|f| self.unpack(f)).collect();
                names.iter().flatten().for_each(|name| self.configure(name));
                match names.iter().all(Option::is_some) {
                    true => Ok(String::new()),
                    false => Err(failed(command, "dpkg: error processing archive")),
                }
            }
            _ => return None,
        })
    }

    fn packages_known(&self) -> String {
        let world = self.world.borrow();
        let line = |(name, (state, version)): (&String, &(&str, String))| {
            format!("{name} {state} {version}\n")
        };
        world.dpkg.packages.iter().map(line).collect()
    }

    fn digest(&self, file: &str) -> String {
        let bytes = self.world.borrow().disk.read(Path::new(file)).unwrap();
        format!("{}  {file}\n", hex::encode(Sha256::digest(bytes)))
    }

    fn state(&self, name: &str) -> Option<&'static str> {
        self.world.borrow().dpkg.packages.get(name).map(|(state, _)| *state)
    }

    fn enter(&self, name: &str, state: &'static str) {
        let version = "1.0".to_owned();
        self.world.borrow_mut().dpkg.packages.insert(name.to_owned(), (state, version));
        self.tick_write();
    }

    /// Unpacks a file that holds a package's name and version; its name if that went well.
    fn unpack(&self, file: &str) -> Option<String> {
        let content = self.file(file).expect("what is installed is staged");
        let name = content.split_whitespace().next().unwrap().to_owned();
        let needed = self.world.borrow().dpkg.needs.get(&name).cloned();
        if let Some(needed) = needed
            && self.state(&name) == Some("half-installed")
            && !matches!(self.state(&needed), Some("unpacked" | "installed"))
        {
            return None;
        }
        self.enter(&name, "half-installed");
        self.enter(&name, "unpacked");
        Some(name)
    }

    fn configure(&self, name: &str) {
        if matches!(self.state(name), Some("unpacked" | "half-configured")) {
            self.enter(name, "half-configured");
            self.enter(name, "installed");
        }
    }
}
