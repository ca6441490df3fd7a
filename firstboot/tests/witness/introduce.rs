//! Servers that introduce themselves, and are taken out again.

use std::net::Ipv4Addr;

use firstboot::sys::{HttpsError, HttpsReply, HttpsRequest, Identity, Method};
use firstboot::witness::{List, Progress};
use nodeconf::paths;
use nodeconf::servers::{DISMISS, Dismissal, INTRODUCE, Introduction, Noted};

use super::node::{Node, config};

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;

fn post(node: &Node, path: &str, body: &impl serde::Serialize, client: Identity) -> HttpsReply {
    try_post(node, path, body, client).unwrap()
}

fn try_post(
    node: &Node,
    path: &str,
    body: &impl serde::Serialize,
    client: Identity,
) -> Result<HttpsReply, HttpsError> {
    let body = serde_json::to_vec(body).unwrap();
    node.send(&HttpsRequest { body, ..node.request(Method::Post, path, Some(client)) })
}

fn introduce(node: &Node, name: &str, address: Ipv4Addr) -> HttpsReply {
    let server = Introduction { name: name.into(), address };
    post(node, INTRODUCE, &server, node.authority.server(name))
}

fn noted(reply: &HttpsReply) -> Noted {
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    serde_json::from_slice(&reply.body).unwrap()
}

fn refused(reply: &HttpsReply, status: u16, part: &str) {
    let said = String::from_utf8_lossy(&reply.body);
    assert!(reply.status == status && said.contains(part), "{} {said}", reply.status);
}

/// Names and addresses as `firstboot servers` on the node reads them.
fn servers(node: &Node) -> Vec<(String, Ipv4Addr)> {
    let sys = firstboot::sys::Real::below(node.at("/"));
    let all = List::read(&sys).unwrap().changes.servers(&config());
    all.into_iter().map(|peer| (peer.name, peer.address.unwrap())).collect()
}

#[test]
fn a_newcomer_is_kept_for_good_and_told_once_it_is_applied() {
    let mut node = Node::running();
    assert!(!noted(&introduce(&node, "node4", HERE)).applied, "nobody applies it here");
    node.kill();
    node.start();
    assert_eq!(servers(&node)[3], ("node4".into(), HERE));
    let list = List::read(&firstboot::sys::Real::below(node.at("/"))).unwrap();
    let say = |applied, trouble: Option<&str>| {
        let (digest, trouble) = (list.digest.clone(), trouble.map(str::to_owned));
        let progress = Progress { applied, digest, trouble, held: None };
        node.write(paths::SERVERS_STATE, &serde_json::to_vec(&progress).unwrap());
    };
    say(false, Some("haproxy refuses its file"));
    let reply = noted(&introduce(&node, "node4", HERE));
    assert_eq!(
        (reply.applied, reply.trouble.as_deref()),
        (false, Some("haproxy refuses its file"))
    );
    say(true, None);
    let before = node.read(paths::SERVERS);
    assert_eq!(noted(&introduce(&node, "node4", HERE)), Noted { applied: true, trouble: None });
    assert_eq!(node.read(paths::SERVERS), before, "what is known is not written again");
}

#[test]
fn a_server_introduces_itself_only_and_from_where_it_is() {
    let node = Node::running();
    let server = Introduction { name: "node4".into(), address: HERE };
    let other = post(&node, INTRODUCE, &server, node.authority.server("node5"));
    refused(&other, 403, "not the one of the server that asks");
    let operator = post(&node, INTRODUCE, &server, node.authority.operator());
    refused(&operator, 403, "not the one of the server that asks");
    let elsewhere = introduce(&node, "node4", Ipv4Addr::new(192, 168, 24, 14));
    refused(&elsewhere, 403, "node4 speaks from 127.0.0.1, not from 192.168.24.14");
    // An agent's certificate is good for serving only.
    let agent = try_post(&node, INTRODUCE, &server, node.authority.agent("node4"));
    assert!(matches!(agent, Err(HttpsError::Rejected(_))), "{agent:?}");
    assert_eq!(servers(&node).len(), 3);
    assert!(!node.has(paths::SERVERS));
}

#[test]
fn nobody_gets_the_address_of_another() {
    let node = Node::running();
    noted(&introduce(&node, "node4", HERE));
    refused(&introduce(&node, "node5", HERE), 409, "127.0.0.1 is the address of node4 here");
    let left = Dismissal { name: "node4".into() };
    noted(&post(&node, DISMISS, &left, node.authority.operator()));
    noted(&introduce(&node, "node5", HERE));
    assert_eq!(servers(&node)[3].0, "node5");
}

#[test]
fn who_is_taken_out_is_gone_whether_it_was_baked_or_came() {
    let node = Node::running();
    noted(&introduce(&node, "node4", HERE));
    for name in ["node4", "node2", "node9"] {
        noted(&post(&node, DISMISS, &Dismissal { name: name.into() }, node.authority.operator()));
    }
    let names: Vec<String> = servers(&node).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["node1", "node3"]);
    // A later card of a declared server is back, here at another address.
    noted(&introduce(&node, "node2", HERE));
    assert_eq!(servers(&node)[1], ("node2".into(), HERE));
}

#[test]
fn a_damaged_list_is_said_and_not_written_over() {
    let mut node = Node::running();
    noted(&introduce(&node, "node4", HERE));
    node.kill();
    let text = String::from_utf8(node.read(paths::SERVERS)).unwrap();
    let damaged = text.replace("node4", "node5");
    node.write(paths::SERVERS, damaged.as_bytes());
    node.start();
    refused(&introduce(&node, "node6", HERE), 503, "is damaged");
    assert_eq!(node.read(paths::SERVERS), damaged.as_bytes());
}
