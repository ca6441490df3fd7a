//! Cards of a profile's nodes: base and layers are composed on the way, there is no image file.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use nodeconf::Role;

use super::{Content, Ledger, Subject, Supply};
use crate::error::{Error, Result};
use crate::event::{Event, Sink};
use crate::job::build::{Check, Workshop, warnings};
use crate::profile::{Claim, ClusterSecrets, NodePlan, SecretsFile};
use crate::sys::interrupt::Cancel;

/// Bakes nodes for cards, each on the golden layer of its role.
#[derive(Debug)]
pub struct FromProfile<'a> {
    /// The base image, or a release image, and what nodes are made of.
    pub workshop: &'a Workshop,
    /// The plans of the nodes.
    pub plans: &'a [NodePlan],
    /// Where incarnations are claimed, and the nodes that had a card from this run.
    pub claims: Mutex<(&'a mut SecretsFile, BTreeSet<String>)>,
    /// Tells which nodes have had a card.
    pub ledger: &'a Ledger,
}

impl FromProfile<'_> {
    /// The first card of what was baked keeps its incarnation, every later one raises it.
    fn claim(&self, plan: &mut NodePlan, sink: &dyn Sink) -> Result<()> {
        let inputs = self.workshop.inputs(plan)?;
        let shape = ClusterSecrets::shape(&plan.cluster, plan.node.role == Role::Server);
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let (secrets, claimed) = &mut *claims;
        let node = &plan.node.name;
        let known = secrets.secrets().nodes.get(node).map_or(1, |record| record.incarnation);
        let flashed = self.ledger.newest(node)?.is_some_and(|newest| newest >= known);
        let replace = flashed || !claimed.insert(node.clone());
        let claim = Claim { node, inputs: &inputs, shape: &shape, replace };
        plan.node.incarnation = secrets.claim(&claim)?;
        for message in warnings(plan, secrets.secrets()) {
            sink.emit(Event::Warning { message });
        }
        Ok(())
    }
}

impl Supply for FromProfile<'_> {
    fn make(&self, node: Option<&str>, sink: &dyn Sink, cancel: &Cancel) -> Result<Content> {
        let name = node.ok_or_else(|| Error::Usage("which node?".into()))?;
        let plan = self.plans.iter().find(|plan| plan.node.name == name);
        let missing = || Error::NotFound { what: "node", name: name.to_owned() };
        let mut plan = plan.ok_or_else(missing)?.clone();
        self.claim(&mut plan, sink)?;
        let incarnation = plan.node.incarnation;
        let planned = self.workshop.plan(plan)?;
        for message in planned.recipe.warnings.iter().cloned() {
            sink.emit(Event::Warning { message });
        }
        let golden = self.workshop.golden(&planned, sink, cancel)?;
        let baked = golden.node(planned, Check::Own, sink, cancel)?;
        let subject = Some(Subject { node: name.to_owned(), incarnation });
        Ok(Content { image: baked.image().clone(), used: baked.used().clone(), subject })
    }
}
