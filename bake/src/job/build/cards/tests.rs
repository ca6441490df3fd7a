use std::path::PathBuf;

use super::*;
use crate::io::sealed::Keys;
use crate::profile::{Claim, Profile, SecretsFile, Source};

const PROFILE: &str = "\
version: 1
cluster:
  name: edge
  topology: embedded-etcd
  vip: {address: 192.168.24.40, provider: keepalived}
image: ./base.img
k3s: {version: v1.36.5+k3s1}
network: {interface: eth0, prefix: 24, gateway: 192.168.24.1}
nodes:
  - {name: node1, role: server, address: 192.168.24.11}
  - {name: node2, role: server, address: 192.168.24.12}
  - {name: node3, role: server, address: 192.168.24.13}
  - {name: worker1, role: agent, address: dhcp}
";

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    /// Bakes a node as far as its secrets go. Returns the warnings.
    fn bake(&self, sets: &[&str], node: &str, replace: bool) -> Vec<String> {
        let file = Some(PathBuf::from("edge.yaml"));
        let source = Source { name: "edge".into(), file, text: PROFILE.into() };
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let profile = Profile::read(&source, &sets).unwrap();
        let path = self.dir.path().join("edge.secrets.json");
        let mut secrets =
            SecretsFile::open(&path, "edge", &profile.members(), &Keys::none()).unwrap();
        let mut plan = profile.plan(node, secrets.secrets()).unwrap();
        let shape = ClusterSecrets::shape(&plan.cluster, plan.node.role == Role::Server);
        let inputs = plan.inputs_digest(&Default::default()).unwrap();
        let claim = Claim { node, inputs: &inputs, shape: &shape, replace };
        plan.node.incarnation = secrets.claim(&claim).unwrap();
        warnings(&plan, secrets.secrets())
    }
}

#[test]
fn the_majority_of_first_cards_is_watched() {
    let bench = Bench { dir: tempfile::tempdir().unwrap() };
    for node in ["node1", "node2", "node3", "worker1"] {
        assert_eq!(bench.bake(&[], node, false), Vec::<String>::new());
    }
    assert_eq!(bench.bake(&[], "node2", true), Vec::<String>::new(), "two of three are enough");
    assert_eq!(bench.bake(&[], "worker1", true), Vec::<String>::new());
    let said = bench.bake(&[], "node3", true);
    assert!(said.len() == 1 && said[0].starts_with("1 of 3 servers still"), "{said:?}");
    assert!(said[0].contains("only once all 3 servers are up"));
    assert_eq!(bench.bake(&[], "node1", false), Vec::<String>::new(), "its first card again");
    let all = ["cluster.bootstrap=all"];
    assert_eq!(bench.bake(&all, "node2", true), Vec::<String>::new());
}

#[test]
fn a_designated_founder_must_have_its_first_card() {
    let bench = Bench { dir: tempfile::tempdir().unwrap() };
    let sets = ["cluster.bootstrap={designated: node2}"];
    assert_eq!(bench.bake(&sets, "node1", true), Vec::<String>::new());
    assert_eq!(bench.bake(&sets, "node3", true), Vec::<String>::new());
    assert_eq!(bench.bake(&sets, "node2", true).len(), 1);
}

#[test]
fn cards_for_other_servers_are_named() {
    let bench = Bench { dir: tempfile::tempdir().unwrap() };
    for node in ["node1", "node2", "node3", "worker1"] {
        bench.bake(&[], node, false);
    }
    let more = ["nodes[4]={name: node4, role: server, address: 192.168.24.14}"];
    let said = bench.bake(&more, "node4", false);
    let begins = "the newest cards of node1, node2, node3 do not know all servers";
    assert!(said.len() == 1 && said[0].starts_with(begins), "{said:?}");
    assert!(said[0].contains("nothing is to be done") && !said[0].contains("database"), "{said:?}");
    // Another agent concerns nobody.
    let agent = ["nodes[4]={name: worker2, role: agent, address: dhcp}"];
    assert_eq!(bench.bake(&agent, "worker2", false), Vec::<String>::new());
    // Where the API is concerns everybody.
    let moved = ["cluster.vip.address=192.168.24.41"];
    let said = bench.bake(&moved, "node1", false);
    assert!(said[0].contains("of node2, node3, worker1, worker2 were baked"), "{said:?}");
    assert!(said[0].contains("another address"), "{said:?}");
}
