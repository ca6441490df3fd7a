//! The kernel's command line and what it starts on the first boot.

use super::Look;
use crate::error::Result;

/// Where the kernel's command line comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// The Raspberry Pi firmware's file, the one that counts.
    File {
        /// Its path.
        path: String,
        /// A file whose words the distribution copies into it when a kernel is installed
        /// (Debian's raspi-firmware: `/etc/default/raspi-extra-cmdline`).
        copied_from: Option<&'static str>,
    },
    /// GRUB's generated configuration.
    Grub {
        /// Its path.
        path: &'static str,
        /// Whether it switches the memory cgroup off.
        memory_off: bool,
    },
    /// None that we can see; the boot loader has it built in.
    Unknown,
}

/// How the root file system grows on the first boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// Raspberry Pi OS to early Bullseye: `init=/usr/lib/raspi-config/init_resize.sh`.
    InitResize,
    /// Late Bullseye and Bookworm: `init=/usr/lib/raspberrypi-sys-mods/firstboot`.
    Firstboot,
    /// Trixie: the word `resize`, and `/etc/machine-id` saying `uninitialized`.
    ResizeWord,
    /// cloud-init's growpart.
    CloudInit,
    /// Nothing does it.
    None,
}

/// Debian's raspi-firmware rewrites cmdline.txt with every kernel, from this file among others.
const RASPI_EXTRA: &str = "/etc/default/raspi-extra-cmdline";

pub(super) fn command_line(look: &Look<'_>, boot: Option<&str>) -> Result<CommandLine> {
    if let Some(boot) = boot {
        let prefix = os_prefix(&look.text(&format!("{boot}/config.txt"))?.unwrap_or_default());
        // The firmware ignores a prefix under which there is no kernel; we ask for the file.
        for path in [format!("{boot}/{prefix}cmdline.txt"), format!("{boot}/cmdline.txt")] {
            if look.exists(&path)? {
                let hooks = ["/etc/kernel/postinst.d/z50-raspi-firmware"];
                let copied_from = look.any(&hooks)?.then_some(RASPI_EXTRA);
                return Ok(CommandLine::File { path, copied_from });
            }
        }
    }
    const GRUB: &str = "/boot/grub/grub.cfg";
    if let Some(grub) = look.0.read(GRUB.as_bytes(), super::TEXT_LIMIT)? {
        let memory_off = crate::recipe::amend::grub_has(&grub, crate::recipe::kernel::MEMORY_OFF);
        return Ok(CommandLine::Grub { path: GRUB, memory_off });
    }
    Ok(CommandLine::Unknown)
}

/// `os_prefix` of a config.txt as it stands outside sections that apply to some boards only
/// (Raspberry Pi documentation, config.txt: conditional filters). Empty or `name/`.
fn os_prefix(config: &str) -> String {
    let mut applies = true;
    let mut prefix = "";
    for line in config.lines().map(str::trim) {
        if line.starts_with('[') {
            applies = line == "[all]";
        } else if let Some(value) = line.strip_prefix("os_prefix=").filter(|_| applies) {
            prefix = value.trim();
        }
    }
    let clean = prefix.ends_with('/') && !prefix.starts_with('/') && !prefix.contains("..");
    if clean { prefix.to_owned() } else { String::new() }
}

pub(super) fn growth(look: &Look<'_>, line: &CommandLine, cloud_init: bool) -> Result<Growth> {
    let text = match line {
        CommandLine::File { path, .. } => look.text(path)?.unwrap_or_default(),
        _ => String::new(),
    };
    let has = |word: &str| text.split_whitespace().any(|w| w == word);
    Ok(if has("init=/usr/lib/raspi-config/init_resize.sh") {
        Growth::InitResize
    } else if has("init=/usr/lib/raspberrypi-sys-mods/firstboot") {
        Growth::Firstboot
    } else if has("resize") {
        Growth::ResizeWord
    } else if cloud_init {
        Growth::CloudInit
    } else {
        Growth::None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_counts_outside_conditional_sections() {
        for (config, prefix) in [
            ("[all]\nkernel=vmlinuz\nos_prefix=current/\n", "current/"),
            ("os_prefix=current/\n[pi5]\nos_prefix=new/\n", "current/"),
            ("[tryboot]\nos_prefix=new/\n", ""),
            ("os_prefix=../etc/\n", ""),
            ("os_prefix=/abs/\n", ""),
            ("", ""),
        ] {
            assert_eq!(os_prefix(config), prefix, "{config}");
        }
    }
}
