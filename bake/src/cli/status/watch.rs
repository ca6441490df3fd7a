//! `--watch`: a screen that is drawn anew on a terminal, a line for every change elsewhere.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::render;
use crate::cli::Session;
use crate::error::Result;
use crate::job::cluster::status::{Asker, ClusterStatus};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// How soon a wish to stop is seen.
const TICK: Duration = Duration::from_millis(100);

/// Looks until all is well, or for as long as `give_up` says. Returns the last look.
pub(super) fn until_well(
    asker: &Asker,
    give_up: Option<Duration>,
    session: &Session,
) -> Result<ClusterStatus> {
    let start = Instant::now();
    let mut before: Option<ClusterStatus> = None;
    let mut screen = session.ui.screen();
    loop {
        let status = asker.ask();
        session.cancel.check()?;
        let seconds = start.elapsed().as_secs();
        if session.ui.json() {
            if before.as_ref().is_none_or(|before| telling(before) != telling(&status)) {
                session.ui.json_line(&status)?;
            }
        } else if screen.is_terminal() {
            screen.draw(&format!("{}\nwatching for {seconds} s\n", render::whole(&status)))?;
        } else {
            for line in changes(before.as_ref(), &status) {
                session.ui.line(format!("{seconds:>5} s  {line}"))?;
            }
        }
        let over = give_up.is_some_and(|limit| start.elapsed() >= limit);
        if status.well || over {
            if !session.ui.json() && !screen.is_terminal() {
                session.ui.text(format!("\n{}", render::whole(&status)))?;
            }
            return Ok(status);
        }
        before = Some(status);
        let until = Instant::now() + PAUSE;
        while Instant::now() < until {
            session.cancel.check()?;
            sleep(TICK);
        }
    }
}

/// What makes a look another one than that before: not that clocks have gone on.
fn telling(status: &ClusterStatus) -> (Vec<String>, &[String]) {
    (status.nodes.iter().map(render::line).collect(), &status.problems)
}

fn changes(before: Option<&ClusterStatus>, now: &ClusterStatus) -> Vec<String> {
    let nodes = |status: &ClusterStatus| status.nodes.iter().map(render::line).collect::<Vec<_>>();
    let cluster = |status: &ClusterStatus| {
        let own =
            |p: &&String| !status.nodes.iter().any(|n| p.starts_with(&format!("{}:", n.name)));
        status.problems.iter().filter(own).cloned().collect::<Vec<_>>()
    };
    let all = |status: &ClusterStatus| [nodes(status), cluster(status)].concat();
    let known = before.map(all).unwrap_or_default();
    all(now).into_iter().filter(|line| !known.contains(line)).collect()
}
