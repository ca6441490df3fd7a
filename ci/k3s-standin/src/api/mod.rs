//! The HTTPS port: supervisor and API server as a client without and with credentials sees them.

mod auth;
mod resource;
mod rest;
mod supervisor;

use serde_json::json;

use crate::http::server::{Request, Response};
use crate::server::Server;
use crate::settings::Generation;
use crate::version;
use auth::{Caller, caller};

/// Answers a request.
pub fn respond(server: &Server, request: &Request) -> Response {
    if !server.is_open() {
        return Response::text(503, "starting");
    }
    match request.path.as_str() {
        "/ping" => return Response::text(200, "pong"),
        "/cacerts" => {
            return match server.tls.read("server-ca.crt") {
                Ok(pem) => Response::text(200, pem),
                Err(e) => Response::text(500, e),
            };
        }
        _ => {}
    }
    let caller = match caller(server, request) {
        Ok(caller) => caller,
        Err(refusal) => return refusal,
    };
    if request.path == "/db/info" {
        let open = server.settings.generation == Generation::Old;
        return match open || caller.may_join() || caller == Caller::Administrator {
            true => supervisor::db_info(server),
            false => Response::text(403, ""),
        };
    }
    if let Some(path) = request.path.strip_prefix("/v1-k3s/") {
        return supervisor::respond(server, request, path, &caller);
    }
    kubernetes(server, request, &caller)
}

fn kubernetes(server: &Server, request: &Request, caller: &Caller) -> Response {
    if *caller == Caller::Nobody || caller.has_token() {
        return status(401, "Unauthorized", "Unauthorized");
    }
    match request.path.as_str() {
        "/version" => return Response::json(200, &json!({"gitVersion": version()})),
        // Alive as long as it runs; Kubernetes asks etcd for livez too.
        "/readyz" | "/livez" | "/healthz" => {
            return match server.is_ready() {
                Ok(()) => Response::text(200, "ok"),
                Err(e) => Response::text(500, format!("{e}\n{} check failed\n", request.path)),
            };
        }
        _ => {}
    }
    if !server.is_up() {
        return status(503, "ServiceUnavailable", "apiserver not ready");
    }
    rest::respond(server, request, caller)
}

/// Kubernetes's own form of an error.
fn status(code: u16, reason: &str, message: &str) -> Response {
    let outcome = if code < 300 { "Success" } else { "Failure" };
    let value = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": outcome,
        "message": message, "reason": reason, "code": code});
    Response::json(code, &value)
}
