//! A private PostgreSQL, made from the installed programs: one server for the whole test process,
//! one fresh database for each test that asks.
//!
//! Not a performance set-up: `fsync` stays on, because tests kill servers and count what is left.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::programs::{self, Account};
use super::warden;

const PATIENCE: Duration = Duration::from_mins(1); // initdb on a cold, loaded disk

struct Postgres {
    home: PathBuf,
    programs: PathBuf,
    port: u16,
    _server: Child, // ended by the warden
    n_databases: AtomicU32,
}

static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();

/// The address of a new, empty database; none, said aloud, if PostgreSQL is not installed.
pub(crate) fn fresh_database() -> Option<String> {
    let server = SERVER.get_or_init(start).as_ref();
    if server.is_none() {
        programs::skip("postgres", "PostgreSQL");
    }
    server.map(Postgres::create)
}

/// The folder with everything the server keeps, its log included.
pub(crate) fn folder() -> PathBuf {
    let server = SERVER.get().and_then(Option::as_ref);
    server
        .expect("a database was asked for before")
        .home
        .clone()
}

fn start() -> Option<Postgres> {
    let initdb = programs::find("initdb", &debian_folders())?;
    let programs = initdb.canonicalize().unwrap().parent().unwrap().to_owned();
    let account = programs::lesser_account();

    let home = tempfile::Builder::new()
        .prefix("anteroom-pg-")
        .tempdir()
        .unwrap()
        .keep();
    warden::remove_later(&home);
    if let Some(Account { uid, gid }) = account {
        std::os::unix::fs::chown(&home, Some(uid), Some(gid)).unwrap();
    }
    let data = home.join("data");
    let log = home.join("log");

    run(programs::command_as(account.as_ref(), &initdb)
        .args([
            "--username=anteroom",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
        ])
        .arg("--no-sync")
        .arg("--pgdata")
        .arg(&data)
        .current_dir(&home));

    let port = programs::free_port();
    let server = programs::command_as(account.as_ref(), &programs.join("postgres"))
        .arg("-D")
        .arg(&data)
        .args([
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "unix_socket_directories=",
        ])
        .args(["-c", &format!("port={port}"), "-c", "max_connections=400"])
        .args([
            "-c",
            "fsync=on",
            "-c",
            "synchronous_commit=on",
            "-c",
            "max_wal_size=1GB",
        ])
        .current_dir(&home)
        .stdin(Stdio::null())
        .stdout(File::create(&log).unwrap())
        .stderr(File::options().append(true).open(&log).unwrap())
        .spawn()
        .unwrap();
    warden::end_later(server.id(), "QUIT"); // the immediate stop, which ends its children too

    let postgres = Postgres {
        home,
        programs,
        port,
        _server: server,
        n_databases: AtomicU32::new(0),
    };
    postgres.wait_until_it_answers(&log);
    Some(postgres)
}

fn debian_folders() -> Vec<PathBuf> {
    let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") else {
        return Vec::new();
    };
    let mut folders: Vec<_> = versions
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    folders.sort();
    folders.reverse(); // the newest first
    folders
}

impl Postgres {
    fn create(&self) -> String {
        let name = format!("test_{}", self.n_databases.fetch_add(1, Ordering::Relaxed));
        run(self
            .client("createdb")
            .args(["--template=template0", &name]));
        format!("postgres://anteroom@127.0.0.1:{}/{name}", self.port)
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command
            .args(["--host=127.0.0.1", "--username=anteroom"])
            .arg(format!("--port={}", self.port));
        command
    }

    fn wait_until_it_answers(&self, log: &Path) {
        let asked_at = Instant::now();
        while !self.client("pg_isready").output().unwrap().status.success() {
            let said = || std::fs::read_to_string(log).unwrap_or_default();
            assert!(
                asked_at.elapsed() < PATIENCE,
                "PostgreSQL does not answer: {}",
                said()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn run(command: &mut Command) {
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.process_group(0).spawn().unwrap();
    let leader = child.id();
    warden::end_group_later(leader);
    let output = child.wait_with_output().unwrap();
    warden::forget_group(leader);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

#[tokio::test]
async fn every_test_gets_an_empty_database_of_its_own() {
    use sqlx::{Connection, Executor, PgConnection, Row};
    let (Some(one), Some(other)) = (fresh_database(), fresh_database()) else {
        return;
    };

    let mut first = PgConnection::connect(&one).await.unwrap();
    first.execute("create table seen (id int)").await.unwrap();

    let mut second = PgConnection::connect(&other).await.unwrap();
    let row = second
        .fetch_one("select to_regclass('seen') is null, current_setting('fsync')")
        .await;
    let row = row.unwrap();
    assert!(row.get::<bool, _>(0));
    assert_eq!(row.get::<&str, _>(1), "on");
}
