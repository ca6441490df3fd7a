//! Cluster profiles: YAML text → checked profile → one [`NodePlan`] for each node.
//!
//! - [`Search::find`] finds a profile's text, [`Profile::read`] checks it and everything it
//!   names, [`Profile::plan`] resolves one node of it.
//! - [`ClusterSecrets`] is everything random about a cluster; [`SecretsFile`] keeps it.
//! - [`schema`] is the JSON Schema for editors, from the same types that the parser uses.
//!
//! Inside: `tree` (YAML with positions) → `set` (`--set`) → `shape` (structure, by the schema of
//! `raw`) → `check` (meaning) → `host` (files) → `resolve` and `arguments` (plans).

mod arguments;
mod check;
mod digest;
mod faults;
mod find;
mod host;
mod k3s;
mod path;
mod placement;
mod plan;
mod raw;
mod redact;
mod resolve;
mod schema;
mod secrets;
mod set;
mod shape;
mod tree;

use std::path::{Path, PathBuf};

use crate::error::{Error, Fault, Result};
use check::Checked;
use faults::{Faults, did_you_mean, one_of};
use path::Path as Key;
use tree::{Kind, Scalar, Tree, Value};

pub use arguments::DATABASE;
pub use find::{SHIPPED, Search, Source};
pub use k3s::K3sConfig;
pub use plan::{
    BaseFacts, FileContent, FilePlan, HostFile, ImageSource, IptablesWish, K3sPlan, LoadBalancer,
    NetworkPlan, NodePlan, PkiDirectory, PkiFile, PkiPlan, RootSize, SystemPlan, UserPlan,
    WifiPlan,
};
pub use schema::schema;
pub use secrets::{
    Authorities, Claim, ClusterSecrets, DatabaseIdentity, K3sAuthority, Member, Next, NodeRecord,
    Origin, Pki, Rotated, SecretsFile,
};

/// Version of the profile format that this build reads.
pub const VERSION: i64 = 1;

/// A profile without faults, and the host files it names.
#[derive(Debug, Clone)]
pub struct Profile {
    name: String,
    file: Option<PathBuf>,
    folder: PathBuf,
    checked: Checked,
    manifests: Vec<HostFile>,
    files: Vec<FilePlan>,
    newest_input: u64,
    warnings: Vec<Fault>,
}

impl Profile {
    /// Reads a profile as changed by `sets` (`key=value` each).
    ///
    /// # Errors
    /// [`Error::Invalid`] with every fault of the profile and of the options.
    pub fn read(source: &Source, sets: &[String]) -> Result<Self> {
        let folder = source.folder();
        let read = Reading::new(&source.shown(), &source.text, sets)?;
        let mut faults = Faults::new(&read.tree, &read.sets);
        let checked = read.check(&mut faults);
        let (manifests, files) = match &checked {
            Some(checked) => (
                host::manifests(checked, &folder, &mut faults),
                host::files(checked, &folder, &mut faults),
            ),
            None => Default::default(),
        };
        let warnings = faults.finish(&source.shown())?;
        let checked = checked.ok_or_else(|| mismatch(&source.shown()))?;
        let sources = files.iter().filter_map(|f| match &f.content {
            FileContent::Host(file) => Some(file.mtime),
            FileContent::Inline(_) => None,
        });
        let newest = manifests.iter().map(|m| m.mtime).chain(sources).max();
        Ok(Self {
            name: source.name.clone(),
            file: source.file.clone(),
            folder,
            newest_input: newest.unwrap_or(0),
            checked,
            manifests,
            files,
            warnings,
        })
    }

    /// Its name: the stem of its file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name of its cluster.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.checked.raw.cluster.name
    }

    /// What may well be meant but is worth a look.
    #[must_use]
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }

    /// Names of its nodes, in its order.
    #[must_use]
    pub fn nodes(&self) -> Vec<&str> {
        self.checked.nodes.iter().map(|node| node.name.as_str()).collect()
    }

    /// Its nodes, as far as the cluster's secrets depend on them.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        let member = |node: &check::Node| Member {
            name: node.name.clone(),
            role: resolve::role(node.role),
            address: node.address,
        };
        self.checked.nodes.iter().map(member).collect()
    }

    /// The cluster as every one of its nodes knows it.
    #[must_use]
    pub fn cluster_config(&self, secrets: &ClusterSecrets) -> nodeconf::Cluster {
        resolve::cluster(&self.checked, secrets)
    }

    /// Where the cluster's secrets are kept: `explicit`, else beside the profile, else in the
    /// current folder for a profile of ours.
    #[must_use]
    pub fn secrets_path(&self, explicit: Option<&Path>) -> PathBuf {
        match (explicit, &self.file) {
            (Some(path), _) => path.to_owned(),
            (None, Some(file)) => file.with_extension("secrets.json"),
            (None, None) => PathBuf::from(format!("{}.secrets.json", self.name)),
        }
    }

    /// The node that is asked for: by `name`, else by the stem of the output file where that
    /// names one, else the only one there is.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown name, [`Error::Usage`] where none is meant; both list
    /// the nodes.
    pub fn select(&self, name: Option<&str>, out: Option<&Path>) -> Result<&str> {
        let nodes = self.nodes();
        let list = || one_of(nodes.iter().copied());
        if let Some(name) = name {
            let found = nodes.iter().find(|node| **node == name).copied();
            return found.ok_or_else(|| {
                let hint = did_you_mean(name, nodes.iter().copied())
                    .unwrap_or_else(|| format!("profile {} has {}", self.name, list()));
                Error::NotFound { what: "node", name: name.into() }.hint(hint)
            });
        }
        let stem = out.and_then(Path::file_name).and_then(|n| n.to_str());
        let stem = stem.map(|name| name.split('.').next().unwrap_or(name));
        if let Some(node) = nodes.iter().find(|node| Some(**node) == stem) {
            return Ok(node);
        }
        if let [only] = nodes.as_slice() {
            return Ok(only);
        }
        let asked = format!("which node of {}? it has {}", self.name, list());
        Err(Error::Usage(asked).hint("use `--node NAME`, or call the image NAME.img"))
    }

    /// The plan of a node.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown node.
    pub fn plan(&self, node: &str, secrets: &ClusterSecrets) -> Result<NodePlan> {
        let index = self.checked.nodes.iter().position(|n| n.name == node);
        let index = index.ok_or_else(|| Error::NotFound { what: "node", name: node.into() })?;
        Ok(resolve::plan(self, index, secrets))
    }
}

/// Checks the text of a profile without looking at the files it names. Returns the warnings.
///
/// # Errors
/// [`Error::Invalid`] with every fault.
pub fn parse(text: &str) -> Result<Vec<Fault>> {
    let read = Reading::new("profile", text, &[])?;
    let mut faults = Faults::new(&read.tree, &read.sets);
    let checked = read.check(&mut faults);
    let warnings = faults.finish("profile")?;
    checked.map(|_| warnings).ok_or_else(|| mismatch("profile"))
}

/// A text that is YAML of our version, with the options applied.
struct Reading {
    tree: Tree,
    sets: Vec<(Key, String)>,
}

impl Reading {
    fn new(what: &str, text: &str, sets: &[String]) -> Result<Self> {
        let invalid = |faults| Error::Invalid { what: what.to_owned(), faults };
        let mut tree = Tree::parse(text).map_err(invalid)?;
        if !matches!(tree.value, Value::Map(_)) {
            return Err(invalid(vec![Fault {
                key: String::new(),
                at: tree.at,
                message: "a profile is a mapping of keys to values".into(),
                help: Some("`bake profile new` writes one to start from".into()),
            }]));
        }
        let sets = set::apply(&mut tree, sets)?;
        let version = tree.get("version");
        if let Some(Tree { at, value: Value::Scalar(Scalar { kind: Kind::Integer(found), .. }) }) =
            version
            && *found != VERSION
        {
            return Err(invalid(vec![Fault {
                key: "version".into(),
                at: *at,
                message: format!("version {found} is not supported: this bake reads {VERSION}"),
                help: None,
            }]));
        }
        Ok(Self { tree, sets })
    }

    /// `None` where the structure is too faulty to look at the meaning.
    fn check(&self, faults: &mut Faults<'_>) -> Option<Checked> {
        let json = shape::check(&self.tree, schema(), faults)?;
        let raw = serde_json::from_value(json).ok()?;
        faults.structure_is_known();
        Some(check::check(raw, faults))
    }
}

/// The structural check passed what the types refuse: only a fault of ours can do that.
fn mismatch(what: &str) -> Error {
    Error::Corrupt {
        what: what.to_owned(),
        reason:
            "its structure fits the schema but not the types of bake; please report this profile"
                .into(),
    }
}
