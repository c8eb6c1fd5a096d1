//! The processes under measurement. Each server runs in a process of its own, on the same cores as
//! the load.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anteroom::domain::time::monotonic;
use serde_json::Value;
use tempfile::TempDir;

use crate::connection::Connection;

const PATIENCE: Duration = Duration::from_secs(30);
const RATES: [&str; 6] = [
    "SUBMIT_PER_IP_MIN",
    "SUBMIT_PER_IP_HOUR",
    "SUBMIT_PER_AUTHOR_HOUR",
    "SUBMIT_PER_SITE_S",
    "READS_PER_IP_S",
    "LOGIN_PER_IP_MIN",
];

/// A server process, ended when dropped.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) process: Child,
}

/// A data directory of the program, and the address it listens on.
pub(crate) struct Home {
    folder: TempDir,
    address: SocketAddr,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            address: free_address(),
        }
    }

    /// Starts `anteroom serve` with the shipped rules and without rates; waits for `/readyz`.
    pub(crate) async fn serve(&self) -> Service {
        let child = self
            .program(&["serve"])
            .spawn()
            .expect("the program starts");
        Service::ready(child, self.address, "/readyz").await
    }

    /// Adds the site `bench` and returns the API token of a moderator.
    pub(crate) fn furnish(&self) -> String {
        self.command(
            &[
                "site",
                "add",
                "bench",
                "--origin",
                "https://bench.test",
                "--json",
            ],
            "",
        );
        let words = [
            "user",
            "add",
            "bench",
            "--role",
            "moderator",
            "--password-stdin",
            "--json",
        ];
        self.command(&words, "harbour-lantern-quilt-27");
        let said = self.command(&["token", "create", "--user", "bench", "--json"], "");
        said["token"].as_str().expect("a token").to_owned()
    }

    fn command(&self, words: &[&str], input: &str) -> Value {
        let mut program = self.program(words);
        let mut child = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        // A command that does not read its input closes the pipe.
        let _ = child
            .stdin
            .take()
            .expect("a pipe")
            .write_all(input.as_bytes());
        let output = child.wait_with_output().expect("the program ends");
        assert!(output.status.success(), "{words:?}: {}", output.status);
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    fn program(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_anteroom"));
        command
            .args(words)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("ANTEROOM_DATA__DIR", self.folder.path().join("data"))
            .env("ANTEROOM_SERVER__LISTEN", self.address.to_string())
            .env("ANTEROOM_LOG__LEVEL", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        for rate in RATES {
            command.env(format!("ANTEROOM_RATES__{rate}"), "0");
        }
        command
    }
}

impl Service {
    /// Takes a process that was just started and waits until it answers.
    pub(crate) async fn ready(child: Child, address: SocketAddr, path: &str) -> Self {
        let service = Self {
            address,
            process: child,
        };
        service.first_answer(path).await;
        service
    }

    async fn first_answer(&self, path: &str) {
        let started_at = monotonic();
        let request = format!("GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n");
        loop {
            if let Ok(mut connection) = Connection::open(self.address).await
                && let Ok((200, _)) = connection.exchange(request.as_bytes()).await
            {
                return;
            }
            assert!(
                started_at.elapsed() < PATIENCE,
                "{} does not answer",
                self.address
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A loopback address nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound address")
}
