//! What becomes of a state once faults stop: everything is up, reaches everything, and nothing is
//! lost any more.

use super::k3s::{self, Luck};
use super::moves::{Move, after, moves};
use super::world::{Budget, Setting, World};

/// How a fair run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// One cluster, and every server a voting member.
    Whole,
    /// A cluster lost the majority of its members' cards for good, and cards that hold what is left
    /// of it were baked again, as docs/bootstrap.md says: then one cluster.
    WholeAfterRemedy,
    /// The residual risk came true, and all cards that held data of one of the two clusters were
    /// baked again: then one cluster.
    WholeAfterFork,
    /// None of these.
    Stuck,
}

/// Runs a state to its fair end.
pub(super) fn end(setting: &Setting, world: &World) -> (End, World) {
    let world = run(setting, world.clone());
    if world.is_whole() {
        return (End::Whole, world);
    }
    let forked = world.living().len() > 1;
    if world.wrong.is_some() && !(forked && world.residual) {
        return (End::Stuck, world);
    }
    let kept = world.living().into_iter().find(|etcd| world.has_quorum(*etcd));
    let lost = |at: &usize| {
        let etcd = world.nodes[*at].data.map(usize::from);
        etcd.is_some_and(|etcd| if forked { Some(etcd) != kept } else { !world.has_quorum(etcd) })
    };
    let remains: Vec<usize> = (0..world.nodes.len()).filter(lost).collect();
    if remains.is_empty() {
        return (End::Stuck, world);
    }
    let mut healed = world.clone();
    for at in remains {
        healed.left.rebakes = 1;
        let what = Move::Rebake { node: at as u8 };
        healed = after(setting, &healed, what).expect("a new card is a change");
    }
    let healed = run(setting, healed);
    let end = match healed.is_whole() {
        true if forked => End::WholeAfterFork,
        true => End::WholeAfterRemedy,
        false => End::Stuck,
    };
    (end, healed)
}

/// Lets everything happen that must, the most urgent first.
fn run(setting: &Setting, mut world: World) -> World {
    world.left = Budget { tries: u8::MAX, ..Budget::default() };
    let everybody = (1u8 << world.nodes.len()) - 1;
    for _ in 0..1_000 {
        if world.is_whole() && world.letters.is_empty() {
            break;
        }
        let mut choices = moves(setting, &world);
        choices.retain(|what| match what {
            Move::Begin { node, answering } => {
                world.living().is_empty() && *answering == everybody & !(1 << node)
            }
            Move::K3s(k3s::Move::Slot { luck, .. }) => *luck == Luck::Answered,
            _ => true,
        });
        choices.sort_by_key(|what| urgency(*what));
        let next = choices.into_iter().find_map(|what| after(setting, &world, what));
        let Some(next) = next else { break };
        world = next;
        world.left.tries = u8::MAX;
    }
    world
}

/// Answers arrive before anybody gives up, and who is on the way gets there before others start.
fn urgency(what: Move) -> u8 {
    match what {
        Move::Deliver { .. } => 0,
        Move::K3s(k3s::Move::Join { .. }) => 4,
        Move::K3s(k3s::Move::Slot { .. }) => 2,
        Move::K3s(_) => 1,
        Move::Step { .. } => 3,
        Move::Begin { .. } | Move::Crash { .. } | Move::Rebake { .. } | Move::Reflash { .. } => 5,
    }
}
