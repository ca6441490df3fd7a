//! The shared database runs: PostgreSQL with the settings and access rules that were baked, and
//! the role and database that K3s uses.
//!
//! Files and commands are Debian's (postgresql-common: `pg_lsclusters(1)`, `pg_createcluster(1)`).
//! SQL goes in through the local socket as the system's user `postgres`, the password through
//! standard input and never into the server's log.

use std::io;
use std::path::Path;
use std::time::Duration;

use nodeconf::{Address, DatabaseSecret, NodeSecrets, Secret, paths};

use super::Context;
use crate::finding::{Condition, Finding};
use crate::machine::StepId;
use crate::sys::{Command, CommandError, Sys, read_text, read_text_if_there, write_durable};

/// The cluster that Debian's package makes.
const CLUSTER: &str = "main";
/// Made once role and database are there: from then on the cluster holds something.
const CREATED: &str = "/var/lib/bake/database-created";
/// How long PostgreSQL may take to recover and to take connections.
const START: Duration = Duration::from_secs(5 * 60);
const PAUSE: Duration = Duration::from_millis(500);
const CONNECT: Duration = Duration::from_secs(5);

/// A cluster as `pg_lsclusters` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cluster {
    version: String,
    status: String,
}

/// A baked file, and where PostgreSQL reads it.
struct Placed {
    from: &'static str,
    to: String,
    mode: &'static str,
}

impl Cluster {
    fn files(&self) -> [Placed; 4] {
        let home = format!("/etc/postgresql/{}/{CLUSTER}", self.version);
        let tls = |name: &str| format!("{}/{name}", paths::POSTGRES_TLS);
        [
            Placed { from: paths::DATABASE_CERT, to: tls("server.crt"), mode: "0644" },
            Placed { from: paths::DATABASE_KEY, to: tls("server.key"), mode: "0600" },
            Placed {
                from: paths::DATABASE_ACCESS,
                to: format!("{home}/pg_hba.conf"),
                mode: "0640",
            },
            // Last: it names the others.
            Placed {
                from: paths::DATABASE_CONFIG,
                to: format!("{home}/conf.d/50-bake.conf"),
                mode: "0644",
            },
        ]
    }

    fn unit(&self) -> String {
        format!("postgresql@{}-{CLUSTER}.service", self.version)
    }
}

pub(super) fn check(ctx: &Context) -> Result<Finding, Condition> {
    let cluster = match cluster(ctx.sys) {
        Ok(Some(cluster)) => cluster,
        Ok(None) => return Ok(unmet("there is no database cluster", "it is created")),
        Err(CommandError::Missing(_)) => {
            return Ok(Finding::Blocked(Condition::new(
                "PostgreSQL is not installed",
                "install it, or bake the card again with its packages",
            )));
        }
        Err(error) => return Err(error.into()),
    };
    for file in cluster.files() {
        if !file.placed(ctx.sys)? {
            return Ok(unmet(format!("{} is not as it was baked", file.to), "it is placed anew"));
        }
    }
    if cluster.status != "online" {
        let what = format!("PostgreSQL is {}", cluster.status);
        return Ok(unmet(what, format!("it is started; see `journalctl -u {}`", cluster.unit())));
    }
    if let Some(what) = unlike_baked(ctx.sys)? {
        return Ok(unmet(what, "PostgreSQL is restarted"));
    }
    if let Some(secret) = secret(ctx.sys)?
        && let Some(what) = lacking(ctx.sys, &secret)?
    {
        return Ok(unmet(what, "it is created"));
    }
    if let Address::Static(own) = &ctx.config.node.address {
        let place = format!("{}:{}", own.address, paths::POSTGRES_PORT);
        if let Err(error) = ctx.sys.connect(&place, CONNECT) {
            let what = format!("PostgreSQL does not answer at {place}: {error}");
            return Ok(unmet(what, "PostgreSQL is restarted"));
        }
    }
    Ok(Finding::Met)
}

pub(super) fn apply(ctx: &Context) -> Result<(), Condition> {
    let sys = ctx.sys;
    let cluster = match cluster(sys)? {
        Some(cluster) => cluster,
        None => create(ctx)?,
    };
    let folder = ["-d", "-o", "postgres", "-g", "postgres", "-m", "0700", paths::POSTGRES_TLS];
    sys.run(&Command::new("install", folder))?;
    for file in cluster.files() {
        if !file.placed(sys)? {
            let owner =
                ["-D", "-o", "postgres", "-g", "postgres", "-m", file.mode, file.from, &file.to];
            sys.run(&Command::new("install", owner))?;
            let to = Path::new(&file.to);
            sys.sync_file(to).map_err(|e| Condition::io(format!("writing {}", file.to), &e))?;
        }
    }
    let mut restart = Command::new("systemctl", ["restart", &cluster.unit()]);
    restart.timeout = START;
    if let Err(error) = sys.run(&restart) {
        discard_unborn(sys, &cluster)?;
        return Err(error.into());
    }
    ctx.wait(StepId::Database, START, PAUSE, || match sql(sys, "SELECT 1;\n") {
        Ok(_) => Finding::Met,
        Err(condition) => Finding::Unmet(condition),
    });
    let Some(secret) = secret(sys)? else {
        return Err(Condition::new(
            format!("{} is gone, and the database's role is not there", paths::NODE_SECRETS),
            "flash the card again",
        ));
    };
    provide(sys, &secret)?;
    let created = |e| Condition::io(format!("writing {CREATED}"), &e);
    sys.make_dirs(Path::new(paths::STATE_DIR), 0o755).map_err(created)?;
    write_durable(sys, Path::new(CREATED), b"", 0o644).map_err(created)
}

/// Removes a cluster that does not start and never held anything: the power went while Debian's
/// package was making it. The next try makes it anew.
fn discard_unborn(sys: &dyn Sys, cluster: &Cluster) -> Result<(), Condition> {
    match sys.stat(Path::new(CREATED)) {
        Ok(_) => return Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(Condition::io(format!("looking for {CREATED}"), &e)),
    }
    let version = &cluster.version;
    let data = format!("/var/lib/postgresql/{version}/{CLUSTER}");
    let config = format!("/etc/postgresql/{version}/{CLUSTER}");
    sys.run(&Command::new("rm", ["-rf", "--", &data, &config]))?;
    Ok(())
}

fn unmet(what: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding::Unmet(Condition::new(what, remedy))
}

impl Placed {
    /// Whether the file is where it belongs. One that was erased after it was placed is no loss.
    fn placed(&self, sys: &dyn Sys) -> Result<bool, Condition> {
        let read = |path: &str| {
            read_text_if_there(sys, path).map_err(|e| Condition::io(format!("reading {path}"), &e))
        };
        match (read(self.from)?, read(&self.to)?) {
            (Some(baked), there) => Ok(there.as_ref() == Some(&baked)),
            (None, Some(_)) => Ok(true),
            (None, None) => Err(Condition::new(
                format!("{} is missing", self.from),
                "bake and flash the card again",
            )),
        }
    }
}

/// The newest cluster of the name that Debian's package makes.
fn cluster(sys: &dyn Sys) -> Result<Option<Cluster>, CommandError> {
    let out = sys.run(&Command::new("pg_lsclusters", ["--no-header"]))?;
    let found = out.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [version, CLUSTER, _, status, ..] = words[..] else { return None };
        Some(Cluster { version: version.into(), status: status.into() })
    });
    let number = |c: &Cluster| c.version.split('.').next().and_then(|v| v.parse::<u32>().ok());
    Ok(found.max_by_key(number))
}

/// Makes a cluster of the version that was installed from the card.
fn create(ctx: &Context) -> Result<Cluster, Condition> {
    let mut names = ctx.config.packages.iter().map(|package| package.name.as_str());
    let version = names.find_map(|name| {
        name.strip_prefix("postgresql-").filter(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
    });
    let Some(version) = version else {
        return Err(Condition::new(
            "there is no database cluster, and none of the card's packages is a PostgreSQL",
            format!("make one: pg_createcluster VERSION {CLUSTER}"),
        ));
    };
    // What an interrupted attempt left would be taken for a cluster to adopt.
    if ctx.sys.stat(Path::new(CREATED)).is_err() {
        let data = format!("/var/lib/postgresql/{version}/{CLUSTER}");
        ctx.sys.run(&Command::new("rm", ["-rf", "--", &data]))?;
    }
    let mut create = Command::new("pg_createcluster", [version, CLUSTER]);
    create.timeout = START;
    ctx.sys.run(&create)?;
    Ok(Cluster { version: version.into(), status: "down".into() })
}

/// Access to the database; `None` once the node is sealed.
fn secret(sys: &dyn Sys) -> Result<Option<DatabaseSecret>, Condition> {
    let file = Path::new(paths::NODE_SECRETS);
    let bytes = match sys.read(file) {
        // Its erasure may have been cut short.
        Ok(bytes) if bytes.iter().all(|byte| *byte == 0) => return Ok(None),
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Condition::io(format!("reading {}", file.display()), &e)),
    };
    let wrong = |what: String| Condition::new(what, "bake and flash the card again");
    let secrets =
        NodeSecrets::parse(&bytes).map_err(|e| wrong(format!("{}: {e}", paths::NODE_SECRETS)))?;
    let none = || wrong(format!("{} has no access to a database", paths::NODE_SECRETS));
    secrets.database.ok_or_else(none).map(Some)
}

/// Runs SQL as the superuser; lines come back as `a|b`.
fn sql(sys: &dyn Sys, text: &str) -> Result<String, Condition> {
    let psql = ["-u", "postgres", "--", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", "postgres"];
    let mut command = Command::new("runuser", psql);
    command.input = Some(Secret::new(text));
    Ok(sys.run(&command)?)
}

/// A setting that the running server does not have as it was baked, or an access rule that it
/// could not read.
fn unlike_baked(sys: &dyn Sys) -> Result<Option<String>, Condition> {
    let wanted = read_text(sys, paths::DATABASE_CONFIG)
        .map_err(|e| Condition::io(format!("reading {}", paths::DATABASE_CONFIG), &e))?;
    let out = sql(
        sys,
        "SELECT 'error', error FROM pg_hba_file_rules WHERE error IS NOT NULL;\n\
         SELECT name, setting FROM pg_settings;\n",
    )?;
    let settings: Vec<(&str, &str)> = out.lines().filter_map(|line| line.split_once('|')).collect();
    if let Some((_, error)) = settings.iter().find(|(name, _)| *name == "error") {
        return Ok(Some(format!("PostgreSQL cannot read its access rules: {error}")));
    }
    let wanted = wanted.lines().filter_map(|line| line.split_once(" = "));
    for (name, value) in wanted.filter(|(name, _)| !name.starts_with('#')) {
        let value = value.trim().trim_matches('\'');
        if !settings.contains(&(name, value)) {
            return Ok(Some(format!("PostgreSQL runs without `{name} = {value}`")));
        }
    }
    Ok(None)
}

/// What of role and database is not there.
fn lacking(sys: &dyn Sys, secret: &DatabaseSecret) -> Result<Option<String>, Condition> {
    let (user, name) = (literal(&secret.user), literal(&secret.name));
    let out = sql(
        sys,
        &format!(
            "SELECT 'role' FROM pg_authid WHERE rolname = {user} AND rolcanlogin \
             AND rolpassword LIKE 'SCRAM-SHA-256$%';\n\
             SELECT 'database' FROM pg_database d JOIN pg_roles r ON d.datdba = r.oid \
             WHERE d.datname = {name} AND r.rolname = {user};\n"
        ),
    )?;
    let has = |what: &str| out.lines().any(|line| line == what);
    Ok(if !has("role") {
        Some(format!("there is no role {}", secret.user))
    } else if !has("database") {
        Some(format!("there is no database {}", secret.name))
    } else {
        None
    })
}

/// Role, password and database. `CREATE DATABASE` runs in no transaction, so each is asked for.
fn provide(sys: &dyn Sys, secret: &DatabaseSecret) -> Result<(), Condition> {
    let (role, database) = (identifier(&secret.user), identifier(&secret.name));
    let (user, name) = (literal(&secret.user), literal(&secret.name));
    let there = sql(
        sys,
        &format!(
            "SELECT 'role' FROM pg_roles WHERE rolname = {user};\n\
             SELECT 'database' FROM pg_database WHERE datname = {name};\n"
        ),
    )?;
    // A statement that fails would be logged, and this one holds the password.
    let mut text = String::from(
        "SET log_min_error_statement = panic;\nSET log_statement = none;\n\
         SET log_min_duration_statement = -1;\nSET password_encryption = 'scram-sha-256';\n",
    );
    let verb = if there.lines().any(|line| line == "role") { "ALTER" } else { "CREATE" };
    let password = literal(secret.password.expose());
    text.push_str(&format!("{verb} ROLE {role} LOGIN PASSWORD {password};\n"));
    if there.lines().any(|line| line == "database") {
        text.push_str(&format!("ALTER DATABASE {database} OWNER TO {role};\n"));
    } else {
        text.push_str(&format!(
            "CREATE DATABASE {database} OWNER {role} TEMPLATE template0 ENCODING 'UTF8' \
             LC_COLLATE 'C' LC_CTYPE 'C';\n"
        ));
    }
    match sql(sys, &text) {
        Ok(_) => Ok(()),
        // What psql complains of may quote the statement.
        Err(_) => Err(Condition::new(
            format!("PostgreSQL does not take the role {} and its database", secret.user),
            "it is tried again; see PostgreSQL's log",
        )),
    }
}

/// Quoted as SQL wants it (PostgreSQL manual, 4.1).
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn identifier(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_cannot_be_left() {
        assert_eq!(literal("o'; DROP"), "'o''; DROP'");
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
    }
}
