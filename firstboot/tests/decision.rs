//! The decision alone, case by case: no system, not even a fake one.

use std::collections::BTreeMap;

use firstboot::exit::Exit;
use firstboot::finding::{Condition, Finding};
use firstboot::ledger::{Ledger, Moment, VERSION};
use firstboot::machine::{Action, Facts, StepId, decide, steps};
use nodeconf::{
    Datastore, DatastoreKind, NodeConfig, Package, Role, Topology, Vip, VipProvider, paths,
};

fn config() -> NodeConfig {
    NodeConfig::parse(include_str!("fake/node.json").as_bytes()).unwrap()
}

fn ledger(done: &[StepId]) -> Ledger {
    let moment = Moment { boot: "boot".into(), uptime_ms: 1, unix: 1 };
    Ledger {
        version: VERSION,
        cluster: config().cluster.id,
        node: config().node.name,
        incarnation: 1,
        begun: moment.clone(),
        done: done.iter().map(|&step| (step, moment.clone())).collect::<BTreeMap<_, _>>(),
    }
}

fn decided(done: &[StepId], change: impl FnOnce(&mut Facts)) -> Action {
    let mut facts = Facts::default();
    change(&mut facts);
    decide(&ledger(done), &facts, &config())
}

fn condition() -> Condition {
    Condition::new("what", "remedy")
}

const BEFORE_K3S: [StepId; 4] = [StepId::Identity, StepId::Storage, StepId::Clock, StepId::Network];

#[test]
fn a_fresh_card_looks_before_it_acts() {
    assert_eq!(decided(&[], |_| {}), Action::Observe(StepId::Identity));
}

#[test]
fn a_step_is_recorded_before_the_next_is_looked_at() {
    let seen = |facts: &mut Facts| facts.saw(StepId::Identity, Finding::Met);
    assert_eq!(decided(&[], seen), Action::Record(StepId::Identity));
    assert_eq!(decided(&[StepId::Identity], seen), Action::Observe(StepId::Storage));
}

#[test]
fn what_is_unmet_is_applied_once_and_looked_at_again() {
    let unmet = || Finding::Unmet(condition());
    let first = |facts: &mut Facts| facts.saw(StepId::Identity, unmet());
    assert_eq!(decided(&[], first), Action::Apply(StepId::Identity));
    let applied = |facts: &mut Facts| {
        first(facts);
        facts.applied(StepId::Identity);
    };
    assert_eq!(decided(&[], applied), Action::Observe(StepId::Identity));
    let still = |facts: &mut Facts| {
        applied(facts);
        facts.saw(StepId::Identity, unmet());
    };
    let end = Action::Finish(Exit::TryAgain, Some((StepId::Identity, condition())));
    assert_eq!(decided(&[], still), end);
}

#[test]
fn k3s_is_never_touched_before_what_it_needs() {
    for n in 0..BEFORE_K3S.len() {
        let seen = |facts: &mut Facts| {
            BEFORE_K3S[..n].iter().for_each(|&step| facts.saw(step, Finding::Met));
        };
        assert_eq!(decided(&BEFORE_K3S[..n], seen), Action::Observe(BEFORE_K3S[n]));
        // Even where the ledger claims more than the board shows.
        let seen = |facts: &mut Facts| {
            seen(facts);
            facts.saw(BEFORE_K3S[n], Finding::Blocked(condition()));
        };
        let end = Action::Finish(Exit::TryAgain, Some((BEFORE_K3S[n], condition())));
        assert_eq!(decided(&BEFORE_K3S, seen), end);
    }
}

#[test]
fn wrong_halts_and_broken_aborts_wherever_they_are_found() {
    for (finding, exit) in [
        (Finding::Wrong(condition()), Exit::ConfigWrong),
        (Finding::Broken(condition()), Exit::Broken),
    ] {
        for done in [&[][..], &[StepId::Identity], &StepId::ALL] {
            let seen = |facts: &mut Facts| facts.saw(StepId::Identity, finding.clone());
            let end = Action::Finish(exit, Some((StepId::Identity, condition())));
            assert_eq!(decided(done, seen), end);
        }
    }
}

#[test]
fn a_sealed_node_is_looked_at_and_little_of_it_is_put_right() {
    let mut config = config();
    config.cluster.topology = Topology::EmbeddedEtcd;
    let decided = |facts: &Facts| decide(&ledger(&StepId::ALL), facts, &config);
    let mut facts = Facts::default();
    for step in steps(&config).filter(|step| step.checked_when_sealed()) {
        assert_eq!(decided(&facts), Action::Observe(step));
        facts.saw(step, Finding::Unmet(condition()));
        if step.kept_when_sealed() {
            assert_eq!(decided(&facts), Action::Apply(step));
            facts.applied(step);
            assert_eq!(decided(&facts), Action::Observe(step));
            facts.saw(step, Finding::Unmet(condition()));
        }
    }
    assert!(facts.was_applied(StepId::Bootstrap) && facts.was_applied(StepId::K3s));
    assert!(!facts.was_applied(StepId::Storage));
    assert_eq!(decided(&facts), Action::Finish(Exit::Converged, None));
}

#[test]
fn a_ledger_of_another_node_decides_before_all_else() {
    let mut other = config();
    other.node.incarnation = 2;
    let action = decide(&ledger(&StepId::ALL), &Facts::default(), &other);
    assert!(matches!(action, Action::Finish(Exit::ConfigWrong, Some((StepId::Identity, _)))));
}

fn steps_of(change: impl FnOnce(&mut NodeConfig)) -> Vec<&'static str> {
    let mut config = config();
    change(&mut config);
    let beyond = |step: &StepId| !BEFORE_K3S.contains(step);
    steps(&config).filter(beyond).map(StepId::name).collect()
}

fn vip(provider: VipProvider) -> Option<Vip> {
    Some(Vip { address: [192, 168, 24, 10].into(), port: paths::VIP_PORT, provider })
}

fn shared(config: &mut NodeConfig) {
    let hosts = vec!["192.168.24.21:5432".to_owned()];
    let datastore = Datastore { kind: DatastoreKind::Postgres, hosts, node: Some("db1".into()) };
    config.cluster.topology = Topology::ExternalDatastore;
    config.cluster.datastore = Some(datastore);
}

#[test]
fn a_node_has_the_steps_of_its_role() {
    assert_eq!(steps_of(|_| {}), ["k3s", "confirm", "seal"]);
    let etcd = |config: &mut NodeConfig| config.cluster.topology = Topology::EmbeddedEtcd;
    assert_eq!(steps_of(etcd), ["bootstrap", "k3s", "confirm", "seal"]);
    let with_vip = |config: &mut NodeConfig| {
        etcd(config);
        config.cluster.vip = vip(VipProvider::Keepalived);
        let text = || "x".to_owned();
        config.packages = vec![Package {
            name: text(),
            version: text(),
            architecture: text(),
            file: text(),
            sha256: text(),
            batch: 0,
        }];
    };
    let all = ["packages", "vip", "bootstrap", "k3s", "confirm", "seal"];
    assert_eq!(steps_of(with_vip), all);
    for provider in [VipProvider::KubeVip, VipProvider::None] {
        let nothing_to_run = |config: &mut NodeConfig| {
            etcd(config);
            config.cluster.vip = vip(provider);
        };
        assert_eq!(steps_of(nothing_to_run), ["bootstrap", "k3s", "confirm", "seal"]);
    }
    let agent = |config: &mut NodeConfig| {
        with_vip(config);
        config.node.role = Role::Agent;
    };
    assert_eq!(steps_of(agent), ["packages", "bootstrap", "k3s", "confirm", "seal"]);
    let database = |config: &mut NodeConfig| {
        shared(config);
        config.node.role = Role::Database;
        config.k3s = None;
    };
    assert_eq!(steps_of(database), ["database", "seal"]);
    assert_eq!(steps_of(shared), ["bootstrap", "k3s", "confirm", "seal"]);
}
