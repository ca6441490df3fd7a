//! K3s: binary, unit, configuration, and what it loads by itself.

use nodeconf::{Role, Secret, Topology, paths};

use super::Materials;
use super::edit::{Access, Source, Topic};
use super::iptables::Arranged;
use super::steps::Steps;
use crate::error::{Error, Result};
use crate::profile::{K3sPlan, NodePlan};

/// Commands the binary answers to by name (K3s install.sh).
const COMMANDS: [&str; 3] = ["kubectl", "crictl", "ctr"];

pub(super) fn edits(
    plan: &NodePlan,
    k3s: &K3sPlan,
    materials: &Materials,
    iptables: Arranged,
    steps: &mut Steps,
) -> Result<()> {
    steps.about(Topic::K3s).shared();
    let binary = materials.k3s.clone().ok_or_else(|| missing("its binary"))?;
    steps.put(paths::K3S, Access::root(0o755), Source::Material(binary));
    for command in COMMANDS {
        steps.link(format!("/usr/local/bin/{command}"), "k3s");
    }
    steps.write(format!("{}/{}", paths::UNIT_DIR, k3s.unit), 0o644, unit(plan, k3s));
    // A first boot enables whatever no preset forbids; firstboot decides when K3s starts.
    let presets =
        format!("disable {}\ndisable {}\n", paths::K3S_SERVER_UNIT, paths::K3S_AGENT_UNIT);
    steps.write("/etc/systemd/system-preset/00-bake-k3s.preset", 0o644, presets);
    kernel_settings(steps);
    if let Some(bundle) = &materials.airgap {
        let path = format!("{}/{}", paths::K3S_IMAGES, bundle.file_name);
        steps.put(path, Access::root(0o644), Source::Material(bundle.material.clone()));
    } else if k3s.airgap {
        return Err(missing("its image bundle"));
    }
    steps.own();
    configuration(k3s, iptables, steps);
    // A manifest may well hold a secret.
    for manifest in &plan.manifests {
        let path = format!("{}/{}", paths::K3S_MANIFESTS, manifest.name);
        let material = materials.host_file(&manifest.path)?;
        steps.put(path, Access::root(0o600), Source::Material(material));
    }
    Ok(())
}

fn missing(what: &str) -> Error {
    Error::NotFound { what: "K3s", name: what.into() }
}

fn configuration(k3s: &K3sPlan, iptables: Arranged, steps: &mut Steps) {
    let mut config = k3s.config.clone();
    if iptables.prefer_bundled && !config.0.contains_key("prefer-bundled-bin") {
        config.set("prefer-bundled-bin", true);
    }
    steps.directory("/etc/rancher/k3s", Access::root(0o755));
    match config.holds_secrets() {
        true => steps.secret(paths::K3S_CONFIG, config.to_yaml()),
        false => steps.write(paths::K3S_CONFIG, 0o600, config.to_yaml()),
    }
    for (path, secret) in &k3s.secret_files {
        steps.secret(*path, format!("{}\n", secret.expose()));
    }
    let (path, lines) = environment(k3s);
    if !k3s.env.is_empty() {
        steps.secret(path, lines.expose());
    }
}

/// The file that the unit takes its environment from, and its content.
#[must_use]
pub fn environment(k3s: &K3sPlan) -> (String, Secret) {
    let path = format!("{}/{}.env", paths::UNIT_DIR, k3s.unit);
    let line = |(key, value): (&String, &Secret)| format!("{key}=\"{}\"\n", escape(value.expose()));
    (path, Secret::new(k3s.env.iter().map(line).collect::<String>()))
}

/// Inside double quotes of an EnvironmentFile (systemd.exec(5)).
fn escape(value: &str) -> String {
    value.chars().fold(String::new(), |mut text, c| {
        if matches!(c, '"' | '\\' | '$' | '`') {
            text.push('\\');
        }
        text.push(c);
        text
    })
}

/// The first four are what the kubelet's `protect-kernel-defaults` asks for; the watches are what
/// a node full of pods runs out of first.
fn kernel_settings(steps: &mut Steps) {
    steps.write("/etc/modules-load.d/bake-k3s.conf", 0o644, "overlay\nbr_netfilter\n");
    let settings = "vm.panic_on_oom = 0\nvm.overcommit_memory = 1\nkernel.panic = 10\n\
                    kernel.panic_on_oops = 1\nnet.ipv4.ip_forward = 1\n\
                    fs.inotify.max_user_instances = 512\nfs.inotify.max_user_watches = 524288\n";
    steps.write("/etc/sysctl.d/90-bake-k3s.conf", 0o644, settings);
}

/// The unit of K3s's install.sh, waiting for the clock as well: certificates of a board without
/// a clock are not valid yet. Where servers agree on who founds, it does not start before they did:
/// without a word of how to come to its cluster, K3s founds one of its own, on SQLite.
fn unit(plan: &NodePlan, k3s: &K3sPlan) -> String {
    let (name, command) = (k3s.unit, k3s.command);
    let kind = if command == "server" { "notify" } else { "exec" };
    let agrees = plan.node.role == Role::Server && plan.cluster.topology == Topology::EmbeddedEtcd;
    let condition = match agrees {
        true => format!("ConditionPathExists={}\n", paths::K3S_DECISION),
        false => String::new(),
    };
    format!(
        "[Unit]\n\
         Description=Lightweight Kubernetes ({command})\n\
         Documentation=https://k3s.io\n\
         Wants=network-online.target time-sync.target\n\
         After=network-online.target time-sync.target\n\
         {condition}\n\
         [Service]\n\
         Type={kind}\n\
         EnvironmentFile=-/etc/default/%N\n\
         EnvironmentFile=-/etc/sysconfig/%N\n\
         EnvironmentFile=-{unit_dir}/{name}.env\n\
         KillMode=process\n\
         Delegate=yes\n\
         User=root\n\
         LimitNOFILE=1048576\n\
         LimitNPROC=infinity\n\
         LimitCORE=infinity\n\
         TasksMax=infinity\n\
         TimeoutStartSec=0\n\
         Restart=always\n\
         RestartSec=5s\n\
         ExecStartPre=-/sbin/modprobe br_netfilter\n\
         ExecStartPre=-/sbin/modprobe overlay\n\
         ExecStart={binary} {command}\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        unit_dir = paths::UNIT_DIR,
        binary = paths::K3S,
    )
}
