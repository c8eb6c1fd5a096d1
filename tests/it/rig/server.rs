//! The real program, started as an operator starts it, and spoken to as a blog speaks to it.
//!
//! Invariant: nothing in here waits a fixed time; it asks until the answer is there, and gives up
//! with the program's own log in hand.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{Backend, programs, warden};

const PROGRAM: &str = env!("CARGO_BIN_EXE_anteroom");
const PATIENCE: Duration = Duration::from_mins(1); // an unoptimised build on a loaded machine

/// One running instance.
pub(crate) struct Anteroom {
    settings: Settings,
    child: Option<Child>,
    /// Where it answers, like `http://127.0.0.1:11234`.
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
}

/// A site, with the key its blog holds.
pub(crate) struct Site {
    pub(crate) key: String,
    pub(crate) api_key: String,
}

/// What an instance is started with.
#[derive(Clone)]
pub(crate) struct Settings {
    home: Arc<TempDir>,
    environment: BTreeMap<String, String>,
    log: PathBuf,
}

impl Anteroom {
    /// An instance on an empty database, rates off, rules as shipped.
    pub(crate) async fn start(backend: &Backend) -> Self {
        Settings::new(backend).start().await
    }

    /// An instance on an empty database that judges by the words a text holds: `please wait` is
    /// held, `please reject` rejected as spam, `please refuse` as abuse, with a reply.
    pub(crate) async fn judging_by_words(backend: &Backend) -> Self {
        Settings::judging_by_words(backend).start().await
    }

    /// Ends the instance as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            warden::forget(child.id());
            child.wait().unwrap();
        }
    }

    /// Asks the instance to stop, and returns how it ended.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the instance is running");
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let asked_at = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(
                asked_at.elapsed() < PATIENCE,
                "does not stop: {}",
                self.log()
            );
            pause(asked_at).await;
        };
        warden::forget(child.id());
        status
    }

    /// Starts again what was killed or terminated, on the same data and the same port.
    pub(crate) async fn restart(&mut self) {
        assert!(self.child.is_none(), "the instance still runs");
        let again = self.settings.start().await;
        *self = again;
    }

    /// A second instance of the same service: one database, key ring and public address, with a data directory and
    /// port of its own.
    pub(crate) async fn second_instance(&self) -> Self {
        let second = self.settings.home.path().join("second");
        let keys = self.data_dir().join("keyring.toml");
        self.settings
            .clone()
            .with("ANTEROOM_DATA__DIR", &second.display().to_string())
            .with("ANTEROOM_KEYS__FILE", &keys.display().to_string())
            .with("ANTEROOM_SERVER__PUBLIC_URL", &self.url)
            .with("ANTEROOM_SERVER__LISTEN", &fresh_address())
            .logging_to("second.log")
            .start()
            .await
    }

    /// Everything the instance has written to its terminal, over all its starts.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.settings.log).unwrap_or_default()).into_owned()
    }

    /// The folder that holds database, keys and whatever else it keeps.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.settings.environment["ANTEROOM_DATA__DIR"]
            .clone()
            .into()
    }

    /// Runs a command of the program on the same data.
    pub(crate) fn command(&self, words: &[&str]) -> Output {
        self.settings.command(words, "")
    }

    /// Adds a site for the blog at `https://KEY.test`, and returns when the instance serves it.
    pub(crate) async fn add_site(&self, key: &str) -> Site {
        let origin = format!("https://{key}.test");
        let said = self
            .settings
            .json(&["site", "add", key, "--origin", &origin, "--json"], "");
        self.knows_site(key).await;
        Site {
            key: key.to_owned(),
            api_key: text_of(&said["api_key"]),
        }
    }

    /// Returns when the instance serves a site that was added elsewhere.
    pub(crate) async fn knows_site(&self, key: &str) {
        let path = format!("{}/api/v1/sites/{key}/counts?thread=/", self.url);
        let asked_at = Instant::now();
        while !self
            .http
            .get(&path)
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
        {
            assert!(
                asked_at.elapsed() < PATIENCE,
                "the site `{key}` does not appear"
            );
            pause(asked_at).await;
        }
    }

    /// Adds a person with a role on every site, and returns the password.
    pub(crate) fn add_user(&self, name: &str, role: &str) -> &'static str {
        self.add_user_with(name, &["--role", role])
    }

    /// Adds a moderator of every site, and returns an API token of theirs.
    pub(crate) fn add_moderator(&self, name: &str) -> String {
        self.add_user(name, "moderator");
        self.token_of(name)
    }

    /// Adds a moderator of one site, and returns an API token of theirs.
    pub(crate) fn add_moderator_of(&self, name: &str, site: &str) -> String {
        self.add_user_with(name, &["--role", "moderator", "--site", site]);
        self.token_of(name)
    }

    /// Makes an API token.
    pub(crate) fn token_of(&self, name: &str) -> String {
        text_of(
            &self
                .settings
                .json(&["token", "create", "--user", name, "--json"], "")["token"],
        )
    }

    fn add_user_with(&self, name: &str, options: &[&str]) -> &'static str {
        const PASSWORD: &str = "harbour-lantern-quilt-27";
        let words = [
            &["user", "add", name, "--password-stdin", "--json"],
            options,
        ]
        .concat();
        let output = self.settings.command(&words, PASSWORD);
        assert!(output.status.success(), "user add: {output:?}");
        PASSWORD
    }
}

impl Drop for Anteroom {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "--- {}\n{}", self.url, self.log());
        }
    }
}

impl Settings {
    /// A fresh home for one instance: rates off, rules as shipped, a port of its own.
    pub(crate) fn new(backend: &Backend) -> Self {
        let home = tempfile::Builder::new()
            .prefix("anteroom-it-")
            .tempdir()
            .unwrap();
        warden::remove_later(home.path());
        let data = home.path().join("data").display().to_string();
        let log = home.path().join("log");
        let settings = Self {
            home: Arc::new(home),
            environment: BTreeMap::new(),
            log,
        };
        let settings = settings
            .with("ANTEROOM_DATA__DIR", &data)
            .with("ANTEROOM_SERVER__LISTEN", &fresh_address())
            .with("ANTEROOM_LOG__FORMAT", "json");
        let settings = match backend {
            Backend::Sqlite => settings,
            Backend::Postgres { url } => settings.with("ANTEROOM_DATABASE__URL", url),
        };
        let rates = [
            "SUBMIT_PER_IP_MIN",
            "SUBMIT_PER_IP_HOUR",
            "SUBMIT_PER_AUTHOR_HOUR",
        ];
        let more = ["SUBMIT_PER_SITE_S", "READS_PER_IP_S", "LOGIN_PER_IP_MIN"];
        rates.iter().chain(&more).fold(settings, |settings, rate| {
            settings.with(&format!("ANTEROOM_RATES__{rate}"), "0")
        })
    }

    /// Settings for [`Anteroom::judging_by_words`].
    pub(crate) fn judging_by_words(backend: &Backend) -> Self {
        let rule = |id: &str, label: &str, points: &str, words: &str, more: &str| {
            format!(
                "[[rule]]\nid = \"{id}\"\ntitle = \"The text asks for it\"\n\
                 because = \"the text asks for it\"\nlabel = \"{label}\"\npoints = {points}\n{more}\n\
                 [rule.words]\nentries = [\"{words}\"]\non = [\"body\"]\nmatch = \"word\"\nsee = [\"fold\"]\n"
            )
        };
        let reply = "reply = \"Kinder words, and it will be read.\"";
        let rules = [
            rule("words.wait", "quality", "5.0", "please wait", ""),
            rule("words.reject", "spam", "12.0", "please reject", ""),
            rule("words.refuse", "abuse", "12.0", "please refuse", reply),
        ];
        Self::new(backend).with_rules(&rules.concat())
    }

    /// Sets one key of the configuration, by its name in the environment.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Judges by rules of the test's own: one file, beside a policy that holds from 4 points on
    /// and rejects from 10 on.
    pub(crate) fn with_rules(self, rules: &str) -> Self {
        let folder = self.rules_dir();
        std::fs::create_dir_all(&folder).unwrap();
        let policy = "format = 1\n[thresholds]\nhold = 4.0\nreject = 10.0\n";
        std::fs::write(folder.join("policy.toml"), policy).unwrap();
        std::fs::write(folder.join("10-own.toml"), rules).unwrap();
        self.with("ANTEROOM_RULES__DIR", &folder.display().to_string())
    }

    /// The folder of rules that were set by [`Self::with_rules`].
    pub(crate) fn rules_dir(&self) -> PathBuf {
        self.home.path().join("rules")
    }

    /// Starts the instance and returns when it says that it is ready.
    pub(crate) async fn start(&self) -> Anteroom {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .unwrap();
        let child = self
            .program(&["serve"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        warden::end_later(child.id(), "KILL");
        let mut instance = Anteroom {
            settings: self.clone(),
            child: Some(child),
            url: format!("http://{}", self.environment["ANTEROOM_SERVER__LISTEN"]),
            http: http_client(),
        };
        instance.wait_until_ready().await;
        instance
    }

    fn logging_to(mut self, name: &str) -> Self {
        self.log = self.home.path().join(name);
        self
    }

    fn json(&self, words: &[&str], input: &str) -> Value {
        let output = self.command(words, input);
        assert!(output.status.success(), "{words:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs a command of the program and returns what it said.
    pub(crate) fn command(&self, words: &[&str], input: &str) -> Output {
        let mut child = self
            .program(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that does not read its input closes the pipe, which is its good right.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn program(&self, words: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(words)
            .process_group(0)
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        for (name, _) in std::env::vars_os() {
            let inherited = name.to_string_lossy();
            if inherited.starts_with("ANTEROOM_") || inherited == "RUST_LOG" {
                command.env_remove(&name);
            }
        }
        command.envs(&self.environment);
        command
    }
}

impl Anteroom {
    async fn wait_until_ready(&mut self) {
        let started_at = Instant::now();
        loop {
            let answer = self.http.get(format!("{}/readyz", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "serve ended with {}", ended.unwrap());
            assert!(
                started_at.elapsed() < PATIENCE,
                "serve does not become ready"
            );
            pause(started_at).await;
        }
    }
}

/// The text of a JSON string.
pub(crate) fn text_of(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("a text, not {value}"))
        .to_owned()
}

/// Waits a tenth of the time already waited, within 5 ms and 200 ms.
pub(crate) async fn pause(since: Instant) {
    let step = since.elapsed() / 10;
    tokio::time::sleep(step.clamp(Duration::from_millis(5), Duration::from_millis(200))).await;
}

/// A client as a blog's reader has one: redirects are shown, not followed.
pub(crate) fn http_client() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .no_proxy()
        .build()
        .unwrap()
}

fn fresh_address() -> String {
    format!("127.0.0.1:{}", programs::free_port())
}

/// Every file below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files
}
