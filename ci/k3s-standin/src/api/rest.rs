//! Objects over HTTP. Any resource can be kept; only nodes mean something.

use serde_json::{Value, json};

use super::auth::Caller;
use super::resource::Resource;
use super::status;
use crate::http::server::{Request, Response};
use crate::objects::{self, ETCD_FINALIZER};
use crate::server::Server;
use crate::store::{Store, update};
use crate::{Fatal, log};

/// Answers one request for an object or a list.
pub fn respond(server: &Server, request: &Request, caller: &Caller) -> Response {
    let Some(resource) = Resource::parse(&request.path) else {
        return status(404, "NotFound", "the server could not find the requested resource");
    };
    let body: Value = match request.body.as_str() {
        "" => Value::Null,
        text => match serde_json::from_str(text) {
            Ok(value) => value,
            Err(e) => return status(400, "BadRequest", &e.to_string()),
        },
    };
    let name = resource.name.as_deref().or(body["metadata"]["name"].as_str());
    if !may(caller, &resource, &request.method, name) {
        let what = format!("{} \"{}\"", resource.plural, name.unwrap_or_default());
        let verb = request.method.to_lowercase();
        let message = format!("{what} is forbidden: User \"{}\" cannot {verb} it", caller.name());
        return status(403, "Forbidden", &message);
    }
    let store = server.store();
    let key = resource.key(name);
    let answer = match (request.method.as_str(), &resource.name) {
        ("GET", Some(_)) => get(server, store, &resource, &key),
        ("GET", None) => list(server, store, &resource, &request.query),
        ("POST", None) => create(store, &resource, &key, name, body.clone()),
        ("PUT", Some(_)) => replace(store, &resource, &key, &body),
        ("PATCH", Some(_)) => patch(store, &resource, &key, &body),
        ("DELETE", Some(_)) => delete(store, &resource, &key, &body),
        _ => return status(405, "MethodNotAllowed", "the server does not allow this method"),
    };
    answer.unwrap_or_else(|e| status(500, "InternalError", &e))
}

/// Administrators may do all; a node may see to its own Node and lease (Node authorizer).
fn may(caller: &Caller, resource: &Resource, method: &str, name: Option<&str>) -> bool {
    match caller {
        Caller::Administrator => true,
        Caller::Node(node) => {
            let lease = resource.plural == "leases"
                && resource.namespace.as_deref() == Some("kube-node-lease");
            (resource.is_node() || lease) && method != "DELETE" && name == Some(node)
        }
        _ => false,
    }
}

fn shown(server: &Server, resource: &Resource, mut object: Value) -> Value {
    if resource.is_node() {
        server.leases.judge(&mut object, server.grace);
    }
    object
}

fn missing(resource: &Resource) -> Response {
    let name = resource.name.as_deref().unwrap_or_default();
    status(404, "NotFound", &format!("{} \"{name}\" not found", resource.plural))
}

fn get(
    server: &Server,
    store: &dyn Store,
    resource: &Resource,
    key: &str,
) -> Result<Response, Fatal> {
    Ok(match store.get(key)? {
        Some(entry) => Response::json(200, &shown(server, resource, objects::read(&entry)?)),
        None => missing(resource),
    })
}

fn list(
    server: &Server,
    store: &dyn Store,
    resource: &Resource,
    query: &str,
) -> Result<Response, Fatal> {
    let mut items = Vec::new();
    for entry in store.list(&resource.key(None))? {
        let object = objects::read(&entry)?;
        if selected(&object, query) {
            items.push(shown(server, resource, object));
        }
    }
    let kind = match resource.plural.as_str() {
        "nodes" => "NodeList",
        "namespaces" => "NamespaceList",
        "leases" => "LeaseList",
        _ => "List",
    };
    let list = json!({"kind": kind, "apiVersion": resource.version,
        "metadata": {"resourceVersion": "1"}, "items": items});
    Ok(Response::json(200, &list))
}

/// `labelSelector=key=value,key2`: equality and presence, which is what the tests' clients use.
fn selected(object: &Value, query: &str) -> bool {
    let selector = query.split('&').find_map(|pair| pair.strip_prefix("labelSelector="));
    let selector = selector.unwrap_or_default();
    let selector = selector.replace("%3D", "=").replace("%2C", ",").replace("%2F", "/");
    selector.split(',').filter(|term| !term.is_empty()).all(|term| {
        let (key, wanted) = match term.split_once('=') {
            Some((key, value)) => (key, Some(value.trim_start_matches('='))),
            None => (term, None),
        };
        let label = object["metadata"]["labels"][key].as_str();
        label.is_some() && (wanted.is_none() || wanted == label)
    })
}

fn create(
    store: &dyn Store,
    resource: &Resource,
    key: &str,
    name: Option<&str>,
    body: Value,
) -> Result<Response, Fatal> {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Ok(status(400, "BadRequest", "metadata.name: Required value"));
    };
    if !objects::create(store, key, body)? {
        let message = format!("{} \"{name}\" already exists", resource.plural);
        return Ok(status(409, "AlreadyExists", &message));
    }
    answer(store, resource, key, 201)
}

fn replace(
    store: &dyn Store,
    resource: &Resource,
    key: &str,
    body: &Value,
) -> Result<Response, Fatal> {
    let changed = update(store, key, |object| {
        let metadata = object["metadata"].clone();
        *object = body.clone();
        for kept in ["uid", "creationTimestamp", "deletionTimestamp"] {
            if let Some(value) = metadata.get(kept) {
                object["metadata"][kept] = value.clone();
            }
        }
    })?;
    if changed { answer(store, resource, key, 200) } else { Ok(missing(resource)) }
}

fn patch(
    store: &dyn Store,
    resource: &Resource,
    key: &str,
    body: &Value,
) -> Result<Response, Fatal> {
    let Some(entry) = store.get(key)? else { return Ok(missing(resource)) };
    if let Some(refusal) = another(&body["metadata"]["uid"], &objects::read(&entry)?) {
        return Ok(refusal);
    }
    if !update(store, key, |object| objects::merge(object, body))? {
        return Ok(missing(resource));
    }
    let answer = answer(store, resource, key, 200)?;
    // Whoever takes the last finalizer off lets go of what is being deleted.
    if let Some(entry) = store.get(key)? {
        let object = objects::read(&entry)?;
        let metadata = &object["metadata"];
        let held = metadata["finalizers"].as_array().is_some_and(|held| !held.is_empty());
        if !held && !metadata["deletionTimestamp"].is_null() {
            remove(store, resource, key)?;
        }
    }
    Ok(answer)
}

fn answer(store: &dyn Store, resource: &Resource, key: &str, code: u16) -> Result<Response, Fatal> {
    Ok(match store.get(key)? {
        Some(entry) => Response::json(code, &objects::read(&entry)?),
        None => missing(resource),
    })
}

/// A server's Node stays until its etcd member is removed (`DeleteOptions` may name the one meant).
fn delete(
    store: &dyn Store,
    resource: &Resource,
    key: &str,
    options: &Value,
) -> Result<Response, Fatal> {
    let Some(entry) = store.get(key)? else { return Ok(missing(resource)) };
    let object = objects::read(&entry)?;
    if let Some(refusal) = another(&options["preconditions"]["uid"], &object) {
        return Ok(refusal);
    }
    let finalizers = object["metadata"]["finalizers"].as_array();
    if finalizers.into_iter().flatten().any(|finalizer| finalizer == ETCD_FINALIZER) {
        update(store, key, |object| {
            if object["metadata"]["deletionTimestamp"].is_null() {
                object["metadata"]["deletionTimestamp"] = json!(log::now());
            }
        })?;
        return answer(store, resource, key, 200);
    }
    remove(store, resource, key)?;
    Ok(status(200, "", ""))
}

/// The refusal to touch an object of another uid than the one that is meant, if one is.
fn another(meant: &Value, object: &Value) -> Option<Response> {
    let uid = &object["metadata"]["uid"];
    (!meant.is_null() && meant != uid).then(|| {
        let message =
            format!("Precondition failed: UID in precondition: {meant}, UID in object meta: {uid}");
        status(409, "Conflict", &message)
    })
}

fn remove(store: &dyn Store, resource: &Resource, key: &str) -> Result<(), Fatal> {
    match (resource.is_node(), resource.name.as_deref()) {
        (true, Some(name)) => objects::forget_node(store, name),
        _ => store.delete(key).map(drop),
    }
}
