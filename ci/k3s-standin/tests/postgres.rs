//! Two servers and a real PostgreSQL.

mod host;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use host::Host;

/// A PostgreSQL with TLS, run by its own user, on an address of its own.
struct Database {
    dir: tempfile::TempDir,
    address: String,
}

fn programs() -> String {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("postgresql (ci/install-deps)");
    let newest = versions.flatten().map(|entry| entry.path()).max().unwrap();
    newest.join("bin").display().to_string()
}

fn run(program: &str, args: &[&str]) {
    let out = Command::new(program).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{program} {args:?}: {said}");
}

impl Database {
    fn new(address: &str) -> Self {
        let dir = host::memory();
        let database = Self { dir, address: address.to_owned() };
        database.make_certificates();
        run("chown", &["-R", "postgres", database.path("")]);
        database.as_postgres(&["initdb", "-D", database.path("data"), "-A", "trust", "-N"]);
        fs::write(
            database.path("data/pg_hba.conf"),
            "local all all trust\nhostssl all k3s 127.0.0.0/8 scram-sha-256\n",
        )
        .unwrap();
        database.start();
        let psql = ["psql", "-q", "-h", database.path("data"), "-d", "postgres", "-c"];
        let role = "CREATE ROLE k3s LOGIN PASSWORD 'pa55' CREATEDB";
        database.as_postgres(&[&psql[..], &[role]].concat());
        database
    }

    fn path(&self, name: &str) -> &'static str {
        let path = self.dir.path().join(name).display().to_string();
        Box::leak(path.into_boxed_str())
    }

    fn as_postgres(&self, command: &[&str]) {
        let program = format!("{}/{}", programs(), command[0]);
        run("runuser", &[&["-u", "postgres", "--", &program], &command[1..]].concat());
    }

    fn make_certificates(&self) {
        let p = |name: &str| self.path(name).to_owned();
        let new =
            ["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        let ca = ["-subj", "/CN=db-ca", "-keyout", &p("ca.key"), "-out", &p("ca.crt")];
        run("openssl", &[&new[..], &ca].concat());
        let san = format!("subjectAltName=IP:{}", self.address);
        let leaf = ["-subj", "/CN=db", "-keyout", &p("db.key"), "-out", &p("db.crt")];
        let by = ["-CA", &p("ca.crt"), "-CAkey", &p("ca.key"), "-addext", &san];
        let not_ca = ["-addext", "basicConstraints=critical,CA:FALSE"];
        run("openssl", &[&new[..], &leaf, &by, &not_ca].concat());
    }

    fn start(&self) {
        let options = format!(
            "-c listen_addresses={} -c unix_socket_directories={} -c ssl=on -c ssl_cert_file={} \
             -c ssl_key_file={} -c fsync=off",
            self.address,
            self.path("data"),
            self.path("db.crt"),
            self.path("db.key")
        );
        let log = self.path("log");
        self.as_postgres(&[
            "pg_ctl",
            "-D",
            self.path("data"),
            "-w",
            "-l",
            log,
            "-o",
            &options,
            "start",
        ]);
    }

    fn stop(&self) {
        self.as_postgres(&["pg_ctl", "-D", self.path("data"), "-m", "immediate", "stop"]);
    }

    /// What a server's configuration says of it.
    fn config(&self) -> String {
        format!(
            "datastore-endpoint: postgres://k3s:pa55@{}:5432/k3s\ndatastore-cafile: {}\n",
            self.address,
            self.path("ca.crt")
        )
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let program = format!("{}/pg_ctl", programs());
        let data = self.path("data");
        let _ = Command::new("runuser")
            .args(["-u", "postgres", "--", &program, "-D", data, "-m", "immediate", "stop"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

fn server(name: &str, database: &Database, token: &str) -> Host {
    let mut host = Host::new(name);
    host.configure(&format!("token: {token}\n{}", database.config()));
    host.set("LEADER_MS", "1500");
    host
}

#[test]
fn two_servers_share_a_database() {
    let database = Database::new(&Host::new("db").address);
    let mut one = server("node1", &database, "s3cret");
    let mut two = server("node2", &database, "s3cret");
    // Without authorities of its own the second takes the first one's. (At once they would each
    // make their own, as real ones do.)
    one.start("server");
    one.is_ready();
    two.start("server");
    two.is_ready();
    let ca = |host: &Host| fs::read(host.data("server/tls/server-ca.crt")).unwrap();
    assert_eq!(ca(&one), ca(&two));
    one.waits(&["get", "nodes"], "two nodes", |said| said.matches(" Ready ").count() == 2);
    let table = String::from_utf8(two.kubectl(&["get", "nodes"]).stdout).unwrap();
    assert!(table.contains("node1") && !table.contains("etcd"), "{table}");
    assert!(!Path::new(&one.data("server/db/etcd")).exists());
    assert!(server("node3", &database, "other").fails(1).contains("different token"));

    // The database goes: the leader ends with 255, the other waits for it and heals.
    database.stop();
    one.waits(&["get", "--raw", "/readyz"], "not ready or gone", |said| {
        said.contains("500: [-]etcd failed") || said.contains("refused")
    });
    let begun = Instant::now();
    while !(one.has_ended() || two.has_ended()) {
        assert!(begun.elapsed() < host::PATIENCE, "no leader ended");
        std::thread::sleep(Duration::from_millis(50));
    }
    let (mut gone, stays) = if one.has_ended() { (one, two) } else { (two, one) };
    assert_eq!(gone.ends(), 255);
    assert!(gone.fails(1).contains("building kine"), "starting without a database");
    assert_eq!(String::from_utf8_lossy(&stays.kubectl(&["get", "--raw", "/ping"]).stdout), "pong");
    database.start();
    stays.is_ready();
    gone.start("server");
    gone.is_ready();
}

#[test]
fn the_database_has_to_be_the_right_one() {
    let database = Database::new(&Host::new("db").address);
    let one = server("node1", &database, "s3cret");
    let wrong = database.config().replace("pa55", "guess");
    one.configure(&format!("token: s3cret\n{wrong}"));
    assert!(one.fails(1).contains("password authentication failed"));
    // Another authority than the one that signed the server's certificate.
    let other = Database::new(&Host::new("db").address);
    let wrong = database.config().replace(database.path("ca.crt"), other.path("ca.crt"));
    one.configure(&format!("token: s3cret\n{wrong}"));
    assert!(one.fails(1).contains("certificate"));
}
