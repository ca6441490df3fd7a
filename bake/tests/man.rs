//! The manual pages in `docs/man` are those of this command line. After changing it:
//! `BAKE_BLESS=1 cargo test -p bake --test man`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

fn pages(dir: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(dir).expect("folder of manual pages");
    entries
        .map(|entry| {
            let entry = entry.expect("entry");
            let text = fs::read_to_string(entry.path()).expect("a page");
            (entry.file_name().to_string_lossy().into_owned(), text)
        })
        .collect()
}

#[test]
fn the_committed_pages_are_those_of_the_command_line() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/man");
    let fresh = tempfile::tempdir().expect("a folder");
    let status = Command::new(env!("CARGO_BIN_EXE_bake"))
        .args(["--quiet", "man"])
        .arg(fresh.path())
        .status()
        .expect("bake runs");
    assert!(status.success());
    let fresh = pages(fresh.path());
    assert!(fresh.contains_key("bake.1") && fresh.contains_key("bake-edit.1"));
    if std::env::var_os("BAKE_BLESS").is_some() {
        drop(fs::remove_dir_all(&committed));
        fs::create_dir_all(&committed).expect("docs/man");
        for (name, text) in &fresh {
            fs::write(committed.join(name), text).expect("written");
        }
    }
    let committed = pages(&committed);
    let names = |pages: &BTreeMap<String, String>| pages.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&fresh), names(&committed));
    for (name, text) in &fresh {
        assert!(committed[name] == *text, "docs/man/{name} is out of date; see above how to renew");
    }
}

#[test]
fn completions_exist_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = Command::new(env!("CARGO_BIN_EXE_bake"))
            .args(["completions", shell])
            .output()
            .expect("bake runs");
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains("verify"), "{shell}");
    }
}
