use crate::{Ballot, Card, Reply, Seen};

/// Whether a server that has the cluster's data may start K3s.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StartVerdict {
    /// Nobody who answered objects; silence does not.
    Start,
    /// A newer card took this server's place: do not start until the next boot.
    Superseded {
        /// Its incarnation.
        by: u32,
    },
    /// The cluster this card belongs to was given up, and another founded after it: do not start
    /// until the next boot.
    OtherCluster {
        /// The ballot by which the later one was founded.
        later: Ballot,
    },
}

/// What the others' answers mean for a server that has data. `formed` is what its own witness was
/// told of the cluster that the data belongs to. A server with data starts at once and does not
/// wait for answers; it stops if what comes says so.
#[must_use]
pub fn start_with_data(me: &Card, formed: Option<&Ballot>, replies: &[Reply]) -> StartVerdict {
    let mut seen = Seen::default();
    replies.iter().for_each(|reply| seen.merge(&reply.view.seen));
    if let Some(by) = seen.replaced_by(me) {
        return StartVerdict::Superseded { by };
    }
    let others = replies.iter().filter(|reply| reply.view.has_data);
    let latest = others.filter_map(|reply| reply.view.formed.as_ref()).max();
    match (formed, latest) {
        (Some(own), Some(later)) if later.founder != own.founder && later > own => {
            StartVerdict::OtherCluster { later: later.clone() }
        }
        _ => StartVerdict::Start,
    }
}
