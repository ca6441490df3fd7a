use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Operating system settings.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct System {
    /// Which iptables K3s finds.
    pub iptables: Iptables,
    /// What becomes of swap space.
    pub swap: Swap,
    /// Time zone, such as `Europe/Berlin`.
    pub timezone: String,
    /// Locale, such as `en_GB.UTF-8`; without it the image's stays.
    pub locale: Option<String>,
    /// People who may log in.
    pub users: Vec<User>,
    /// Wireless network to join.
    pub wifi: Option<Wifi>,
    /// Whether the nodes accept SSH. Without this key: where a user could log in.
    pub ssh: Option<bool>,
    /// Debian packages to install.
    pub packages: Vec<String>,
    /// How a node learns its name, its address and its users.
    pub identity: Identity,
}

impl Default for System {
    fn default() -> Self {
        Self {
            iptables: Iptables::Legacy,
            swap: Swap::Off,
            timezone: "UTC".into(),
            locale: None,
            users: Vec::new(),
            wifi: None,
            ssh: None,
            packages: Vec::new(),
            identity: Identity::Native,
        }
    }
}

/// How a node learns who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Identity {
    /// It is in the image's own files.
    Native,
    /// cloud-init reads it from the boot partition (`user-data`, `network-config`, `meta-data`),
    /// where a person can change it before the first boot. Secrets stay in the image.
    CloudInit,
}

/// Which iptables K3s finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Iptables {
    /// The system's in legacy mode; K3s's own where the image has none.
    Legacy,
    /// As the image has it.
    Auto,
    /// K3s's own in any case.
    Bundled,
}

/// What becomes of swap space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", try_from = "SwapWord")]
pub enum Swap {
    /// No swap.
    Off,
    /// As the image has it.
    Keep,
}

/// `off` is text in YAML 1.2 and `false` in YAML 1.1, which many editors still read.
#[derive(Deserialize)]
#[serde(untagged)]
enum SwapWord {
    Yaml11(bool),
    Word(SwapName),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SwapName {
    Off,
    Keep,
}

impl TryFrom<SwapWord> for Swap {
    type Error = &'static str;

    fn try_from(word: SwapWord) -> Result<Self, Self::Error> {
        match word {
            SwapWord::Yaml11(false) | SwapWord::Word(SwapName::Off) => Ok(Self::Off),
            SwapWord::Word(SwapName::Keep) => Ok(Self::Keep),
            SwapWord::Yaml11(true) => Err("swap is `off` or `keep`"),
        }
    }
}

impl JsonSchema for Swap {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Swap".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "What becomes of swap space.",
            "oneOf": [
                {
                    "type": "string",
                    "const": "off",
                    "description": "No swap: kubelet's memory limits hold, and the card is spared."
                },
                {
                    "type": "string",
                    "const": "keep",
                    "description": "As the image has it."
                },
                {
                    "type": "boolean",
                    "const": false,
                    "description": "What `off` is to a reader of YAML 1.1."
                }
            ]
        })
    }
}

/// Someone who may log in.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Hash of the password as `openssl passwd -6` prints it; without it the password is locked.
    #[serde(default)]
    pub password_hash: Option<String>,
    /// Public keys, as in `authorized_keys`.
    #[serde(default)]
    pub ssh_keys: Vec<String>,
    /// Whether sudo asks for no password.
    #[serde(default)]
    pub sudo: bool,
    /// Login shell.
    #[serde(default = "bash")]
    pub shell: String,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A wireless network.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wifi {
    /// Name of the network.
    pub ssid: String,
    /// Passphrase, or key of 64 hexadecimal digits; without it the network is open.
    #[serde(default)]
    pub psk: Option<String>,
    /// Country whose radio rules apply, such as `DE`.
    pub country: String,
    /// Whether the network hides its name.
    #[serde(default)]
    pub hidden: bool,
}

impl std::fmt::Debug for Wifi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wifi").field("ssid", &self.ssid).finish_non_exhaustive()
    }
}

/// The network the nodes are on.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// Interface the nodes' addresses are on.
    pub interface: String,
    /// Length of the network's prefix, 1 to 30.
    #[schemars(range(min = 1, max = 30))]
    pub prefix: u8,
    /// Default route of nodes with a fixed address.
    pub gateway: Option<String>,
    /// Name servers of nodes with a fixed address.
    pub dns: Vec<String>,
    /// Time servers: names or addresses. Without them the image's own.
    pub ntp: Vec<String>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            interface: "eth0".into(),
            prefix: 24,
            gateway: None,
            dns: Vec::new(),
            ntp: Vec::new(),
        }
    }
}

fn bash() -> String {
    "/bin/bash".into()
}
