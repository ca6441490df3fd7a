//! Who asks.

use crate::http::server::{Request, Response};
use crate::server::Server;

/// Group of administrators.
const MASTERS: &str = "system:masters";
/// Group of nodes.
const NODES: &str = "system:nodes";

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// No credentials, or a certificate of a stranger.
    Nobody,
    /// The server token.
    ServerToken,
    /// The agent token.
    AgentToken,
    /// A certificate of group system:masters.
    Administrator,
    /// A node, by name.
    Node(String),
    /// Any other user with a certificate of ours.
    User(String),
}

impl Caller {
    /// Whether it is a token, which opens the supervisor but not Kubernetes.
    pub fn has_token(&self) -> bool {
        matches!(self, Self::ServerToken | Self::AgentToken)
    }

    /// Whether it may act as a server.
    pub fn may_join(&self) -> bool {
        *self == Self::ServerToken
    }

    /// Whether it may act as an agent.
    pub fn may_be_agent(&self) -> bool {
        self.has_token() || matches!(self, Self::Node(_))
    }

    /// The user's name in messages.
    pub fn name(&self) -> String {
        match self {
            Self::Nobody => "system:anonymous".into(),
            Self::ServerToken => "server".into(),
            Self::AgentToken => "node".into(),
            Self::Administrator => "system:admin".into(),
            Self::Node(node) => format!("system:node:{node}"),
            Self::User(user) => user.clone(),
        }
    }
}

/// Finds out; wrong credentials are worse than none.
pub fn caller(server: &Server, request: &Request) -> Result<Caller, Response> {
    if let Some((user, password)) = request.basic() {
        return match user.as_str() {
            "server" if password == server.tokens.server => Ok(Caller::ServerToken),
            "node" if password == server.tokens.agent => Ok(Caller::AgentToken),
            _ => Err(Response::text(401, "Unauthorized")),
        };
    }
    let Some(subject) = &request.subject else { return Ok(Caller::Nobody) };
    let is_in = |group: &str| subject.groups.iter().any(|g| g == group);
    Ok(match subject.user.strip_prefix("system:node:") {
        _ if is_in(MASTERS) => Caller::Administrator,
        Some(node) if is_in(NODES) => Caller::Node(node.to_owned()),
        _ => Caller::User(subject.user.clone()),
    })
}
