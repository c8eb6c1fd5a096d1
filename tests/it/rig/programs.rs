//! Which programs this machine has, and what a test says when one of them is missing.
//!
//! Invariant: with `ANTEROOM_TEST_REQUIRE` naming a program's group, nothing is ever skipped.

use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

/// The account that runs what refuses to run as root.
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Finds a program in `PATH`, then in the given folders.
pub(crate) fn find(program: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(folders.iter().cloned())
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// Says on the real standard error that tests of `group` are left out, or fails if they must run.
pub(crate) fn skip(group: &str, name: &str) {
    let required = std::env::var("ANTEROOM_TEST_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|word| word.trim() == group),
        "ANTEROOM_TEST_REQUIRE asks for {group}, and there is no {name}"
    );
    // `eprintln!` would be swallowed with the output of a passing test.
    let _ = writeln!(std::io::stderr(), "skipped: no {name}");
}

/// An account without rights to fall back to when the tests run as root; none otherwise.
pub(crate) fn lesser_account() -> Option<Account> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = ["postgres:", "nobody:"]
        .iter()
        .find_map(|name| accounts.lines().find(|line| line.starts_with(name)))
        .expect("an account named postgres or nobody");
    let mut numbers = line.split(':').skip(2);
    let mut next = || numbers.next().and_then(|text| text.parse().ok()).unwrap();
    Some(Account {
        uid: next(),
        gid: next(),
    })
}

/// A command that runs as `account`, if there is one, and in a process group of its own, so that
/// an interrupt from the terminal reaches the tests alone.
pub(crate) fn command_as(account: Option<&Account>, program: &Path) -> Command {
    let mut command = match account {
        None => Command::new(program),
        Some(account) => {
            let mut command = Command::new("setpriv");
            command
                .arg(format!("--reuid={}", account.uid))
                .arg(format!("--regid={}", account.gid))
                .arg("--clear-groups")
                .arg(program);
            command
        }
    };
    command.process_group(0);
    command
}

/// A loopback port nobody listens on. Below the range the kernel hands to outgoing connections, so
/// that a server which is down for a moment finds its port free when it comes back.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 1_000).unwrap() * 20;
    loop {
        let port = 11_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
