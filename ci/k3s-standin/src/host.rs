//! What K3s asks of the machine, and tells systemd.

use std::fs;
use std::net::UdpSocket;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};

use crate::config::Config;
use crate::{Fatal, rooted};

/// K3s refuses to run containers without accounting memory (K3s `pkg/cgroups`).
pub fn require_memory_cgroup() -> Result<(), Fatal> {
    let v2 = fs::read_to_string(rooted("/sys/fs/cgroup/cgroup.controllers"));
    let found = match v2 {
        Ok(controllers) => controllers.split_whitespace().any(|name| name == "memory"),
        Err(_) => fs::read_to_string(rooted("/proc/cgroups")).is_ok_and(|text| {
            text.lines().any(|l| l.starts_with("memory") && l.trim_end().ends_with('1'))
        }),
    };
    if found {
        return Ok(());
    }
    Err("Failed to find memory cgroup, you may need to add \"cgroup_memory=1 \
         cgroup_enable=memory\" to your linux cmdline (/boot/cmdline.txt on a Raspberry Pi)"
        .into())
}

/// The node's name: configured, or the host's.
pub fn node_name(config: &Config) -> Result<String, Fatal> {
    if let Some(name) = config.get("node-name") {
        return Ok(name.to_lowercase());
    }
    let file = rooted("/proc/sys/kernel/hostname");
    let name = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    Ok(name.trim().to_lowercase())
}

/// The configured address, or the one packets to the world would have; nothing is sent.
pub fn node_address(config: &Config) -> String {
    if let Some(address) = config.all("node-ip").next() {
        return address.to_owned();
    }
    UdpSocket::bind("0.0.0.0:0")
        .and_then(|socket| socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()))
        .map_or_else(|_| "127.0.0.1".into(), |address| address.ip().to_string())
}

/// sd_notify(3).
pub fn notify(state: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(hidden) => UnixAddr::from_abstract_name(hidden),
        None => UnixAddr::from_pathname(&name),
    };
    if let (Ok(address), Ok(socket)) = (address, UnixDatagram::unbound()) {
        let _ = socket.send_to_addr(state.as_bytes(), &address);
    }
}
