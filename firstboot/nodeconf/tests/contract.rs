//! What is written is read back, and nothing else is.

use nodeconf::*;

fn server() -> NodeConfig {
    NodeConfig {
        version: VERSION,
        cluster: Cluster {
            name: "edge".into(),
            id: "6f1c2a52-7f0e-4d57-9d3c-2f4a1b0c9e77".into(),
            topology: Topology::EmbeddedEtcd,
            vip: Some(Vip {
                address: [192, 168, 24, 40].into(),
                port: paths::VIP_PORT,
                provider: VipProvider::Keepalived,
            }),
            servers: (1..=3_u8)
                .map(|n| Peer {
                    name: format!("node{n}"),
                    address: Some([192, 168, 24, 10 + n].into()),
                })
                .collect(),
            datastore: None,
            bootstrap: Bootstrap::Designated { server: "node1".into() },
            failover: Failover::Fast,
        },
        node: Node {
            name: "node2".into(),
            role: Role::Server,
            address: Address::Static(StaticAddress {
                address: [192, 168, 24, 12].into(),
                prefix: 24,
                gateway: Some([192, 168, 24, 1].into()),
                dns: vec![[192, 168, 24, 1].into()],
            }),
            interface: "eth0".into(),
            incarnation: 1,
        },
        k3s: Some(K3s { version: "v1.36.5+k3s1".into(), unit: paths::K3S_SERVER_UNIT.into() }),
        system: System {
            boot_mount: Some("/boot/firmware".into()),
            clock_floor: 1_790_000_000,
            time_wait: 120,
            iptables: Iptables::Legacy,
            swap: Swap::Off,
            memory_cgroup: true,
            root_growth: true,
        },
        packages: vec![Package {
            name: "keepalived".into(),
            version: "1:2.2.7-1+b2".into(),
            architecture: "arm64".into(),
            file: "keepalived_1%3a2.2.7-1+b2_arm64.deb".into(),
            sha256: "5c".repeat(32),
            batch: 0,
        }],
    }
}

fn agent() -> NodeConfig {
    let mut config = server();
    config.node.name = "worker1".into();
    config.node.role = Role::Agent;
    config.node.address = Address::Dhcp;
    config.cluster.bootstrap = Bootstrap::Majority;
    config.k3s.as_mut().unwrap().unit = paths::K3S_AGENT_UNIT.into();
    config
}

fn database() -> NodeConfig {
    let mut config = agent();
    config.cluster.topology = Topology::ExternalDatastore;
    config.cluster.datastore = Some(Datastore {
        kind: DatastoreKind::Postgres,
        hosts: vec!["192.168.24.21:5432".into()],
        node: Some("worker1".into()),
    });
    config.node.role = Role::Database;
    config.k3s = None;
    config
}

/// Reads `json` after `edit` changed its tree.
fn parse_edited(edit: impl FnOnce(&mut serde_json::Value)) -> Result<NodeConfig, Error> {
    let mut tree = serde_json::from_str(&server().to_json()).unwrap();
    edit(&mut tree);
    NodeConfig::parse(tree.to_string().as_bytes())
}

#[test]
fn round_trip_is_canonical() {
    for config in [server(), agent(), database()] {
        let text = config.to_json();
        let read = NodeConfig::parse(text.as_bytes()).unwrap();
        assert_eq!(read, config);
        assert_eq!(read.to_json(), text);
        assert!(text.ends_with("}\n"));
    }
}

/// Version 1 as the first release wrote it; it must stay readable in every later one.
#[test]
fn version_1_stays_readable() {
    let text = include_str!("node-v1.json");
    let written = NodeConfig { version: 1, packages: Vec::new(), ..server() };
    assert_eq!(NodeConfig::parse(text.as_bytes()).unwrap(), written);
}

/// Version 2 knows of staged packages.
#[test]
fn version_2_stays_readable() {
    let text = include_str!("node-v2.json");
    assert_eq!(NodeConfig::parse(text.as_bytes()).unwrap(), server());
    assert_eq!(server().to_json(), text);
}

#[test]
fn other_versions_are_named() {
    for version in [0, 3, u64::MAX] {
        let error = parse_edited(|tree| tree["version"] = version.into()).unwrap_err();
        assert!(matches!(error, Error::Version { found, .. } if found == version), "{error}");
    }
    // A newer file is called newer even where its shape is unknown to us.
    let error = NodeConfig::parse(br#"{"version": 7, "shape": "new"}"#).unwrap_err();
    assert_eq!(error.to_string(), "version 7 is not supported, this build reads up to 2");
}

#[test]
fn unknown_and_missing_keys_are_errors_everywhere() {
    fn objects(value: &serde_json::Value, path: &str, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(map) => {
                found.push(path.to_owned());
                map.iter().for_each(|(k, v)| objects(v, &format!("{path}/{k}"), found));
            }
            serde_json::Value::Array(list) => {
                list.iter().enumerate().for_each(|(i, v)| objects(v, &format!("{path}/{i}"), found))
            }
            _ => {}
        }
    }
    let mut pointers = Vec::new();
    objects(&serde_json::from_str(&server().to_json()).unwrap(), "", &mut pointers);
    assert!(pointers.len() > 8, "{pointers:?}");
    for pointer in pointers {
        let error = parse_edited(|tree| tree.pointer_mut(&pointer).unwrap()["surprise"] = 1.into());
        assert!(matches!(error, Err(Error::Syntax { .. })), "{pointer}: {error:?}");
    }
    let error = parse_edited(|tree| {
        tree["node"].as_object_mut().unwrap().remove("incarnation");
    });
    assert!(error.unwrap_err().to_string().contains("missing field `incarnation`"));
}

#[test]
fn every_fault_is_reported_with_its_path() {
    let mut config = server();
    config.cluster.name = "Edge!".into();
    config.cluster.id = "x".into();
    config.cluster.servers[2].address = config.cluster.servers[0].address;
    config.cluster.servers[0].name = "node3".into();
    config.node.interface = "eth0/1".into();
    config.node.incarnation = 0;
    config.node.address = Address::Static(StaticAddress {
        address: [192, 168, 24, 12].into(),
        prefix: 24,
        gateway: Some([10, 0, 0, 1].into()),
        dns: vec![],
    });
    config.k3s.as_mut().unwrap().unit = paths::K3S_AGENT_UNIT.into();
    config.system.boot_mount = Some("boot/../x".into());
    let Err(Error::Invalid(faults)) = config.validate() else { panic!("valid") };
    let found: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(
        found,
        [
            "cluster.name",
            "cluster.id",
            "cluster.bootstrap.designated.server",
            "cluster.servers[2].name",
            "cluster.servers[2].address",
            "node.interface",
            "node.incarnation",
            "node.address.static.gateway",
            "k3s.unit",
            "system.boot_mount",
        ]
    );
}

#[test]
fn secrets_round_trip_and_never_show() {
    let secrets = NodeSecrets {
        version: VERSION,
        server_token: Some(Secret::new("hunter2-server")),
        agent_token: None,
        database: Some(DatabaseSecret {
            name: "k3s".into(),
            user: "k3s".into(),
            password: Secret::new("hunter2-database"),
        }),
    };
    let text = secrets.to_json();
    assert!(text.contains("hunter2-server"));
    assert_eq!(NodeSecrets::parse(text.as_bytes()).unwrap(), secrets);
    assert!(!format!("{secrets:#?}").contains("hunter2"));
    let broken = text.replace("\"name\": \"k3s\"", "\"hunter2-key\": 1");
    let error = NodeSecrets::parse(broken.as_bytes()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
}

#[test]
fn hostile_input_is_an_error() {
    let deep = "[".repeat(100_000);
    let cases: [&[u8]; 6] =
        [b"", b"\xff\xfe", b"null", b"[]", br#"{"version":"1"}"#, deep.as_bytes()];
    for json in cases {
        assert!(matches!(NodeConfig::parse(json), Err(Error::Syntax { .. })));
    }
}
