//! The power goes, or the processes are killed, at every call of the setting up of the cluster's
//! own database.

mod fake;

use fake::postgres::Cluster;
use fake::{CONFIG, Fake, Loss};
use firstboot::exit::Exit;
use nodeconf::paths;
use serde_json::{Value, json};

const SECRETS: &str = r#"{"version":2,"server_token":null,"agent_token":null,"database":
    {"name":"k3s","user":"k3s","password":"s3cret"}}"#;

/// A database node, whose package made the cluster or did not get to it.
fn board(cluster: Cluster) -> Fake {
    let mut config: Value = serde_json::from_str(CONFIG).unwrap();
    config["version"] = 2.into();
    config["cluster"]["topology"] = "external-datastore".into();
    config["cluster"]["datastore"] =
        json!({"kind": "postgres", "hosts": ["192.168.24.11:5432"], "node": "node1"});
    config["cluster"]["servers"] = json!([{"name": "node2", "address": "192.168.24.12"}]);
    config["cluster"]["vip"] = Value::Null;
    config["node"]["role"] = "database".into();
    config["k3s"] = Value::Null;
    config["packages"] = json!([{"name": "postgresql-15", "version": "1.0", "batch": 0,
        "architecture": "all", "file": "postgresql-15_1.0_all.deb", "sha256": "0".repeat(64)}]);
    Fake::with(|world| {
        world.dpkg.packages.insert("postgresql-15".into(), ("installed", "1.0".into()));
        world.postgres.cluster = cluster;
        for (path, text) in [
            (paths::NODE_CONFIG, config.to_string().as_str()),
            (paths::NODE_SECRETS, SECRETS),
            (paths::DATABASE_CERT, "certificate"),
            (paths::DATABASE_KEY, "s3cret key"),
            (paths::DATABASE_ACCESS, "hostssl all all samenet scram-sha-256\n"),
            (paths::DATABASE_CONFIG, "ssl = 'on'\nlisten_addresses = '*'\n"),
        ] {
            world.disk.place(path, text.as_bytes(), 0o600);
        }
    })
}

#[test]
fn its_setting_up_may_end_at_any_moment() {
    // Without a loss, only the processes are killed.
    for (cluster, loss) in [
        (Cluster::None, None),
        (Cluster::Half, Some(Loss::Everything)),
        (Cluster::Whole, Some(Loss::Everything)),
        (Cluster::Whole, Some(Loss::Data)),
    ] {
        let mut calls = 0;
        for call in 1.. {
            let board = board(cluster.clone());
            if let Some(exit) = board.cut(call) {
                // A cluster that was half made is thrown away, and the next run makes one.
                assert!(exit == Exit::Converged || cluster == Cluster::Half, "{exit:?}");
                break;
            }
            calls = call;
            if let Some(loss) = loss {
                board.reboot(loss);
            }
            let context = format!("{cluster:?}, cut at call {call}, {loss:?} lost");
            let told = || board.file(paths::STATUS).unwrap_or_default();
            assert_eq!(board.run_as_unit(4), Exit::Converged, "{context}: {}", told());
            assert!(board.world.borrow().postgres.is_provided(), "{context}");
            assert_eq!(board.file(paths::NODE_SECRETS), None, "{context}");
        }
        assert!(calls > 40, "{calls}");
    }
}
