//! dpkg ends at any moment, with the power or alone, and the next run still installs all.

mod fake;

use fake::{CONFIG, Fake, Loss};
use firstboot::exit::Exit;
use nodeconf::paths;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const NAMES: [(&str, u32); 4] = [("one", 0), ("two", 1), ("three", 1), ("four", 1)];

fn file(name: &str) -> String {
    format!("{name}_1.0_all.deb")
}

/// A board with staged packages, of which `two` needs `three` where it was cut short.
fn board() -> Fake {
    let mut config: Value = serde_json::from_str(CONFIG).unwrap();
    let content = |name: &str| format!("{name} 1.0\n");
    let packages = NAMES.map(|(name, batch)| {
        json!({"name": name, "version": "1.0", "architecture": "all", "file": file(name),
            "sha256": hex::encode(Sha256::digest(content(name))), "batch": batch})
    });
    config["version"] = 2.into();
    config["packages"] = packages.to_vec().into();
    Fake::with(|world| {
        world.disk.place(paths::NODE_CONFIG, config.to_string().as_bytes(), 0o644);
        for (name, _) in NAMES {
            let path = format!("{}/{}", paths::PACKAGES, file(name));
            world.disk.place(&path, content(name).as_bytes(), 0o644);
        }
        world.dpkg.packages.insert("base-files".into(), ("installed", "12".into()));
        world.dpkg.needs.insert("two".into(), "three".into());
    })
}

fn assert_installed(board: &Fake, context: &str) {
    for (name, _) in NAMES {
        let state = board.world.borrow().dpkg.packages.get(name).cloned();
        assert_eq!(state, Some(("installed", "1.0".into())), "{context}: {name}");
        let staged = format!("{}/{}", paths::PACKAGES, file(name));
        assert_eq!(board.file(&staged), None, "{context}: {staged} takes room");
    }
}

#[test]
fn dpkg_may_end_at_any_moment() {
    let mut left = std::collections::BTreeSet::new();
    // Without a loss, only the processes are killed.
    for loss in [None, Some(Loss::Everything)] {
        for call in 1.. {
            let board = board();
            if let Some(exit) = board.cut(call) {
                assert_eq!(exit, Exit::Converged);
                break;
            }
            let states = board.world.borrow().dpkg.packages.clone();
            left.extend(states.into_values().map(|(state, _)| state));
            if let Some(loss) = loss {
                board.reboot(loss);
            }
            let context = format!("cut at call {call}, {loss:?} lost");
            assert_eq!(board.run_as_unit(4), Exit::Converged, "{context}");
            assert_installed(&board, &context);
        }
    }
    let all = ["half-configured", "half-installed", "installed", "unpacked"];
    assert_eq!(left.into_iter().collect::<Vec<_>>(), all);
}
