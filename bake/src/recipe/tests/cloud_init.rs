//! What cloud-init reads, judged by cloud-init; and Raspberry Pi Imager's files beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::fixtures::{put, release};
use super::plans::{SINGLE, plan};
use super::{bake, materials, recipe_for, text};
use crate::error::Exit;
use crate::fs::Attributes;
use crate::fs::root::Root;
use crate::recipe::{Traits, recipe};

const IDENTITY: &str = "system.identity=cloud-init";
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0aXoGcZ5TkNq4dYJp7i6zQ9yN2h9f6Qm0s5m9Zl3Vd ops@laptop";
const HASH: &str = "$6$c2FsdA$k1QH8bVtW0oZpYx3nR7mJ5sLdCfGaUeXiTqKwN2yBvM9z4OoPlAhDjEgFrSIu6k1QH8bVtW0oZpYx3nR7mJ5";

/// Where ci/install-deps unpacks Debian's cloud-init.
fn cloud_init(arguments: &[&str]) -> (bool, String) {
    let home = std::env::var("HOME").unwrap_or_default();
    let cache = std::env::var("XDG_CACHE_HOME").unwrap_or(format!("{home}/.cache"));
    let cache = std::env::var("BAKE_CI_CACHE").unwrap_or(format!("{cache}/bake-ci"));
    let modules = PathBuf::from(cache).join("cloud-init/usr/lib/python3/dist-packages");
    assert!(modules.exists(), "no {}: ci/install-deps unpacks it there", modules.display());
    let out = Command::new("/usr/bin/python3")
        .args(["-m", "cloudinit.cmd.main"])
        .args(arguments)
        .env("PYTHONPATH", modules)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let said = [out.stdout, out.stderr].map(|t| String::from_utf8_lossy(&t).into_owned()).concat();
    (out.status.success(), said)
}

fn write(dir: &Path, name: &str, content: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

fn seed(root: &Root, name: &str) -> String {
    text(root, &format!("/boot/firmware/{name}"))
}

fn users() -> [String; 2] {
    [
        IDENTITY.to_owned(),
        format!(
            "system.users=[{{name: ops, sudo: true, ssh_keys: [\"{KEY}\"]}}, {{name: eve, ssh_keys: [\"{KEY}\"]}}]"
        ),
    ]
}

#[test]
fn cloud_init_takes_what_is_written_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let sets = users();
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    for name in ["trixie", "noble", "resolute", "focal"] {
        let mut root = release(name);
        bake(&mut root, &plan(SINGLE, "node1", &sets));
        let data = write(dir.path(), "user-data", &seed(&root, "user-data"));
        let (valid, said) = cloud_init(&["schema", "--config-file", &data]);
        assert!(valid, "{name}: {said}");
        let meta = seed(&root, "meta-data");
        assert!(
            meta.contains("local-hostname: \"node1\"\n") && meta.contains("-node1-1\""),
            "{meta}"
        );
        let config = write(dir.path(), "network-config", &seed(&root, "network-config"));
        let into = dir.path().join(name);
        let (converted, said) = cloud_init(&[
            "devel",
            "net-convert",
            "--network-data",
            &config,
            "--kind",
            "yaml",
            "--directory",
            into.to_str().unwrap(),
            "--distro",
            "debian",
            "--output-kind",
            "networkd",
        ]);
        assert!(converted, "{name}: {said}");
        let network =
            fs::read_to_string(into.join("etc/systemd/network/10-cloud-init-eth0.network"));
        let network = network.unwrap();
        for line in ["Address=192.168.24.11/24", "DNS=192.168.24.1", "Gateway=192.168.24.1"] {
            assert!(network.contains(line), "{name}: {network}");
        }
    }
    let broken = write(dir.path(), "broken", "#cloud-config\nusers: 7\n");
    assert!(!cloud_init(&["schema", "--config-file", &broken]).0, "the judge judges");
}

#[test]
fn who_cloud_init_makes_is_not_in_the_image_and_secrets_are_not_in_its_files() {
    let sets = [
        IDENTITY.to_owned(),
        format!(
            "system.users=[{{name: ops, ssh_keys: [\"{KEY}\"]}}, {{name: eve, password_hash: \"{HASH}\"}}]"
        ),
        "system.wifi={ssid: lab, psk: correct horse, country: DE}".to_owned(),
    ];
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    let mut root = release("trixie");
    let hostname = root.read(b"/etc/hostname", 100).unwrap();
    bake(&mut root, &plan(SINGLE, "node1", &sets));
    let data = seed(&root, "user-data");
    assert!(data.contains("hostname: \"node1\"\n") && data.contains(KEY), "{data}");
    assert!(data.contains("ops") && !data.contains("eve"), "{data}");
    let passwd = text(&root, "/etc/passwd");
    assert!(passwd.contains("\neve:") && !passwd.contains("\nops:"), "{passwd}");
    assert!(text(&root, "/etc/shadow").contains(HASH));
    assert_eq!(root.read(b"/etc/hostname", 100).unwrap(), hostname);
    for file in ["user-data", "network-config", "meta-data"] {
        let content = seed(&root, file);
        assert!(!content.contains(HASH) && !content.contains("correct horse"), "{file}: {content}");
    }
    assert!(text(&root, "/etc/netplan/90-bake-wlan0.yaml").contains("correct horse"));
    assert!(!text(&root, "/etc/cloud/cloud.cfg.d/zz-bake.cfg").contains("disabled"));
}

#[test]
fn without_a_cloud_init_that_reads_the_boot_partition_it_is_refused() {
    for name in ["bookworm", "cloud-amd64"] {
        let root = release(name);
        let plan = plan(SINGLE, "node1", &[IDENTITY]);
        let traits = Traits::detect(&root).unwrap();
        let refused = recipe(&traits, &plan, &materials(&plan), 0).unwrap_err();
        assert_eq!(refused.exit(), Exit::Usage, "{name}");
        assert!(refused.to_string().contains("system.identity"), "{refused}");
    }
}

/// An image that was customised before it is baked.
fn customised(name: &str, file: &str, content: &str) -> Root {
    let mut root = release(name);
    let boot = if name == "bullseye" || name == "buster" { "/boot" } else { "/boot/firmware" };
    let attributes = Attributes { mode: 0o755, uid: 0, gid: 0, mtime: 0 };
    put(&mut root, &format!("{boot}/{file}"), content.into(), attributes);
    root
}

fn noted(root: &Root, sets: &[&str]) -> Vec<String> {
    recipe_for(root, &plan(SINGLE, "node1", sets)).notes
}

#[test]
fn files_of_imager_stay_and_it_is_said_what_wins() {
    let key = format!("system.users=[{{name: ops, ssh_keys: [\"{KEY}\"]}}]");
    let users = [key.as_str()];
    for (release, file, sets, outcome) in [
        ("bookworm", "custom.toml", &users[..], "firstboot sets the node's name again"),
        ("bookworm", "firstrun.sh", &[], "firstboot sets the node's name again"),
        ("bookworm", "userconf.txt", &users, "the profile names the users"),
        ("bookworm", "userconf", &["system.users=[]"], "the profile names none"),
        ("bookworm", "ssh", &users, "sshd is started anyway"),
        (
            "bookworm",
            "ssh.txt",
            &["system.users=[]", "system.ssh=false"],
            "whatever the profile says",
        ),
        ("bookworm", "wpa_supplicant.conf", &[], "nothing reads it in this release"),
        ("bullseye", "wpa_supplicant.conf", &[], "joins the network it names"),
        (
            "bullseye",
            "wpa_supplicant.conf",
            &["system.wifi={ssid: lab, psk: correct horse, country: DE}"],
            "remove one of the two",
        ),
    ] {
        let mut root = customised(release, file, "mine\n");
        let notes = noted(&root, sets);
        assert!(notes.iter().any(|note| note.contains(outcome)), "{release} {file}: {notes:?}");
        bake(&mut root, &plan(SINGLE, "node1", sets));
        let boot = if release == "bullseye" { "/boot" } else { "/boot/firmware" };
        assert_eq!(text(&root, &format!("{boot}/{file}")), "mine\n", "{release} {file}");
    }
    assert!(!noted(&release("bookworm"), &[]).iter().any(|note| note.contains("stays:")));
}

#[test]
fn the_wizard_is_left_to_make_the_user_that_the_boot_partition_names() {
    let wizard = "/etc/systemd/system/userconfig.service";
    for (file, users, masked) in [
        ("userconf.txt", "[]".to_owned(), false),
        ("nothing", "[]".to_owned(), true),
        ("userconf.txt", format!("[{{name: ops, ssh_keys: [\"{KEY}\"]}}]"), true),
    ] {
        let mut root = customised("bookworm", file, "pi:$6$hash\n");
        bake(&mut root, &plan(SINGLE, "node1", &[&format!("system.users={users}")]));
        assert_eq!(root.lstat(wizard.as_bytes()).unwrap().is_some(), masked, "{file} {users}");
    }
}

const IMAGERS: &str = "#cloud-config\nhostname: pi\nusers: [{name: mine}]\n";

#[test]
fn imagers_user_data_is_never_replaced() {
    let key = format!("system.users=[{{name: ops, ssh_keys: [\"{KEY}\"]}}]");
    let mut root = customised("trixie", "user-data", IMAGERS);
    let attributes = Attributes { mode: 0o755, uid: 0, gid: 0, mtime: 0 };
    let meta = "instance-id: rpi-imager-1790000000000\n";
    put(&mut root, "/boot/firmware/meta-data", meta.into(), attributes);
    let notes = noted(&root, &[&key]);
    assert!(notes.iter().any(|note| note.contains("cloud-init makes its users")), "{notes:?}");
    let node = plan(SINGLE, "node1", &[&key, IDENTITY]);
    let traits = Traits::detect(&root).unwrap();
    let refused = recipe(&traits, &node, &materials(&node), 0).unwrap_err();
    assert!(refused.to_string().contains("Imager"), "{refused}");
    bake(&mut root, &plan(SINGLE, "node1", &[&key]));
    assert_eq!(seed(&root, "user-data"), IMAGERS);
    assert_eq!(seed(&root, "meta-data"), meta);
    // The image's own, which makes a user with a password everybody knows, is replaced.
    let mut stock = release("noble");
    bake(&mut stock, &plan(SINGLE, "node1", &[&key]));
    assert!(seed(&stock, "user-data").contains("in its image already"));
}
