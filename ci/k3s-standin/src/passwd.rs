//! `server/cred/passwd`: the passwords of both tokens, one line each (K3s `pkg/passwd`). Servers
//! share it, so a server whose file is newer than what the datastore has of it does not start.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Fatal;
use crate::bootstrap::PASSWORDS;
use crate::pki::{Tls, write};

/// The file.
#[derive(Debug)]
pub struct Passwd {
    file: PathBuf,
    lines: Vec<[String; 2]>,
    changed: bool,
}

impl Passwd {
    /// What it says; nothing where it is not there.
    pub fn read(tls: &Tls) -> Result<Self, Fatal> {
        let file = tls.0.parent().unwrap_or(Path::new("/")).join(PASSWORDS);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(format!("{}: {e}", file.display())),
        };
        let entry = |line: &str| match line.split(',').collect::<Vec<_>>().as_slice() {
            [password, name, ..] => Ok([(*name).to_owned(), (*password).to_owned()]),
            _ => Err(format!("password file '{}' must have at least 2 columns", file.display())),
        };
        let lines = text.lines().map(entry).collect::<Result<_, _>>()?;
        Ok(Self { file, lines, changed: false })
    }

    /// The password of a user.
    pub fn of(&self, user: &str) -> Option<&str> {
        self.lines.iter().find(|[name, _]| name == user).map(|[_, password]| password.as_str())
    }

    /// Gives a user this password.
    pub fn ensure(&mut self, user: &str, password: &str) {
        if self.of(user) == Some(password) {
            return;
        }
        self.lines.retain(|[name, _]| name != user);
        self.lines.push([user.to_owned(), password.to_owned()]);
        self.changed = true;
    }

    /// Writes it where it changed; its time stays otherwise.
    pub fn write(&self) -> Result<(), Fatal> {
        if !self.changed {
            return Ok(());
        }
        let line = |[name, password]: &[String; 2]| {
            let role = if name == "node" { "agent" } else { "server" };
            format!("{password},{name},{name},k3s:{role}\n")
        };
        let text: String = self.lines.iter().map(line).collect();
        write(&self.file, text.as_bytes(), 0o600)
    }
}
