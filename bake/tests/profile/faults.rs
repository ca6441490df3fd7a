use super::{GOOD, faults, read, show};

#[test]
fn the_good_profile_is_good() {
    let profile = read(GOOD, &[]).unwrap();
    assert_eq!(profile.nodes(), ["node1", "node2", "node3", "worker1"]);
    assert!(profile.warnings().is_empty(), "{:?}", profile.warnings());
}

/// One text with everything wrong at once: each fault has its line and column.
#[test]
fn every_fault_is_reported_at_once_with_its_place() {
    let text = include_str!("faulty.yaml");
    let shown: Vec<String> = faults(text, &[]).iter().map(show).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

/// Structure and meaning are both reported where the structure allows it.
#[test]
fn an_unknown_key_does_not_hide_a_wrong_address() {
    let text = GOOD.replace("role: agent", "rolle: agent, address: 192.168.24.12");
    let shown: Vec<String> = faults(&text, &[]).iter().map(show).collect();
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown[0].starts_with("13:21 nodes[3].rolle: unknown key | did you mean `role`?"));
    assert!(shown[1].contains("192.168.24.12 is already the address of node2"));
}

#[test]
fn faults_of_a_range_stand_where_it_stands_and_once() {
    let range = "name: 'rack{01..40}', role: agent, address: 192.168.25.1-192.168.25.20";
    let text = GOOD.replace("name: worker1, role: agent", range);
    let shown: Vec<String> = faults(&text, &[]).iter().map(show).collect();
    assert_eq!(shown.len(), 1, "{shown:#?}");
    assert!(shown[0].starts_with("13:"), "{shown:#?}");
    assert!(shown[0].contains("nodes[3].address: 20 addresses for 40 nodes"), "{shown:#?}");
}

/// Each line: what to set in the good profile, and what must be said about it.
const CASES: &str = include_str!("cases.txt");

#[test]
fn single_faults_say_what_and_where() {
    let mut seen = 0;
    for case in CASES.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let (set, expected) = case.split_once(" => ").expect(case);
        let sets: Vec<&str> = set.split(" && ").collect();
        let found = faults(GOOD, &sets);
        let shown: Vec<String> = found.iter().map(show).collect();
        assert!(shown.iter().any(|s| s.contains(expected)), "{case}\n{shown:#?}");
        let placed = |s: &String| s.contains("--set ") || !s.starts_with('-');
        assert!(shown.iter().all(placed), "names the option or the place: {shown:#?}");
        seen += 1;
    }
    assert!(seen > 60, "{seen}");
}

#[test]
fn what_is_allowed_is_not_refused() {
    for set in [
        "cluster.vip.port=443",
        "cluster.vip={address: 192.168.24.40, provider: kube-vip}",
        "cluster.vip={address: 10.1.1.1, provider: none}",
        "cluster.load_balancer={provider: metallb, addresses: [192.168.24.48/29, 192.168.24.60]}",
        "cluster.bootstrap={designated: node2}",
        "cluster.failover=fast",
        "image={url: 'https://example.org/a.img.xz', sha256: 62d025b9bc7ca0e1facfec74ae56ac13978b6745c58177f081d39fbb8041ed45}",
        "image=./base.img",
        "root_size=+1GiB",
        "root_size=8GiB",
        "system.swap=false",
        "k3s.config={disable: [traefik], tls-san: example.org, v: 2, secrets-encryption: true}",
        "k3s.config.cluster-cidr=10.52.0.0/16",
        "k3s.env={HTTP_PROXY: 'http://proxy:3128'}",
        "system.wifi={ssid: home, psk: '12345678', country: DE}",
        "system.users=[{name: ops, ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0aXoGcZ5TkNq4dYJp7i6zQ9yN2h9f6Qm0s5m9Zl3Vd ops@x]}]",
        "system.packages=[open-iscsi, nfs-common]",
        "nodes.worker1.labels={disk: ssd, example.org/rack: r1, node.kubernetes.io/kind: pi}",
        "nodes.worker1.taints=['gpu=yes:NoSchedule', 'x:NoExecute']",
        "files=[{path: /etc/motd, content: hello, mode: 0644}]",
        "network.ntp=[pool.ntp.org, 192.168.24.1]",
        "nodes.worker1={name: 'w{1..3}', role: agent, address: dhcp}",
        "nodes.worker1={name: 'w{01..20}', role: agent, address: 192.168.24.100-192.168.24.199}",
        "nodes.worker1={name: 'w{1..14}', role: agent, address: 192.168.24.129-192.168.24.142}",
    ] {
        let profile = read(GOOD, &[set]).unwrap_or_else(|e| panic!("{set}: {e:?}"));
        assert!(profile.warnings().is_empty(), "{set}: {:?}", profile.warnings());
    }
}

#[test]
fn what_may_be_meant_is_only_a_warning() {
    for (set, expected) in [
        ("nodes[4]={name: node4, address: 192.168.24.14}", "survive no more losses than 3"),
        ("network.gateway=null", "no default route"),
        ("network.dns=[]", "no name server"),
        ("k3s.config.tls-sans=[x]", "did you mean `tls-san`"),
        ("system.users=[{name: ops}]", "neither password nor key"),
        ("system.ssh=true", "no user of this profile could log in"),
        ("manifests=[no-such-folder-here/*.yaml]", "matches no file"),
    ] {
        let profile = read(GOOD, &[set]).unwrap_or_else(|e| panic!("{set}: {e:?}"));
        let shown: Vec<String> = profile.warnings().iter().map(show).collect();
        assert!(shown.iter().any(|s| s.contains(expected)), "{set}: {shown:?}");
    }
}

#[test]
fn secrets_are_never_quoted() {
    let texts = [
        "system.wifi=hunter2hunter2",
        "system.wifi={ssid: x, psk: [hunter2], country: DE}",
        "system.wifi={ssid: x, psk: hunter2, country: DE}",
        "system.users=[{name: a, password_hash: hunter2}]",
        "system.users=[{name: a, password: hunter2}]",
        "cluster.topology=external-datastore && cluster.datastore.endpoint=oracle://x:hunter2@y",
        "k3s.config.token=hunter2",
        "k3s.env={K3S_TOKEN: hunter2}",
        "k3s.config={x: {hunter2: 1}}",
    ];
    for set in texts {
        let sets: Vec<&str> = set.split(" && ").collect();
        let shown = format!("{:?}", faults(GOOD, &sets));
        assert!(!shown.contains("hunter2"), "{set}: {shown}");
    }
    // Nor are numbers that should have been quoted.
    let shown =
        format!("{:?}", faults(GOOD, &["system.wifi={ssid: x, psk: 12345678, country: DE}"]));
    assert!(shown.contains("put it in quotes") && !shown.contains("12345678"), "{shown}");
}

#[test]
fn another_version_is_named_and_nothing_else() {
    let text = GOOD.replace("version: 1\n", "version: 2\nnew_key: 1\n");
    let shown: Vec<String> = faults(&text, &[]).iter().map(show).collect();
    assert_eq!(shown, ["1:10 version: version 2 is not supported: this bake reads 1"]);
}

#[test]
fn text_that_is_no_profile_is_refused_in_one_line() {
    for (text, expected) in [
        ("", "- : the text is empty"),
        ("- a\n- b\n", "1:1 : a profile is a mapping"),
        ("version: [1\n", "not valid YAML"),
        ("version: 1\n---\nversion: 1\n", "2:1 : a second YAML document"),
        ("version: 1\nversion: 1\n", "2:1 version: the key stands here again, first on line 1"),
        ("a: !foo 1\n", "YAML tags"),
        ("a: &x {b: 1}\n<<: *x\n", "merge keys"),
        ("? [a]\n: 1\n", "a key must be text"),
    ] {
        let found = faults(text, &[]);
        assert!(show(&found[0]).contains(expected), "{text:?}: {found:?}");
    }
}
