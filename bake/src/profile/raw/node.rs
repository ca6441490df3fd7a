use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One node.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Host name and name in Kubernetes: letters a-z, digits and `-`. A range such as
    /// `rack1-{01..40}` stands for as many nodes as it counts, which differ in nothing but name
    /// and address.
    pub name: String,
    /// What the node does.
    #[serde(default)]
    pub role: Role,
    /// Fixed IPv4 address, or `dhcp`. Servers that others must find need a fixed one. For a range
    /// of nodes a range of addresses, such as `192.168.24.100-192.168.24.199`, given out in order.
    #[serde(default = "dhcp")]
    pub address: String,
    /// Network interface, where it differs from `network.interface`.
    #[serde(default)]
    pub interface: Option<String>,
    /// Kubernetes labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Kubernetes taints, `key=value:NoSchedule`, also with `PreferNoSchedule` and `NoExecute`.
    #[serde(default)]
    pub taints: Vec<String>,
}

/// What a node does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs the control plane, and work.
    #[default]
    Server,
    /// Runs work.
    Agent,
    /// Runs the shared PostgreSQL database and no K3s (topology `external-datastore`).
    Database,
}

/// A file for every node.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Absolute path on the node.
    pub path: String,
    /// Host file to copy, relative to the profile. Either this or `content`.
    #[serde(default)]
    pub source: Option<String>,
    /// The text itself. Either this or `source`.
    #[serde(default)]
    pub content: Option<String>,
    /// Permissions in octal digits.
    #[serde(default = "Octal::plain")]
    pub mode: Octal,
    /// Owner, as a number.
    #[serde(default)]
    #[schemars(range(max = 4_294_967_294_u32))]
    pub uid: u32,
    /// Group, as a number.
    #[serde(default)]
    #[schemars(range(max = 4_294_967_294_u32))]
    pub gid: u32,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The content may be a secret of the user's.
        f.debug_struct("File").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Octal digits, quoted or not: `0644` and `"0644"` mean the same, whatever YAML thinks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Octal(pub String);

impl Octal {
    fn plain() -> Self {
        Self("0644".into())
    }
}

impl JsonSchema for Octal {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Octal".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Permissions in octal digits, such as `0644`.",
            "type": ["string", "integer"],
            "format": "octal"
        })
    }
}

fn dhcp() -> String {
    "dhcp".into()
}
