//! Giving a running cluster other secrets: which files of which board change, and in which order
//! people bring them there.

use std::fs;
use std::path::{Path, PathBuf};

use nodeconf::{Role, Secret, Topology, paths};
use serde::Serialize;

use crate::error::{Error, IoContext, Result};
use crate::io::private::{self, Existing};
use crate::profile::{ClusterSecrets, DATABASE, Member, NodePlan, Profile, Rotated};
use crate::recipe;

/// The statement that gives PostgreSQL's role its new password.
const STATEMENT: &str = "rotate.sql";

/// A rotation that is under way.
#[derive(Debug, Serialize)]
pub struct Rotation {
    /// What is replaced.
    pub what: Rotated,
    /// What people do, in this order.
    pub steps: Vec<String>,
    /// The files that change, by node and path inside it.
    pub files: Vec<Change>,
}

/// A file of one node.
#[derive(Debug, Serialize)]
pub struct Change {
    /// The node.
    pub node: String,
    /// Where it goes there, with a leading `/`.
    pub path: String,
    #[serde(skip)]
    content: Secret,
}

impl Rotation {
    /// What the rotation under way means for the boards of `profile`.
    ///
    /// # Errors
    /// [`Error::NotFound`] where none is under way.
    pub fn of(profile: &Profile, secrets: &ClusterSecrets, folder: &Path) -> Result<Self> {
        let none = || Error::NotFound { what: "rotation", name: "none is under way".into() };
        let what = secrets.next.as_ref().ok_or_else(none)?.what();
        let after = secrets.rotated().ok_or_else(none)?;
        let mut files = Vec::new();
        for member in profile.members() {
            let (old, new) =
                (profile.plan(&member.name, secrets)?, profile.plan(&member.name, &after)?);
            files.extend(changes(&old, &new));
            if what == Rotated::Database && member.role == Role::Database {
                files.push(statement(&member, &after));
            }
        }
        let steps = steps(profile, secrets, what, folder)?;
        Ok(Self { what, steps, files })
    }

    /// Writes the files below `folder`, one folder a node, for their owner alone.
    ///
    /// # Errors
    /// [`Error::Refused`] where the folder exists, [`Error::Io`].
    pub fn write(&self, folder: &Path) -> Result<()> {
        if folder.exists() {
            let action = format!("write the new secrets to {}", folder.display());
            return Err(Error::Refused { action, reason: "it exists".into() }
                .hint("name another folder, or remove this one"));
        }
        for change in &self.files {
            let path = folder.join(&change.node).join(change.path.trim_start_matches('/'));
            private_folders(&path)?;
            private::write(&path, change.content.expose().as_bytes(), Existing::Keep)?;
        }
        Ok(())
    }
}

fn private_folders(file: &Path) -> Result<()> {
    let folder = private::folder(file);
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).at("creating", folder)
}

/// Files of K3s that differ between the plans of a node before and after.
fn changes(old: &NodePlan, new: &NodePlan) -> Vec<Change> {
    let (Some(old), Some(new), name) = (&old.k3s, &new.k3s, &old.node.name) else {
        return Vec::new();
    };
    let change = |path: &str, content| Change { node: name.clone(), path: path.into(), content };
    let tokens =
        new.secret_files.iter().filter(|(path, new)| old.secret_files.get(*path) != Some(new));
    let mut all: Vec<Change> = tokens
        .map(|(path, text)| change(path, Secret::new(format!("{}\n", text.expose()))))
        .collect();
    if old.env != new.env {
        let (path, content) = recipe::environment(new);
        all.push(change(&path, content));
    }
    all
}

fn statement(member: &Member, after: &ClusterSecrets) -> Change {
    // Hexadecimal digits need no escape.
    let password = after.database_password.expose();
    let text = format!("ALTER ROLE {} PASSWORD '{password}';\n", DATABASE.1);
    Change { node: member.name.clone(), path: STATEMENT.into(), content: Secret::new(text) }
}

fn steps(
    profile: &Profile,
    secrets: &ClusterSecrets,
    what: Rotated,
    folder: &Path,
) -> Result<Vec<String>> {
    let members = profile.members();
    let of = |role| members.iter().filter(move |member| member.role == role);
    let copy = |member: &Member| {
        let from: PathBuf = folder.join(&member.name);
        format!(
            "copy what is below {} to / of {} (owner root, mode 0600)",
            from.display(),
            member.name
        )
    };
    let mut steps = Vec::new();
    match what {
        Rotated::Tokens => {
            let first = of(Role::Server).next();
            steps.extend(first.map(|first| re_encrypt(profile, secrets, first)));
        }
        Rotated::Database => {
            let database = of(Role::Database).next().ok_or_else(|| {
                let what = "the profile has no database node: the password of another database is in the profile";
                Error::Usage(what.into())
            })?;
            steps.push(format!(
                "copy {} to {}, and there: sudo -u postgres psql < {STATEMENT}; shred -u {STATEMENT}. \
                 Servers that are connected stay so",
                folder.join(&database.name).join(STATEMENT).display(),
                database.name
            ));
        }
    }
    for server in of(Role::Server) {
        steps.push(format!(
            "{}, and there: systemctl daemon-reload; systemctl restart k3s. Go on when `bake status` says that it is Ready",
            copy(server)
        ));
    }
    if what == Rotated::Tokens {
        let agents = of(Role::Agent);
        steps.extend(
            agents.map(|agent| format!("{}, and there: systemctl restart k3s-agent", copy(agent))),
        );
    }
    steps.push(format!(
        "bake secrets rotate --finish, with the same profile; then remove {} for good (shred)",
        folder.display()
    ));
    steps.push(
        "bake the cards of nodes anew where they wait in a drawer: they have the old ones".into(),
    );
    Ok(steps)
}

/// K3s encrypts what servers share with the server token, so it has to be told of a new one by
/// a server that has the old one (K3s docs, `k3s token`).
fn re_encrypt(profile: &Profile, secrets: &ClusterSecrets, first: &Member) -> String {
    let external = profile.cluster_config(secrets).topology == Topology::ExternalDatastore;
    let whose = if external { "the database" } else { "the cluster" };
    format!(
        "on {0}, as root, with its new {1} at hand as ./new: \
         k3s token rotate --token \"$(cat {1})\" --new-token \"$(sed 's/.*://' new)\". \
         {whose} is encrypted with it now; snapshots made before still need the old one",
        first.name,
        paths::K3S_TOKEN,
    )
}
