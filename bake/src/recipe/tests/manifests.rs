//! Manifests the recipe writes, and those that ship as examples: YAML that names its objects.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::fixtures::{BUILT, release};
use super::plans::{ETCD, plan};
use super::{materials, recipe_for};
use crate::io::digest::Sha256 as Digest;
use crate::recipe::{Action, Pins, Recipe, Source, Traits};
use crate::store::{Payload, ReadAt};

const KUBE_VIP: &str = "cluster.vip={address: 192.168.24.40, provider: kube-vip}";
const METALLB: &str = "cluster.load_balancer={provider: metallb, \
                       addresses: [192.168.24.48/29, 192.168.24.60]}";

fn recipe(node: &str, set: &str) -> Recipe {
    recipe_for(&release("bookworm"), &plan(ETCD, node, &[set]))
}

fn written(recipe: &Recipe, name: &str) -> Option<Vec<Value>> {
    written_text(recipe, name).map(|text| objects(&text))
}

fn written_text(recipe: &Recipe, name: &str) -> Option<String> {
    let path = format!("{}/{name}", nodeconf::paths::K3S_MANIFESTS);
    recipe.edits.iter().find_map(|edit| match &edit.action {
        Action::Write { path: at, source: Source::Bytes(bytes), .. } if *at == path => {
            Some(String::from_utf8(bytes.clone()).unwrap())
        }
        _ => None,
    })
}

/// The objects of a manifest, each with what Kubernetes wants of every object.
pub(super) fn objects(text: &str) -> Vec<Value> {
    let all: Vec<Value> =
        serde_saphyr::from_multiple(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert!(!all.is_empty());
    for object in &all {
        for key in ["/apiVersion", "/kind", "/metadata/name"] {
            assert!(object.pointer(key).is_some_and(Value::is_string), "{key}: {object}");
        }
    }
    all
}

#[test]
fn kube_vip_is_told_its_address_on_servers_alone() {
    let recipe = recipe("node2", KUBE_VIP);
    let objects = written(&recipe, "bake-kube-vip.yaml").unwrap();
    let kinds: Vec<&str> = objects.iter().map(|o| o["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "DaemonSet"]);
    let container = &objects[3]["spec"]["template"]["spec"]["containers"][0];
    let env = |name: &str| {
        let all = container["env"].as_array().unwrap();
        all.iter().find(|e| e["name"] == name).unwrap()["value"].as_str().unwrap().to_owned()
    };
    assert_eq!((env("address"), env("port")), ("192.168.24.40".into(), "6443".into()));
    assert_eq!(env("vip_interface"), "eth0");
    assert!(recipe.notes.iter().any(|note| note.contains("by its tag where no lock pins it")));
    let paths: Vec<&str> = recipe.edits.iter().map(|edit| edit.action.path()).collect();
    assert!(!paths.iter().any(|path| path.contains("haproxy") || path.contains("keepalived")));
    assert_eq!(written(&self::recipe("worker1", KUBE_VIP), "bake-kube-vip.yaml"), None);
}

#[test]
fn metallb_has_its_pools_in_a_file_of_their_own() {
    let recipe = recipe("node1", METALLB);
    let pools = written(&recipe, "bake-metallb-pools.yaml").unwrap();
    let addresses = &pools[0]["spec"]["addresses"];
    let ranges = ["192.168.24.48-192.168.24.55", "192.168.24.60-192.168.24.60"];
    assert_eq!(*addresses, serde_json::json!(ranges));
    assert_eq!(pools[1]["kind"], "L2Advertisement");
    let manifest = format!("{}/bake-metallb.yaml", nodeconf::paths::K3S_MANIFESTS);
    assert!(recipe.edits.iter().any(|edit| edit.action.path() == manifest));
    let config = written_config(&recipe);
    assert!(config["disable"].as_array().unwrap().contains(&"servicelb".into()), "{config}");
    let agent = self::recipe("worker1", METALLB);
    assert!(!agent.edits.iter().any(|edit| edit.action.path().contains("metallb")));
}

/// Bytes, and how often they were read.
#[derive(Debug, Default)]
struct Counted(&'static str, AtomicUsize);

impl ReadAt for Counted {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        self.1.fetch_add(1, Ordering::Relaxed);
        crate::store::BytesSource::new(self.0.as_bytes()).read_at(offset, buf)
    }
}

#[test]
fn a_manifest_is_pinned_once_for_all_servers() {
    let text = "spec: {containers: [{image: a/b:1}, {image: c:2}]}\n";
    let counted = Arc::new(Counted(text, AtomicUsize::new(0)));
    let digest = Digest::of(b"the image");
    let traits = Traits::detect(&release("bookworm")).unwrap();
    let mut materials = materials(&plan(ETCD, "node1", &[METALLB]));
    materials.metallb.as_mut().unwrap().payload = Payload(counted.clone());
    materials.pins = Pins::new([("a/b:1".to_owned(), digest)].into());
    let pinned = text.replace("a/b:1", &format!("a/b:1@sha256:{digest}"));
    for node in ["node1", "node2", "node3"] {
        let plan = plan(ETCD, node, &[METALLB]);
        let recipe = super::recipe(&traits, &plan, &materials, BUILT).unwrap();
        let path = crate::recipe::metallb_path();
        let edit = recipe.edits.iter().find(|edit| edit.action.path() == path).unwrap();
        let Action::Write { source: Source::Material(material), .. } = &edit.action else {
            panic!("{edit}");
        };
        let mut bytes = vec![0; pinned.len()];
        material.payload.0.read_at(0, &mut bytes).unwrap();
        assert_eq!(bytes, pinned.as_bytes(), "{node}");
        assert_eq!(material.sha256, Digest::of(&bytes).to_string());
        assert_eq!(*materials.pins.loose(edit).unwrap(), ["c:2".to_owned()]);
    }
    assert_eq!(counted.1.load(Ordering::Relaxed), 1);
}

fn written_config(recipe: &Recipe) -> Value {
    let config = recipe.edits.iter().find_map(|edit| match &edit.action {
        Action::Write { path, source: Source::Bytes(bytes), .. }
            if path == nodeconf::paths::K3S_CONFIG =>
        {
            Some(bytes.clone())
        }
        _ => None,
    });
    serde_saphyr::from_str(std::str::from_utf8(&config.unwrap()).unwrap()).unwrap()
}

/// What a selector of `object` asks for must be on the pods it makes.
fn selects_its_own(object: &Value) {
    let labels = &object["spec"]["template"]["metadata"]["labels"];
    let wanted = object["spec"]["selector"]["matchLabels"].as_object().unwrap();
    assert!(wanted.iter().all(|(key, value)| labels[key] == *value), "{object}");
}

#[test]
fn the_examples_are_sound_and_fit_together() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles/manifests");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        found.extend(objects(&std::fs::read_to_string(entry.unwrap().path()).unwrap()));
    }
    let named = |kind: &str, name: &str| {
        let mut all = found.iter().filter(|o| o["kind"] == kind && o["metadata"]["name"] == name);
        all.next().unwrap_or_else(|| panic!("no {kind} {name}")).clone()
    };
    for object in found.iter().filter(|o| o.pointer("/spec/template").is_some()) {
        selects_its_own(object);
    }
    let web = named("Deployment", "web");
    assert_eq!(web["spec"]["replicas"], 2);
    let spread = &web["spec"]["template"]["spec"]["topologySpreadConstraints"][0];
    assert_eq!(spread["topologyKey"], "kubernetes.io/hostname");
    let target = &named("HorizontalPodAutoscaler", "web")["spec"]["scaleTargetRef"];
    assert_eq!((&target["kind"], &target["name"]), (&web["kind"], &web["metadata"]["name"]));
    for (service, of) in [("web", &web), ("web-every-node", &named("DaemonSet", "web-every-node"))]
    {
        let service = named("Service", service);
        assert_eq!(service["spec"]["type"], "LoadBalancer");
        let labels = &of["spec"]["template"]["metadata"]["labels"];
        let selector = service["spec"]["selector"].as_object().unwrap();
        assert!(selector.iter().all(|(key, value)| labels[key] == *value));
        let port = &service["spec"]["ports"][0]["targetPort"];
        assert_eq!(*port, of["spec"]["template"]["spec"]["containers"][0]["ports"][0]["name"]);
    }
}

/// Releases of Kubernetes whose K3s is in the catalogue or in a shipped profile.
const KUBERNETES: [&str; 2] = ["1.36", "1.37"];

/// Kubernetes's own schemas, as the package kubernetes-validate has them.
fn fits_the_schemas(file: &Path) -> Result<(), String> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let home = || PathBuf::from(set("HOME").unwrap()).join(".cache");
    let cache = || set("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("bake-ci");
    let program = set("BAKE_CI_CACHE").map_or_else(cache, PathBuf::from);
    let program = program.join("kube/bin/kubernetes-validate");
    for version in KUBERNETES {
        let mut validate = Command::new(&program);
        let out =
            validate.args(["--strict", "-k", version]).arg(file).output().unwrap_or_else(|e| {
                panic!("{}: {e}; ci/install-deps installs it", program.display())
            });
        if !out.status.success() {
            let said = [out.stdout, out.stderr].concat();
            return Err(format!("{version}: {}", String::from_utf8_lossy(&said)));
        }
    }
    Ok(())
}

#[test]
fn kubernetes_takes_the_examples_and_kube_vip() {
    let folder = tempfile::tempdir().unwrap();
    let kube_vip = folder.path().join("kube-vip.yaml");
    let text = written_text(&recipe("node2", KUBE_VIP), "bake-kube-vip.yaml").unwrap();
    std::fs::write(&kube_vip, &text).unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles/manifests");
    let examples = std::fs::read_dir(examples).unwrap().map(|entry| entry.unwrap().path());
    for file in examples.chain([kube_vip.clone()]) {
        fits_the_schemas(&file).unwrap_or_else(|said| panic!("{}: {said}", file.display()));
    }
    // It would be said.
    let wrong = text.replace("hostNetwork: true", "hostNetwrok: true");
    assert_ne!(wrong, text);
    std::fs::write(&kube_vip, wrong).unwrap();
    let said = fits_the_schemas(&kube_vip).unwrap_err();
    assert!(said.contains("hostNetwrok"), "{said}");
}

/// What its documentation names for the control plane's address by ARP, with leader election: the
/// variables, and what its role must allow from 1.2.1 on.
#[test]
fn kube_vip_is_told_what_its_documentation_names() {
    let objects = written(&recipe("node2", KUBE_VIP), "bake-kube-vip.yaml").unwrap();
    let pod = &objects[3]["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let env = container["env"].as_array().unwrap();
    let mut names: Vec<&str> = env.iter().map(|one| one["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    let documented = [
        "address",
        "cp_enable",
        "cp_namespace",
        "port",
        "vip_arp",
        "vip_interface",
        "vip_leaderelection",
        "vip_leaseduration",
        "vip_nodename",
        "vip_renewdeadline",
        "vip_retryperiod",
        "vip_subnet",
    ];
    assert_eq!(names, documented);
    // Kubernetes takes texts only.
    assert!(env.iter().all(|one| one["value"].is_string() || one["valueFrom"].is_object()));
    assert_eq!(container["args"], serde_json::json!(["manager"]));
    assert_eq!(pod["hostNetwork"], true);
    let added = &container["securityContext"]["capabilities"]["add"];
    assert_eq!(*added, serde_json::json!(["NET_ADMIN", "NET_RAW"]));
    let allows = |group: &str, resource: &str, verbs: &[&str]| {
        let rules = objects[1]["rules"].as_array().unwrap();
        let has = |rule: &Value, key: &str, what: &str| {
            rule[key].as_array().unwrap().iter().any(|one| one == what)
        };
        rules.iter().any(|rule| {
            let named = has(rule, "apiGroups", group) && has(rule, "resources", resource);
            named && verbs.iter().all(|verb| has(rule, "verbs", verb))
        })
    };
    for (group, resource, verbs) in [
        ("coordination.k8s.io", "leases", &["get", "list", "watch", "create", "update"][..]),
        ("", "nodes", &["list", "get", "watch"]),
        ("", "services", &["list", "get", "watch", "update"]),
        ("discovery.k8s.io", "endpointslices", &["list", "get", "watch"]),
    ] {
        assert!(allows(group, resource, verbs), "{group} {resource} {verbs:?}");
    }
    // The role is the one that is bound, to the account that the pods use.
    let (account, role, binding) = (&objects[0], &objects[1], &objects[2]);
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    assert_eq!(binding["subjects"][0]["name"], account["metadata"]["name"]);
    assert_eq!(binding["subjects"][0]["namespace"], objects[3]["metadata"]["namespace"]);
    assert_eq!(pod["serviceAccountName"], account["metadata"]["name"]);
}

/// No package has MetalLB's schemas: these are the keys that its reference gives the two.
#[test]
fn the_pools_have_the_keys_of_metallbs_reference() {
    let pools = written(&recipe("node1", METALLB), "bake-metallb-pools.yaml").unwrap();
    for (object, kind, keys) in [
        (&pools[0], "IPAddressPool", &["addresses"][..]),
        (&pools[1], "L2Advertisement", &["ipAddressPools"]),
    ] {
        assert_eq!(
            (&object["apiVersion"], &object["kind"]),
            (&"metallb.io/v1beta1".into(), &kind.into())
        );
        assert_eq!(object["metadata"]["namespace"], "metallb-system");
        let found: Vec<&String> = object["spec"].as_object().unwrap().keys().collect();
        assert_eq!(found, keys);
    }
    assert_eq!(pools[1]["spec"]["ipAddressPools"][0], pools[0]["metadata"]["name"]);
}
