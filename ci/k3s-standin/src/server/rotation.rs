//! Another server token, on one server: the others have it in the datastore, and each takes it at
//! its next start (K3s `pkg/server/handlers/token.go`).

use super::Server;
use super::files::write_token;
use crate::passwd::Passwd;
use crate::{Fatal, bootstrap};

/// What `PUT /v1-k3s/token` does. This server too goes on with its old passwords until it starts
/// anew.
pub fn rotate(server: &Server, new: &str) -> Result<(), Fatal> {
    let mut users = Passwd::read(&server.tls)?;
    let old = users.of("server").ok_or("server token not found")?.to_owned();
    users.ensure("server", new);
    if !server.tokens.own_agent && users.of("node") == Some(&old) {
        users.ensure("node", new);
    }
    users.write()?;
    write_token(&server.tls, "token", new, "server")?;
    bootstrap::rotate(server.store(), &server.tls, &old, new)
}
