//! Giving a running cluster other secrets: which files of which board change, and in which order
//! people bring them there.

mod script;

use std::fs;
use std::path::Path;

use nodeconf::{Role, Secret};
use serde::Serialize;

use crate::error::{Error, IoContext, Result};
use crate::io::private::{self, Existing};
use crate::profile::{ClusterSecrets, DATABASE, Member, NodePlan, Profile, Rotated};
use crate::recipe;

/// The statement that gives PostgreSQL's role its new password.
const STATEMENT: &str = "rotate.sql";
/// The script beside the files of a node.
const SCRIPT: &str = "apply.sh";

/// A rotation that is under way.
#[derive(Debug, Serialize)]
pub struct Rotation {
    /// What is replaced.
    pub what: Rotated,
    /// What people do, in this order.
    pub steps: Vec<Step>,
    /// The files that change, by node and path inside it.
    pub files: Vec<Change>,
    /// By node.
    #[serde(skip)]
    scripts: Vec<(String, String)>,
}

/// Something a person does.
#[derive(Debug, Serialize)]
pub struct Step {
    /// In words.
    pub text: String,
    /// Where a script is run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// How, in the node's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

/// A file of one node.
#[derive(Debug, Serialize)]
pub struct Change {
    /// The node.
    pub node: String,
    /// Where it goes there, with a leading `/`; without one it stays in the folder.
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
        let members = profile.members();
        let leader = members.iter().find(|m| m.role == Role::Server);
        let leader = leader.map(|m| m.name.clone()).unwrap_or_default();
        let changed = |m: &&Member| files.iter().any(|change| change.node == m.name);
        let script = |m: &Member| script::of(profile.cluster(), m, what, &leader);
        let scripts = members.iter().filter(changed).map(|m| (m.name.clone(), script(m))).collect();
        let steps = steps(&members, what, folder)?;
        Ok(Self { what, steps, files, scripts })
    }

    /// Writes the files below `folder`, one folder a node with a script that brings them to their
    /// places there, for their owner alone.
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
        for (node, script) in &self.scripts {
            private::write(&folder.join(node).join(SCRIPT), script.as_bytes(), Existing::Keep)?;
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
    // Hexadecimal digits need no escape. A statement that fails would be logged.
    let password = after.database_password.expose();
    let text = format!(
        "SET log_min_error_statement = panic;\nSET log_statement = none;\n\
         SET log_min_duration_statement = -1;\nSET password_encryption = 'scram-sha-256';\n\
         ALTER ROLE {} PASSWORD '{password}';\n",
        DATABASE.1
    );
    Change { node: member.name.clone(), path: STATEMENT.into(), content: Secret::new(text) }
}

fn steps(members: &[Member], what: Rotated, folder: &Path) -> Result<Vec<Step>> {
    let of = |role| members.iter().filter(move |member| member.role == role);
    let copied = |member: &Member, run: &str, more: &str| {
        let (from, name) = (folder.join(&member.name), &member.name);
        let with = run.trim_start_matches(SCRIPT);
        let text = format!(
            "copy {} to {name} and run there as root: sh {name}/{SCRIPT}{with}{more}",
            from.display()
        );
        Step { text, node: Some(name.clone()), run: Some(format!("sh {run}")) }
    };
    let stage = format!("{SCRIPT} stage");
    let mut steps = Vec::new();
    if what == Rotated::Database {
        let database = of(Role::Database).next().ok_or_else(|| {
            let what = "the profile has no database node: the password of another database is in the profile";
            Error::Usage(what.into())
        })?;
        let later = ". K3s has the new password from its next start on, by itself too";
        steps.extend(of(Role::Server).map(|server| copied(server, &stage, later)));
        let now = ". Do it soon after the last step: servers that are connected stay so, any other has the new password by now";
        steps.push(copied(database, SCRIPT, now));
    }
    for (i, server) in of(Role::Server).enumerate() {
        let more = match (what, i) {
            (Rotated::Tokens, 0) => {
                ", and go on when it says done. K3s starts twice there, and what servers share is encrypted with the new token from then on: snapshots made before still need the old one"
            }
            _ => ", and go on when it says done",
        };
        steps.push(copied(server, SCRIPT, more));
    }
    if what == Rotated::Tokens {
        let more = ". Many at a time if you like; an agent that starts anew before cannot join";
        steps.extend(of(Role::Agent).map(|agent| copied(agent, SCRIPT, more)));
    }
    let said = |text: String| Step { text, node: None, run: None };
    steps.push(said(format!(
        "bake secrets rotate --finish, with the same profile; then remove {} for good (shred)",
        folder.display()
    )));
    if what == Rotated::Tokens {
        let cards = "bake the cards of nodes anew where they wait in a drawer: they have the old ones, and cannot join";
        steps.push(said(cards.into()));
    }
    Ok(steps)
}
