//! The commands that run an installation: sites, threads, people, tokens, keys, as somebody at a terminal uses them.
//!
//! Not here: what the changes mean for visitors, which the tests of the use cases show.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const PASSWORD: &str = "harbour-lantern-quilt-27";

#[test]
fn a_site_is_added_listed_given_new_keys_and_disabled() {
    let machine = Machine::new();

    let added = machine.json(&["site", "add", "blog", "--origin", "https://Blog.Test/"]);
    let rotated = machine.json(&["site", "key", "blog", "--rotate"]);
    machine.json(&["site", "disable", "blog"]);
    let listed = machine.json(&["site", "list"]);

    assert_eq!(added["site"], "blog");
    assert_eq!(added["door_key"].as_str().map(str::len), Some(12));
    for key in ["api_key", "door_key"] {
        assert_ne!(added[key], rotated[key]);
    }
    assert_eq!(listed[0]["origins"][0], "https://blog.test");
    assert!(listed[0]["disabled_at"].is_string());
    let listed = listed.to_string();
    assert!(!listed.contains(added["api_key"].as_str().unwrap()));
}

#[test]
fn people_and_their_tokens_are_added_listed_and_shut_out() {
    let machine = Machine::new();
    machine.json(&["site", "add", "blog", "--origin", "https://blog.test"]);

    let words = [
        "user",
        "add",
        "ada",
        "--role",
        "moderator",
        "--site",
        "blog",
        "--password-stdin",
    ];
    assert_eq!(
        machine.run(&words, &format!("{PASSWORD}\n")).status.code(),
        Some(0)
    );
    machine.json(&["user", "add", "bo", "--role", "admin"]);
    let token = machine.json(&["token", "create", "--user", "ada"]);
    let revoked = machine.json(&["token", "revoke", token["id"].as_str().unwrap()]);
    machine.json(&["user", "disable", "bo"]);
    let (people, tokens) = (
        machine.json(&["user", "list"]),
        machine.json(&["token", "list"]),
    );

    assert_eq!(people[0]["user"], "ada");
    assert_eq!(people[0]["sites"][0], "blog");
    assert_eq!(people[0]["has_password"], true);
    assert_eq!(
        (&people[1]["role"], &people[1]["sites"]),
        (&"admin".into(), &Value::Null)
    );
    assert!(people[1]["disabled_at"].is_string());
    assert_eq!(revoked["revoked"], true);
    assert!(tokens[0]["revoked_at"].is_string());
    assert!(
        !tokens
            .to_string()
            .contains(token["token"].as_str().unwrap())
    );
    assert_eq!(machine.json(&["audit", "verify"])["broken_at"], Value::Null);
}

#[test]
fn the_exit_status_tells_what_was_wrong() {
    let machine = Machine::new();
    machine.json(&["site", "add", "blog", "--origin", "https://blog.test"]);
    machine.json(&["user", "add", "ada"]);
    let cases: [(&[&str], &str, i32); 16] = [
        (
            &["site", "add", "blog", "--origin", "https://blog.test"],
            "",
            1,
        ),
        (
            &["site", "add", "Blog", "--origin", "https://blog.test"],
            "",
            2,
        ),
        (&["site", "add", "other", "--origin", "blog.test"], "", 2),
        (&["site", "add", "other"], "", 2),
        (&["site", "disable", "other"], "", 1),
        (&["site", "key", "blog"], "", 2),
        (
            &["thread", "close", "--site", "other", "--thread", "/a"],
            "",
            1,
        ),
        (
            &[
                "thread", "rename", "--site", "blog", "--thread", "/a", "--to", "/b",
            ],
            "",
            1,
        ),
        (&["user", "add", "ada"], "", 1),
        (&["user", "add", "bo", "--role", "owner"], "", 2),
        (&["user", "add", "bo", "--site", "other"], "", 1),
        (&["user", "add", "bo", "--password-stdin"], "short\n", 2),
        (&["user", "add", "bo", "--password-stdin"], "", 2),
        (
            &["user", "passwd", "nobody"],
            "harbour-lantern-quilt-27\n",
            1,
        ),
        (&["token", "create", "--user", "nobody"], "", 1),
        (
            &["token", "revoke", "00000000-0000-0000-0000-000000000000"],
            "",
            1,
        ),
    ];

    for (words, input, expected) in cases {
        let output = machine.run(words, input);

        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(expected), "{words:?}: {said}");
        assert!(said.contains("error: "), "{words:?}: {said}");
        assert!(output.stdout.is_empty(), "{words:?}");
    }
}

#[test]
fn a_thread_is_closed_opened_and_renamed() {
    let machine = Machine::new();
    machine.json(&["site", "add", "blog", "--origin", "https://blog.test"]);
    let thread = |command, more: &[&str]| {
        let words = [
            &["thread", command, "--site", "blog", "--thread", "/a"],
            more,
        ]
        .concat();
        machine.json(&words)
    };

    assert_eq!(thread("close", &[])["state"], "closed");
    assert_eq!(thread("open", &[])["state"], "open");
    assert_eq!(thread("rename", &["--to", "/b"])["thread"], "/b");
}

#[test]
fn an_empty_machine_gets_a_private_folder_and_a_private_key_ring() {
    let machine = Machine::new();

    let status = machine.json(&["keys", "status"]);

    let mode = |path: PathBuf| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(machine.data()), 0o700);
    assert_eq!(mode(machine.keys()), 0o600);
    assert_eq!(mode(machine.data().join("anteroom.db")), 0o600);
    assert_eq!(status["fingerprint"].as_str().map(str::len), Some(32));
    let ring = std::fs::read_to_string(machine.keys()).unwrap();
    assert!(!ring.contains(status["fingerprint"].as_str().unwrap()));
}

#[test]
fn another_key_ring_than_the_databases_own_is_refused_by_name() {
    let machine = Machine::new();
    machine.json(&["keys", "status"]);
    let other = Machine::new();
    other.json(&["keys", "status"]);
    let stolen = machine.data().join("ring-of-others.toml");
    std::fs::copy(other.keys(), &stolen).unwrap();
    let missing = machine.data().join("missing.toml");

    for ring in [stolen, missing] {
        let output = machine
            .command(&["site", "list"])
            .env("ANTEROOM_KEYS__FILE", &ring)
            .output()
            .unwrap();

        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains("keys.file"), "{said}");
    }
}

#[test]
fn a_key_ring_that_others_can_read_is_refused() {
    let machine = Machine::new();
    machine.json(&["keys", "status"]);
    std::fs::set_permissions(machine.keys(), PermissionsExt::from_mode(0o640)).unwrap();

    let output = machine.run(&["site", "list"], "");

    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("chmod 600"), "{said}");
}

/// A machine on which nothing was ever started.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn keys(&self) -> PathBuf {
        self.data().join("keyring.toml")
    }

    /// The answer of a command that must succeed.
    fn json(&self, words: &[&str]) -> Value {
        let output = self.run(&[words, &["--json"]].concat(), "");
        assert!(output.status.success(), "{words:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn run(&self, words: &[&str], input: &str) -> Output {
        let mut child = self
            .command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that does not read its input closes the pipe, which is its good right.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_anteroom"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ANTEROOM_") {
                command.env_remove(&name);
            }
        }
        command
            .args(words)
            .current_dir(self.0.path())
            .env("ANTEROOM_DATA__DIR", self.data());
        command
    }
}
