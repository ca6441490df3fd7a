//! In which order dpkg may take what was chosen (Debian Policy 7.2).
//!
//! One `dpkg --install` unpacks all it is given and then configures it by dependencies. It does
//! not wait for a pre-dependency, though: what has one goes into a later batch than that and all
//! it needs.

use std::collections::BTreeMap;

use super::package::Package;
use super::relation::Group;
use super::universe::Universe;

/// `chosen` with the batch each belongs to, by batch, dependencies first where that is possible.
///
/// # Errors
/// A relation that cannot be read.
pub fn order<'u>(
    universe: &Universe,
    chosen: &[&'u Package],
) -> Result<Vec<(u16, &'u Package)>, String> {
    let needs = |groups: Vec<Group>| needed(universe, chosen, &groups);
    let mut pre = Vec::new();
    let mut all = Vec::new();
    for package in chosen {
        let before = needs(package.pre_depends()?)?;
        let mut both = needs(package.depends()?)?;
        both.extend(&before);
        pre.push(before);
        all.push(both);
    }
    let batches = batches(&pre, &all);
    let mut walk = Walk { all: &all, seen: vec![false; chosen.len()], order: Vec::new() };
    (0..chosen.len()).for_each(|i| walk.visit(i));
    let mut ordered: Vec<_> = walk.order.into_iter().map(|i| (batches[i], chosen[i])).collect();
    ordered.sort_by_key(|(batch, _)| *batch);
    Ok(ordered)
}

/// Indexes of the chosen packages that serve one of `groups`.
fn needed(
    universe: &Universe,
    chosen: &[&Package],
    groups: &[Group],
) -> Result<Vec<usize>, String> {
    let mut found = Vec::new();
    for group in groups {
        for relation in group {
            for (index, package) in chosen.iter().enumerate() {
                if !found.contains(&index) && universe.serves(package, relation)? {
                    found.push(index);
                }
            }
        }
    }
    Ok(found)
}

/// A package is in no earlier batch than what it depends on, and in a later one than what it
/// pre-depends on. A loop of pre-dependencies, which Policy forbids, ends at as many batches as
/// there are packages.
fn batches(pre: &[Vec<usize>], all: &[Vec<usize>]) -> Vec<u16> {
    let mut batch = vec![0_u16; pre.len()];
    for _ in 0..pre.len() {
        let before = batch.clone();
        for i in 0..pre.len() {
            let later = pre[i].iter().filter(|&&p| p != i).map(|&p| batch[p].saturating_add(1));
            let equal = all[i].iter().map(|&d| batch[d]);
            batch[i] = later.chain(equal).fold(batch[i], u16::max);
        }
        if batch == before {
            break;
        }
    }
    // Without gaps.
    let used: BTreeMap<u16, u16> = batch
        .iter()
        .copied()
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .zip(0..)
        .collect();
    batch.iter().map(|b| used[b]).collect()
}

struct Walk<'a> {
    all: &'a [Vec<usize>],
    seen: Vec<bool>,
    order: Vec<usize>,
}

impl Walk<'_> {
    fn visit(&mut self, index: usize) {
        if std::mem::replace(&mut self.seen[index], true) {
            return;
        }
        for &need in &self.all[index] {
            self.visit(need);
        }
        self.order.push(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_follow_pre_dependencies() {
        // 0 depends on 1; 1 pre-depends on 2; 2 depends on 3; 3 depends on 2.
        let pre = [vec![], vec![2], vec![], vec![]];
        let all = [vec![1], vec![2], vec![3], vec![2]];
        assert_eq!(batches(&pre, &all), [1, 1, 0, 0]);
        // A loop ends.
        assert_eq!(batches(&[vec![1], vec![0]], &[vec![1], vec![0]]).len(), 2);
    }
}
