//! A cluster's state for people.

use std::fmt::Write;

use nodeconf::Topology;
use nodeconf::status::{Served, State, Status};

use crate::job::cluster::status::{ClusterStatus, Kubernetes, NodeStatus};
use crate::ui::Table;

/// Everything: what holds for the cluster, a table of its nodes, a table of how long each took
/// (Le and Yoo 2021, figure 5 and table 4), and what is not well.
pub(super) fn whole(status: &ClusterStatus) -> String {
    let mut text = head(status);
    text.push('\n');
    text += &nodes(status).render();
    let times = times(status);
    if !times.is_empty() {
        let _ = write!(text, "\n{times}");
    }
    if !status.problems.is_empty() {
        text.push('\n');
    }
    for problem in &status.problems {
        let _ = writeln!(text, "- {problem}");
    }
    for note in &status.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}

fn head(status: &ClusterStatus) -> String {
    let verdict = match status.problems.len() {
        0 => "all is well".to_owned(),
        1 => "1 thing is not well".to_owned(),
        n => format!("{n} things are not well"),
    };
    let mut text = format!("cluster {} ({}): {verdict}\n", status.cluster, status.id);
    let api = match (&status.api.server, status.api.ready) {
        (Some(server), true) => format!("ready at {server}"),
        (Some(server), false) => format!("not ready at {server}"),
        (None, _) => "at an unknown address".to_owned(),
    };
    let _ = writeln!(text, "API:     {api}");
    if let Some(vip) = &status.vip {
        let holder = match vip.holders.as_slice() {
            [] => "nobody says it holds it".to_owned(),
            holders => format!("held by {}", holders.join(" and ")),
        };
        let _ = writeln!(text, "address: {}, {holder}", vip.address);
    }
    if status.topology == Topology::EmbeddedEtcd {
        let founder = match &status.founder {
            Some(card) => format!("founded by {}", card.name),
            None => "not founded yet".to_owned(),
        };
        let members = match &status.etcd_members {
            Some(members) if members.is_empty() => "members unknown".to_owned(),
            Some(members) => format!("members {}", members.join(", ")),
            None => "members unknown".to_owned(),
        };
        let _ = writeln!(text, "etcd:    {founder}, {members}");
    }
    text
}

fn nodes(status: &ClusterStatus) -> Table {
    let mut table =
        Table::new(&["ID", "NAME", "ROLE", "ADDRESS", "STATE", "STEP", "SINCE", "NODE", "UP"]);
    for (i, node) in status.nodes.iter().enumerate() {
        let said = node.served.as_ref().and_then(|served| served.status.as_ref());
        let dash = || "-".to_owned();
        table.row([
            (i + 1).to_string(),
            node.name.clone(),
            role(node).to_owned(),
            node.address.map_or_else(dash, |address| address.to_string()),
            node.state().to_owned(),
            said.and_then(step).unwrap_or_else(dash),
            said.map(|s| s.since.clone()).filter(|s| !s.is_empty()).unwrap_or_else(dash),
            kubernetes(node).to_owned(),
            node.served.as_ref().map_or_else(dash, |served| span(served.uptime)),
        ]);
    }
    table
}

/// The step a node is at, unless it is through.
fn step(status: &Status) -> Option<String> {
    status.step.clone().filter(|_| status.state != State::Done)
}

fn role(node: &NodeStatus) -> &'static str {
    match node.role {
        nodeconf::Role::Server => "server",
        nodeconf::Role::Agent => "agent",
        nodeconf::Role::Database => "database",
    }
}

fn kubernetes(node: &NodeStatus) -> &'static str {
    match node.kubernetes {
        Some(Kubernetes::Ready) => "Ready",
        Some(Kubernetes::NotReady) => "NotReady",
        Some(Kubernetes::Unknown) => "unknown",
        None => "-",
    }
}

/// Empty where no node has told any time yet.
fn times(status: &ClusterStatus) -> String {
    let seconds = |value: Option<f64>| value.map_or("-".to_owned(), |s| format!("{s:.1} s"));
    let mut table = Table::new(&["NAME", "CONFIGURATION", "INSTALLATION", "TOTAL", "STEPS"]);
    let mut any = false;
    for node in &status.nodes {
        let Some(Served { status: Some(said), .. }) = &node.served else { continue };
        let (configuration, installation) = (said.configuration_seconds, said.installation_seconds);
        let total = configuration.zip(installation).map(|(a, b)| a + b);
        let steps = said
            .steps
            .iter()
            .filter_map(|step| step.seconds.map(|seconds| format!("{} {seconds:.1}", step.name)));
        let steps: Vec<String> = steps.collect();
        any |= !steps.is_empty() || configuration.is_some();
        table.row([
            node.name.clone(),
            seconds(configuration),
            seconds(installation),
            seconds(total),
            steps.join(", "),
        ]);
    }
    if any { table.render() } else { String::new() }
}

/// `3 d 4 h`, `2 h 5 min`, `4 min`, `12 s`.
fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// What a line of `--watch` says of a node; only a change of it is worth another line.
pub(super) fn line(node: &NodeStatus) -> String {
    let through = node.state() == "running";
    let kubernetes = match node.kubernetes {
        Some(Kubernetes::Ready) if !through => ", Ready",
        Some(Kubernetes::NotReady) => ", not Ready",
        _ => "",
    };
    match (&node.served, &node.silence) {
        (Some(Served { status: Some(status), .. }), _) => {
            format!("{}: {}{kubernetes}", node.name, status.sentence())
        }
        (Some(_), _) => format!("{}: firstboot has not begun yet", node.name),
        (None, Some(silence)) => format!("{}: {}", node.name, silence.why),
        (None, None) => format!("{}: not asked", node.name),
    }
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans_have_two_units_at_most() {
        for (seconds, text) in
            [(9, "9 s"), (60, "1 min"), (7_500, "2 h 5 min"), (273_600, "3 d 4 h")]
        {
            assert_eq!(span(seconds), text);
        }
    }
}
