//! haproxy.cfg, in words that HAProxy 1.8 (Debian 10) knows already.

use std::fmt::Write;

use super::{ALIVE_PORT, Shared};
use crate::paths;

/// A reload hands the listening sockets on (`expose-fd listeners`), so that no connection is lost
/// between the old process and the new one.
pub(super) fn config(shared: &Shared) -> String {
    let mut text = format!(
        "# Written by bake: see docs/networking.md.\n\
         global\n\
         \x20   log /dev/log local0 notice\n\
         \x20   chroot /var/lib/haproxy\n\
         \x20   user haproxy\n\
         \x20   group haproxy\n\
         \x20   maxconn 4000\n\
         \x20   stats socket /run/haproxy/admin.sock mode 600 level operator expose-fd listeners\n\
         \n\
         defaults\n\
         \x20   log global\n\
         \x20   timeout client 1m\n\
         \x20   timeout server 1m\n\
         \n\
         # On every address of the server: nothing has to follow the shared one when it moves.\n\
         frontend api\n\
         \x20   mode tcp\n\
         \x20   bind *:{port}\n\
         \x20   option clitcpka\n\
         \x20   default_backend servers\n\
         \n\
         # A server that still starts accepts connections and answers 503: only /ping tells. One\n\
         # that is gone without a word costs a new connection `timeout connect` before the next is\n\
         # tried. Watches are silent for minutes and live for hours.\n\
         backend servers\n\
         \x20   mode tcp\n\
         \x20   balance leastconn\n\
         \x20   timeout connect 250ms\n\
         \x20   timeout check 2s\n\
         \x20   timeout tunnel 24h\n\
         \x20   retries 3\n\
         \x20   option redispatch 1\n\
         \x20   option srvtcpka\n\
         \x20   option httpchk GET /ping\n\
         \x20   http-check expect status 200\n\
         \x20   default-server check check-ssl verify required ca-file {ca} inter 1s fastinter 250ms \
         downinter 500ms fall 3 rise 1 on-marked-down shutdown-sessions\n",
        port = shared.vip.port,
        ca = paths::API_CA,
    );
    for server in shared.servers {
        if let Some(address) = server.address {
            let _ = writeln!(text, "    server {} {address}:{}", server.name, paths::API_PORT);
        }
    }
    let _ = write!(
        text,
        "\n\
         # For keepalived's check.\n\
         frontend alive\n\
         \x20   mode http\n\
         \x20   bind 127.0.0.1:{ALIVE_PORT}\n\
         \x20   monitor-uri /alive\n"
    );
    text
}
