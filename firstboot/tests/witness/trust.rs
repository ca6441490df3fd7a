//! Who may ask what.

use firstboot::sys::{HttpsError, Method};

use super::node::{Authority, Node, other, prepare};

#[test]
fn without_a_certificate_nothing_is_told() {
    let node = Node::running();
    for path in ["/v1/status", "/v1/state", "/"] {
        let refused = node.send(&node.request(Method::Get, path, None));
        assert!(matches!(refused, Err(HttpsError::Rejected(_))), "{refused:?}");
    }
}

#[test]
fn a_certificate_of_another_cluster_is_refused() {
    let node = Node::running();
    let stranger = Authority::new();
    for client in [stranger.server("node2"), stranger.operator()] {
        let refused = node.send(&node.request(Method::Get, "/v1/status", Some(client)));
        assert!(matches!(refused, Err(HttpsError::Rejected(_))), "{refused:?}");
    }
}

#[test]
fn a_witness_of_another_cluster_or_node_is_not_believed() {
    let node = Node::running();
    let client = Some(node.authority.operator());
    let mut request = node.request(Method::Get, "/v1/status", client);
    request.ca = Authority::new().pem;
    let refused = node.send(&request);
    assert!(matches!(refused, Err(HttpsError::Untrusted(_))), "{refused:?}");
    request.ca.clone_from(&node.authority.pem);
    request.name = super::node::config().witness_name("node2");
    let refused = node.send(&request);
    assert!(matches!(refused, Err(HttpsError::Untrusted(_))), "{refused:?}");
}

/// Agents' certificates are good for serving only.
#[test]
fn an_agent_cannot_vote() {
    let node = Node::running();
    let request = prepare(&node.card(), 1, other("node2"));
    for client in [node.authority.agent("node4"), node.authority.agent("node2")] {
        let refused = node.ask_as(&request, client);
        assert!(matches!(refused, Err(HttpsError::Rejected(_))), "{refused:?}");
    }
}

#[test]
fn the_operator_looks_and_does_not_vote() {
    let node = Node::running();
    let operator = || node.authority.operator();
    assert_eq!(node.served().card.name, "node1");
    let state = node.send(&node.request(Method::Get, "/v1/state", Some(operator()))).unwrap();
    assert_eq!(state.status, 200);
    let refused = node.ask_as(&prepare(&node.card(), 1, other("node2")), operator()).unwrap();
    assert_eq!(refused.status, 403);
    let after = node.send(&node.request(Method::Get, "/v1/state", Some(operator()))).unwrap();
    assert_eq!(after, state);
}

#[test]
fn a_server_asks_in_its_own_name_only() {
    let node = Node::running();
    let request = prepare(&node.card(), 1, other("node2"));
    let refused = node.ask_as(&request, node.authority.server("node3")).unwrap();
    assert_eq!(refused.status, 403);
    assert_eq!(node.ask_as(&request, node.authority.server("node2")).unwrap().status, 200);
}

/// A board without a clock meets a witness before its time is set, or after.
#[test]
fn a_wrong_clock_is_told_from_a_wrong_certificate() {
    let mut node = Node::baked();
    let young = node.authority.server_from("node1", 2200);
    node.write(nodeconf::paths::WITNESS_CERT, &young.chain);
    node.write(nodeconf::paths::WITNESS_KEY, &young.key);
    node.start();
    let client = Some(node.authority.operator());
    let refused = node.send(&node.request(Method::Get, "/v1/status", client));
    assert!(matches!(refused, Err(HttpsError::Untimely(_))), "{refused:?}");

    let node = Node::running();
    let young = Some(node.authority.server_from("node2", 2200));
    let refused = node.send(&node.request(Method::Get, "/v1/status", young));
    assert!(matches!(refused, Err(HttpsError::Untimely(_))), "{refused:?}");
}
