//! PostgreSQL, in the table that K3s's kine keeps: every change is a row, and a unique index on
//! name and previous revision lets only one of two at once happen (kine `pkg/drivers/pgsql`).

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use postgres::error::SqlState;
use postgres::types::ToSql;
use postgres::{Client, Config, Error, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::postgres_tls::tls;
use super::{Entry, Store};
use crate::{Fatal, log};

const PATIENCE: Duration = Duration::from_secs(3);

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS kine (
    id BIGSERIAL PRIMARY KEY, name TEXT COLLATE \"C\", created INTEGER, deleted INTEGER,
    create_revision BIGINT, prev_revision BIGINT, lease INTEGER, value BYTEA, old_value BYTEA);
CREATE INDEX IF NOT EXISTS kine_name_index ON kine (name);
CREATE INDEX IF NOT EXISTS kine_name_id_index ON kine (name, id);
CREATE UNIQUE INDEX IF NOT EXISTS kine_name_prev_revision_uindex ON kine (name, prev_revision);";

/// The newest row of a key.
const NEWEST: &str = "SELECT name, id, deleted, value FROM kine WHERE name = $1
    ORDER BY id DESC LIMIT 1";
const NEWEST_OF_ALL: &str = "SELECT DISTINCT ON (name) name, id, deleted, value FROM kine
    WHERE starts_with(name, $1) ORDER BY name, id DESC";
const APPEND: &str = "INSERT INTO kine (name, created, deleted, create_revision, prev_revision,
    lease, value) VALUES ($1, $2, $3, 0, $4, 0, $5) RETURNING id";
/// kine compacts now and then; here what is past goes at once.
const COMPACT: &str = "DELETE FROM kine WHERE name = $1 AND id < $2";

/// Where the database is and how it is reached.
pub struct Endpoint {
    config: Config,
    tls: MakeRustlsConnect,
}

/// The store; it connects again whenever the connection broke.
pub struct PostgresStore {
    endpoint: Endpoint,
    client: Mutex<Option<Client>>,
}

impl PostgresStore {
    /// Connects and makes database and table where they are missing.
    pub fn open(url: &str, files: [Option<&str>; 3]) -> Result<Self, Fatal> {
        let endpoint = Endpoint::parse(url, files)?;
        let failed = |e: &Error| {
            format!("starting kubernetes: preparing server: building kine: {}", words(e))
        };
        let mut client = match endpoint.connect() {
            Err(e) if e.code() == Some(&SqlState::INVALID_CATALOG_NAME) => {
                endpoint.create_database();
                endpoint.connect()
            }
            other => other,
        }
        .map_err(|e| failed(&e))?;
        match client.batch_execute(SCHEMA) {
            Ok(()) => {}
            // Another server makes it at this moment.
            Err(e) if e.code() == Some(&SqlState::UNIQUE_VIOLATION) => {}
            Err(e) => return Err(failed(&e)),
        }
        Ok(Self { endpoint, client: Mutex::new(Some(client)) })
    }

    /// Runs `work` on a live connection.
    fn with<T>(&self, work: impl Fn(&mut Client) -> Result<T, Error>) -> Result<T, Fatal> {
        let mut slot: MutexGuard<'_, Option<Client>> =
            self.client.lock().map_err(|e| e.to_string())?;
        let mut client = match slot.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => self.endpoint.connect().map_err(|e| words(&e))?,
        };
        let done = work(&mut client).map_err(|e| words(&e));
        if !client.is_closed() {
            *slot = Some(client);
        }
        done
    }
}

impl Endpoint {
    /// `files`: datastore-cafile, -certfile, -keyfile.
    fn parse(url: &str, files: [Option<&str>; 3]) -> Result<Self, Fatal> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut mode = None;
        let mut kept = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert" | "sslcert" | "sslkey", _)) => {
                    return Err(format!("the stand-in takes datastore-*file instead of {pair}"));
                }
                _ => kept.push(pair),
            }
        }
        // Any of the files asks for a checked server unless the URL says otherwise (kine).
        let mode = mode.unwrap_or(match files.iter().any(Option::is_some) {
            true => "verify-full",
            false => "prefer",
        });
        let mut config: Config = format!("{base}?{}", kept.join("&"))
            .parse()
            .map_err(|e| format!("datastore-endpoint: {e}"))?;
        config.ssl_mode(match mode {
            "disable" => postgres::config::SslMode::Disable,
            "prefer" | "allow" => postgres::config::SslMode::Prefer,
            _ => postgres::config::SslMode::Require,
        });
        config.connect_timeout(PATIENCE).tcp_user_timeout(PATIENCE);
        let name = config.get_dbname().filter(|name| !name.is_empty()).unwrap_or("kubernetes");
        let name = name.to_lowercase();
        config.dbname(&name);
        let tls = MakeRustlsConnect::new(tls(mode.starts_with("verify"), files)?);
        Ok(Self { config, tls })
    }

    fn connect(&self) -> Result<Client, Error> {
        self.config.connect(self.tls.clone())
    }

    fn create_database(&self) {
        let mut config = self.config.clone();
        let name = self.config.get_dbname().unwrap_or("kubernetes").replace('"', "");
        config.dbname("postgres");
        let made = config
            .connect(self.tls.clone())
            .and_then(|mut client| client.batch_execute(&format!("CREATE DATABASE \"{name}\"")));
        if let Err(e) = made {
            log::line("warning", &format!("failed to ensure existence of database {name}: {e}"));
        }
    }
}

/// Postgres' own errors hide what they are about.
fn words(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

fn entry(row: &Row) -> Option<Entry> {
    let value: Option<Vec<u8>> = row.get(3);
    (row.get::<_, i32>(2) == 0).then(|| Entry {
        key: row.get(0),
        value: String::from_utf8_lossy(&value.unwrap_or_default()).into_owned(),
        revision: row.get(1),
    })
}

/// Appends a row where the newest one is still `expected`; `false` where it is not.
fn append(
    client: &mut Client,
    key: &str,
    deleted: bool,
    previous: i64,
    value: Option<&[u8]>,
) -> Result<bool, Error> {
    let created = i32::from(previous == 0);
    let row: [&(dyn ToSql + Sync); 5] = [&key, &created, &i32::from(deleted), &previous, &value];
    match client.query_one(APPEND, &row) {
        Ok(row) => {
            let id: i64 = row.get(0);
            client.execute(COMPACT, &[&key, &id])?;
            Ok(true)
        }
        Err(e) if e.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(false),
        Err(e) => Err(e),
    }
}

impl Store for PostgresStore {
    fn list(&self, prefix: &str) -> Result<Vec<Entry>, Fatal> {
        let rows = self.with(|client| client.query(NEWEST_OF_ALL, &[&prefix]))?;
        Ok(rows.iter().filter_map(entry).collect())
    }

    fn get(&self, key: &str) -> Result<Option<Entry>, Fatal> {
        let row = self.with(|client| client.query_opt(NEWEST, &[&key]))?;
        Ok(row.as_ref().and_then(entry))
    }

    fn swap(&self, key: &str, value: &str, expected: i64) -> Result<bool, Fatal> {
        self.with(|client| {
            let row = client.query_opt(NEWEST, &[&key])?;
            let newest: i64 = row.as_ref().map_or(0, |row| row.get(1));
            if row.as_ref().and_then(entry).map_or(0, |entry| entry.revision) != expected {
                return Ok(false);
            }
            append(client, key, false, newest, Some(value.as_bytes()))
        })
    }

    fn delete(&self, key: &str) -> Result<bool, Fatal> {
        self.with(|client| {
            let row = client.query_opt(NEWEST, &[&key])?;
            match row.as_ref().and_then(entry) {
                Some(entry) => append(client, key, true, entry.revision, None),
                None => Ok(false),
            }
        })
    }
}
