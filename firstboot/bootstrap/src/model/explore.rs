//! Breadth first through every state within a bound.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::time::Instant;

use super::moves::{Move, after, moves};
use super::world::{Budget, Setting, World, Wrong};

/// A fingerprint is a hash already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only fingerprints are hashed");
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

type Parents = HashMap<u64, u64, BuildHasherDefault<AsIs>>;

/// How far to go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    pub budget: Budget,
    /// Unique states after which to stop, however many there are.
    pub states: usize,
    /// One state in so many is kept as a sample.
    pub sample: u64,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub states: usize,
    pub steps: usize,
    pub depth: usize,
    /// Whether every state within the budget was visited.
    pub complete: bool,
    /// States in which a cluster stands of which every server is a voting member.
    pub whole: usize,
    /// Forks that the documented residual risk explains.
    pub residual_forks: usize,
    /// What must not be, and the shortest way there.
    pub wrong: Option<(Wrong, Vec<String>)>,
    pub samples: Vec<World>,
    pub seconds: f64,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = if self.complete { "all" } else { "the first" };
        write!(
            f,
            "{all} {} states, {} steps, depth {}, {:.1} s; {} whole clusters, {} residual forks",
            self.states, self.steps, self.depth, self.seconds, self.whole, self.residual_forks
        )
    }
}

fn fingerprint(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

/// Visits states until there is no new one, the bound is reached, or something is wrong.
pub(super) fn explore(setting: &Setting, bound: Bound) -> Found {
    let began = Instant::now();
    let start = World::new(setting, bound.budget);
    let mut parents = Parents::default();
    parents.insert(fingerprint(&start), 0);
    let mut found = Found { states: 1, complete: true, ..Found::default() };
    let mut level = vec![start];
    'search: while !level.is_empty() {
        let mut deeper = Vec::new();
        for world in level.drain(..) {
            let from = fingerprint(&world);
            for what in moves(setting, &world) {
                let Some(next) = after(setting, &world, what) else { continue };
                found.steps += 1;
                let print = fingerprint(&next);
                if parents.contains_key(&print) {
                    continue;
                }
                parents.insert(print, from);
                found.states += 1;
                match next.wrong {
                    Some(Wrong::TwoClusters) if next.residual => found.residual_forks += 1,
                    Some(wrong) => {
                        found.wrong = Some((wrong, way(setting, bound.budget, &parents, print)));
                        found.complete = false;
                        break 'search;
                    }
                    None => {
                        found.whole += usize::from(next.is_whole());
                        if print.is_multiple_of(bound.sample) {
                            found.samples.push(next.clone());
                        }
                        deeper.push(next);
                    }
                }
            }
            if found.states >= bound.states {
                found.complete = false;
                break 'search;
            }
        }
        found.depth += usize::from(!deeper.is_empty());
        level = deeper;
    }
    found.seconds = began.elapsed().as_secs_f64();
    found
}

/// The events that lead to a state.
fn way(setting: &Setting, budget: Budget, parents: &Parents, to: u64) -> Vec<String> {
    let mut prints = vec![to];
    while let Some(parent) = parents.get(prints.last().expect("not empty")) {
        prints.push(*parent);
    }
    let mut world = World::new(setting, budget);
    let mut told = Vec::new();
    for print in prints.iter().rev().skip(2) {
        let lead =
            |what: &Move| after(setting, &world, *what).filter(|next| fingerprint(next) == *print);
        let (what, next) = moves(setting, &world)
            .into_iter()
            .find_map(|what| lead(&what).map(|next| (what, next)))
            .expect("every state was reached by an event");
        told.push(describe(&world, what));
        world = next;
    }
    told
}

/// Follows events chosen at random, from the start each time: deeper than breadth first gets.
pub(super) fn walk(setting: &Setting, bound: Bound, length: usize) -> Found {
    let began = Instant::now();
    let mut parents = Parents::default();
    let mut found = Found::default();
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    while found.states < bound.states && found.steps < 4 * bound.states {
        let mut world = World::new(setting, bound.budget);
        let mut told = Vec::new();
        for depth in 0..length {
            let mut choices = moves(setting, &world);
            let next = loop {
                if choices.is_empty() {
                    break None;
                }
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                let what = choices.swap_remove(dice as usize % choices.len());
                if let Some(next) = after(setting, &world, what) {
                    told.push(what);
                    break Some(next);
                }
            };
            let Some(next) = next else { break };
            found.steps += 1;
            found.depth = found.depth.max(depth + 1);
            let print = fingerprint(&next);
            let new = parents.insert(print, 0).is_none();
            found.states += usize::from(new);
            match next.wrong {
                Some(Wrong::TwoClusters) if next.residual => {
                    found.residual_forks += usize::from(new);
                    break;
                }
                Some(wrong) => {
                    found.wrong = Some((wrong, retell(setting, bound.budget, &told)));
                    found.seconds = began.elapsed().as_secs_f64();
                    return found;
                }
                None => {
                    found.whole += usize::from(new && next.is_whole());
                    if new && print.is_multiple_of(bound.sample) {
                        found.samples.push(next.clone());
                    }
                }
            }
            world = next;
        }
    }
    found.seconds = began.elapsed().as_secs_f64();
    found
}

fn retell(setting: &Setting, budget: Budget, told: &[Move]) -> Vec<String> {
    let mut world = World::new(setting, budget);
    let mut tell = |what: &Move| {
        let said = describe(&world, *what);
        world = after(setting, &world, *what).expect("it happened before");
        said
    };
    told.iter().map(&mut tell).collect()
}

fn describe(world: &World, what: Move) -> String {
    match what {
        Move::Deliver { letter, again } => {
            let letter = &world.letters[letter as usize];
            let (card, ballot) = letter.about();
            format!(
                "{} to {} {}.{}: round {} of {}{}",
                letter.request.path(),
                card.name,
                card.incarnation,
                card.nonce.0,
                ballot.round,
                ballot.founder.name,
                if again { " (and again later)" } else { "" }
            )
        }
        other => format!("{other:?}"),
    }
}
