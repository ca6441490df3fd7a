use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use bake::io::sealed::Keys;
use bake::profile::{BaseFacts, ClusterSecrets, NodePlan, Profile, SHIPPED, Search, SecretsFile};
use nodeconf::{Iptables, NodeConfig, NodeSecrets};

use super::{GOOD, read};

/// Secrets as a file in the field would have them, recognisable and the same in every run.
fn secrets(profile: &Profile) -> ClusterSecrets {
    let mut nodes = String::new();
    for (i, node) in profile.nodes().iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let _ = write!(
            nodes,
            r#"{comma}"{node}": {{"password": "SECRET-node-{node}", "incarnation": 1, "inputs": null}}"#
        );
    }
    let cluster = profile.cluster();
    let text = format!(
        r#"{{"version": 1, "cluster": "{cluster}", "id": "6f1c2a52-7f0e-4d57-9d3c-2f4a1b0c9e77",
        "server_token": "SECRET-server", "agent_token": "SECRET-agent",
        "vrrp_password": "SECRET-v", "database_password": "SECRET-database",
        "nodes": {{{nodes}}}}}"#
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.secrets.json");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    SecretsFile::peek(&path, cluster, &Keys::none()).unwrap().unwrap()
}

fn base() -> BaseFacts {
    BaseFacts {
        boot_mount: Some("/boot/firmware".into()),
        clock_floor: 1_790_000_000,
        iptables: Iptables::Bundled,
        root_growth: true,
    }
}

fn shipped(name: &str) -> Profile {
    let source = Search::within(Vec::new()).find(name).unwrap();
    Profile::read(&source, &[]).unwrap()
}

fn plans(profile: &Profile) -> Vec<NodePlan> {
    let secrets = secrets(profile);
    profile.nodes().iter().map(|node| profile.plan(node, &secrets).unwrap()).collect()
}

#[test]
fn every_node_of_every_shipped_profile() {
    for (name, _) in SHIPPED {
        let profile = shipped(name);
        assert!(profile.warnings().is_empty(), "{name}: {:?}", profile.warnings());
        for plan in plans(&profile) {
            let mut text = serde_json::to_string_pretty(&plan).unwrap();
            if let Some(k3s) = &plan.k3s {
                let _ = write!(text, "\n--- config.yaml\n{}", k3s.config.to_yaml());
            }
            let _ = write!(text, "\n--- node.json\n{}", plan.config(&base()).to_json());
            let _ = write!(text, "--- secrets.json\n{}", plan.secrets.to_json());
            insta::assert_snapshot!(format!("{name}-{}", plan.node.name), text);
        }
    }
}

#[test]
fn the_device_accepts_what_is_planned() {
    let five = [
        "nodes[4]={name: n4, address: 192.168.24.14}",
        "nodes[5]={name: n5, address: 192.168.24.15}",
    ];
    let mut profiles: Vec<Profile> = SHIPPED.iter().map(|(name, _)| shipped(name)).collect();
    profiles.push(read(GOOD, &[]).unwrap());
    profiles.push(read(GOOD, &five).unwrap());
    profiles
        .push(read(GOOD, &["cluster.bootstrap={designated: node2}", "cluster.vip=null"]).unwrap());
    for plan in profiles.iter().flat_map(plans) {
        let config = plan.config(&base());
        let read = NodeConfig::parse(config.to_json().as_bytes());
        assert_eq!(read.unwrap_or_else(|e| panic!("{}: {e}", plan.node.name)), config);
        assert_eq!(NodeSecrets::parse(plan.secrets.to_json().as_bytes()).unwrap(), plan.secrets);
        assert!(!config.to_json().contains("SECRET"));
    }
}

#[test]
fn no_secret_shows_in_debug_or_redacted_plans() {
    let sets = [
        "system.wifi={ssid: home, psk: SECRET-wifi, country: DE}",
        "system.users=[{name: ops, password_hash: '$6$SECRET-hash-SECRET-hash'}]",
        "k3s.env={HTTP_PROXY: 'http://u:SECRET-proxy@x'}",
        "k3s.config={etcd-s3-secret-key: SECRET-s3, vpn-auth: 'joinKey=SECRET'}",
        "files=[{path: /root/key, content: SECRET-file}]",
    ];
    for profile in [shipped("master2-postgres"), read(GOOD, &sets).unwrap()] {
        for plan in plans(&profile) {
            assert!(serde_json::to_string(&plan).unwrap().contains("SECRET"));
            let redacted = serde_json::to_string(&plan.redacted()).unwrap();
            assert!(!redacted.contains("SECRET"), "{redacted}");
            assert!(!format!("{:?}", plan.secrets).contains("SECRET"));
        }
    }
    let external = [
        "cluster.topology=external-datastore",
        "cluster.datastore.endpoint=mysql://u:SECRET-db@tcp(db:3306)/k3s",
    ];
    let profile = read(GOOD, &external).unwrap();
    assert!(!format!("{profile:?}").contains("SECRET"));
    for plan in plans(&profile) {
        assert!(!serde_json::to_string(&plan.redacted()).unwrap().contains("SECRET"));
    }
}

#[test]
fn only_servers_hold_server_secrets() {
    for plan in SHIPPED
        .iter()
        .flat_map(|(name, _)| plans(&shipped(name)))
        .chain(plans(&read(GOOD, &[]).unwrap()))
    {
        let text = serde_json::to_string(&plan).unwrap();
        let server = plan.node.role == nodeconf::Role::Server;
        assert_eq!(text.contains("SECRET-server"), server, "{}", plan.node.name);
        for other in ["node1", "node2", "node3", "worker1", "db1"] {
            let holds = text.contains(&format!("SECRET-node-{other}"));
            assert_eq!(holds, plan.node.name == other && plan.k3s.is_some(), "{other}");
        }
    }
}

#[test]
fn nobody_is_told_to_found_or_join_at_bake() {
    for plan in plans(&shipped("master3")) {
        let config = &plan.k3s.unwrap().config.0;
        assert!(!config.contains_key("cluster-init") && !config.contains_key("server"));
    }
}

#[test]
fn the_profiles_own_keys_are_added_to_ours() {
    let sets = [
        "k3s.config={disable: [traefik, servicelb], tls-san: api.example.org, cluster-cidr: 10.52.0.0/16, v: 2}",
        "cluster.load_balancer.provider=none",
        "cluster.failover=fast",
        "nodes.worker1.labels={disk: ssd}",
    ];
    let profile = read(GOOD, &sets).unwrap();
    let plans = plans(&profile);
    let server = &plans[0].k3s.as_ref().unwrap().config.0;
    assert_eq!(server["disable"], serde_json::json!(["servicelb", "traefik"]));
    assert!(server["tls-san"].as_array().unwrap().contains(&"api.example.org".into()));
    assert_eq!(server["cluster-cidr"], "10.52.0.0/16");
    let agent = &plans[3].k3s.as_ref().unwrap().config.0;
    assert_eq!(agent["server"], "https://192.168.24.40:16443");
    assert_eq!(agent["node-label"], serde_json::json!(["disk=ssd"]));
    assert_eq!(agent["v"], 2);
    for key in ["disable", "tls-san", "cluster-cidr", "kube-apiserver-arg"] {
        assert!(!agent.contains_key(key), "k3s agent does not know {key}");
    }
}

#[test]
fn the_digest_of_the_inputs_follows_content_and_nothing_else() {
    let digest = |text: &str, sets: &[&str], node: usize| {
        plans(&read(text, sets).unwrap())[node].inputs_digest(&Default::default()).unwrap()
    };
    let first = digest(GOOD, &[], 0);
    assert_eq!(first, digest(GOOD, &[], 0));
    assert_ne!(first, digest(GOOD, &[], 1));
    assert_ne!(first, digest(GOOD, &["system.timezone=Europe/Berlin"], 0));
    let commented = format!("# a comment\n{GOOD}");
    assert_eq!(first, digest(&commented, &[], 0));
    let base = [("base".to_owned(), "00".to_owned())].into();
    let plan = &plans(&read(GOOD, &[]).unwrap())[0];
    assert_ne!(first, plan.inputs_digest(&base).unwrap());
    let mut raised = plan.clone();
    raised.node.incarnation = 7;
    assert_eq!(first, raised.inputs_digest(&Default::default()).unwrap());
}

#[test]
fn a_range_stands_for_as_many_nodes_as_it_counts() {
    let range = "nodes.worker1={name: 'rack1-{08..10}', role: agent, labels: {rack: '1'}, \
                 address: 192.168.24.100-192.168.24.199}";
    let profile = read(GOOD, &[range]).unwrap();
    let racks = ["rack1-08", "rack1-09", "rack1-10"];
    assert_eq!(profile.nodes()[3..], racks);
    for (i, plan) in plans(&profile)[3..].iter().enumerate() {
        assert_eq!(plan.node.name, racks[i]);
        let json = serde_json::to_string(&plan.node).unwrap();
        assert!(json.contains(&format!("192.168.24.{}", 100 + i)), "{json}");
        // Each of the others stands in its hosts file, by its own name.
        let hosts: Vec<&str> = plan.network.hosts.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(hosts.len(), 5);
        assert!(racks.iter().all(|rack| *rack == racks[i] || hosts.contains(rack)), "{hosts:?}");
    }
}
