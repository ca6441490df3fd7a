//! Customisation that is on an image already: Raspberry Pi Imager writes it, or a person did.

use super::Look;
use super::kernel::CommandLine;
use crate::error::Result;

/// A file on the boot partition that somebody put there to customise the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Imager {
    /// `user-data` of Imager's, for cloud-init.
    UserData,
    /// `custom.toml`, read by raspberrypi-sys-mods (Bookworm).
    CustomToml,
    /// `firstrun.sh`, which the kernel's command line has systemd run.
    FirstRun,
    /// `userconf` or `userconf.txt`: the first user and a hash.
    UserConf,
    /// `ssh` or `ssh.txt`: start sshd.
    Ssh,
    /// `wpa_supplicant.conf`.
    WpaSupplicant,
}

impl Imager {
    /// Its file, for people.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::UserData => "user-data",
            Self::CustomToml => "custom.toml",
            Self::FirstRun => "firstrun.sh",
            Self::UserConf => "userconf.txt",
            Self::Ssh => "ssh",
            Self::WpaSupplicant => "wpa_supplicant.conf",
        }
    }
}

/// Whatever is there, in a fixed order.
pub(super) fn detect(
    look: &Look<'_>,
    boot: Option<&str>,
    command_line: &CommandLine,
) -> Result<Vec<Imager>> {
    let Some(boot) = boot else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    if by_imager(look, boot, command_line)? {
        found.push(Imager::UserData);
    }
    for (what, names) in [
        (Imager::CustomToml, &["custom.toml"][..]),
        (Imager::FirstRun, &["firstrun.sh"]),
        (Imager::UserConf, &["userconf.txt", "userconf"]),
        (Imager::Ssh, &["ssh", "ssh.txt"]),
        (Imager::WpaSupplicant, &["wpa_supplicant.conf"]),
    ] {
        let paths: Vec<String> = names.iter().map(|name| format!("{boot}/{name}")).collect();
        if look.any(&paths.iter().map(String::as_str).collect::<Vec<_>>())? {
            found.push(what);
        }
    }
    Ok(found)
}

/// Imager names the instance of its `user-data` on the kernel's command line
/// (`ds=nocloud;i=rpi-imager-…`) or in `meta-data`: the image's own names none of it.
fn by_imager(look: &Look<'_>, boot: &str, command_line: &CommandLine) -> Result<bool> {
    const MARK: &str = "rpi-imager-";
    if look.text(&format!("{boot}/user-data"))?.is_none() {
        return Ok(false);
    }
    let line = match command_line {
        CommandLine::File { path, .. } => look.text(path)?.unwrap_or_default(),
        _ => String::new(),
    };
    let meta = look.text(&format!("{boot}/meta-data"))?.unwrap_or_default();
    Ok(meta.contains(MARK) || line.contains(MARK))
}
