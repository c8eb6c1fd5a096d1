//! What the operator set: one TOML file, overridden by the environment.
//!
//! Not here: thresholds and words to look for, which are rules. The reference of every key is `config/anteroom.toml`,
//! which a test holds against the defaults below.
//!
//! Invariant: a [`Config`] that exists is valid, and a key that nobody reads is an error, never ignored.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

mod load;
mod read;

pub use load::{ConfigError, Fault};

/// Where the configuration is looked for when nobody names a file.
pub const DEFAULT_PATH: &str = "config/anteroom.toml";

/// Every key with its default and its meaning.
pub const REFERENCE: &str = include_str!("../config/anteroom.toml");

/// Everything the operator can set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the service answers.
    pub server: Server,
    /// Where files are kept.
    pub data: Data,
    /// Which database.
    pub database: Database,
    /// Which keys.
    pub keys: Keys,
    /// Which rules.
    pub rules: Rules,
    /// What is logged, and how.
    pub log: Log,
    /// Sizes and windows.
    pub limits: Limits,
    /// How often somebody may do something.
    pub rates: Rates,
    /// What authors of rejected comments hear.
    pub replies: Replies,
    /// How long things are kept.
    pub retention: Retention,
}

/// Section `server`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port on which the service answers.
    pub listen: SocketAddr,
    /// The address under which the service is reached, without a slash at the end.
    #[serde(deserialize_with = "read::base_url")]
    pub public_url: Option<String>,
    /// A second address, for metrics alone.
    pub metrics_listen: Option<SocketAddr>,
    /// Networks whose forwarding headers are believed.
    #[serde(deserialize_with = "read::networks")]
    pub trusted_proxies: Vec<IpNet>,
}

/// Section `data`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// Where database and keys are kept.
    pub dir: PathBuf,
}

/// Section `database`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// May hold a password.
    #[serde(deserialize_with = "read::database_url")]
    pub url: Option<SecretString>,
}

/// Section `keys`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// The key ring.
    pub file: Option<PathBuf>,
}

/// Section `rules`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// The directory of the rule files.
    pub dir: PathBuf,
}

/// Section `log`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// How a line looks; by default what fits the place it is written to.
    pub format: Option<LogFormat>,
    /// A level, or directives as in `RUST_LOG`.
    #[serde(deserialize_with = "read::level")]
    pub level: String,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For eyes.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Section `limits`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The longest name.
    pub name_bytes: usize,
    /// The longest e-mail address.
    pub email_bytes: usize,
    /// The longest website.
    pub url_bytes: usize,
    /// The longest text.
    pub body_bytes: usize,
    /// The largest request.
    pub request_bytes: usize,
    /// How long an author may edit a comment.
    #[serde(deserialize_with = "read::span")]
    pub edit_window: Duration,
    /// Age at which a thread takes no more comments.
    #[serde(deserialize_with = "read::some_span")]
    pub thread_closes_after: Option<Duration>,
}

/// Section `rates`; 0 is off.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// Submissions from one address a minute.
    pub submit_per_ip_min: u32,
    /// Submissions from one address an hour.
    pub submit_per_ip_hour: u32,
    /// Submissions with one e-mail address an hour.
    pub submit_per_author_hour: u32,
    /// Submissions to one site a second.
    pub submit_per_site_s: u32,
    /// Public reads from one address a second.
    pub reads_per_ip_s: u32,
    /// Attempts to log in from one address a minute.
    pub login_per_ip_min: u32,
}

/// Section `replies`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Replies {
    /// To the author of a comment rejected as spam.
    pub spam: Reply,
    /// As abuse.
    pub abuse: Reply,
    /// For want of quality.
    pub quality: Reply,
    /// Against the site's policy.
    pub policy: Reply,
    /// How long a quiet rejection reads as waiting.
    #[serde(deserialize_with = "read::span")]
    pub quiet_for: Duration,
}

/// What the author of a rejected comment hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// The same as if it waited.
    Quiet,
    /// That it was rejected, and the class of reason.
    Explain,
}

/// Section `retention`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Comments nobody decided.
    #[serde(deserialize_with = "read::span")]
    pub pending: Duration,
    /// Name and address of a rejected comment.
    #[serde(deserialize_with = "read::span")]
    pub rejected_identity: Duration,
    /// Text of a rejected comment.
    #[serde(deserialize_with = "read::span")]
    pub rejected_text: Duration,
    /// Address of an approved comment, after its author's last one.
    #[serde(deserialize_with = "read::span")]
    pub approved_email: Duration,
    /// The network address, shortened.
    #[serde(deserialize_with = "read::span")]
    pub ip: Duration,
    /// The audit log.
    #[serde(deserialize_with = "read::span")]
    pub audit: Duration,
}

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            public_url: None,
            metrics_listen: None,
            trusted_proxies: Vec::new(),
        }
    }
}

impl Default for Data {
    fn default() -> Self {
        Self { dir: "data".into() }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            dir: "rules".into(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: None,
            level: "info".to_owned(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            name_bytes: 245,
            email_bytes: 254,
            url_bytes: 2048,
            body_bytes: 65525,
            request_bytes: 262_144,
            edit_window: 15 * MINUTE,
            thread_closes_after: None,
        }
    }
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            submit_per_ip_min: 10,
            submit_per_ip_hour: 60,
            submit_per_author_hour: 20,
            submit_per_site_s: 200,
            reads_per_ip_s: 50,
            login_per_ip_min: 5,
        }
    }
}

impl Default for Replies {
    fn default() -> Self {
        Self {
            spam: Reply::Quiet,
            abuse: Reply::Explain,
            quality: Reply::Explain,
            policy: Reply::Explain,
            quiet_for: 24 * HOUR,
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            pending: 90 * DAY,
            rejected_identity: 30 * DAY,
            rejected_text: 90 * DAY,
            approved_email: 365 * DAY,
            ip: 30 * DAY,
            audit: 365 * DAY,
        }
    }
}

impl Config {
    /// Reads the file `named` by the operator, or else the default one if it is there, and then the environment.
    ///
    /// # Errors
    /// A named file that is missing, or anything in file or environment that cannot be taken as it is meant.
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        load::load(named, std::env::vars_os())
    }

    /// Where the database is.
    #[must_use]
    pub fn database_url(&self) -> SecretString {
        self.database.url.clone().unwrap_or_else(|| {
            format!("sqlite:{}", self.data.dir.join("anteroom.db").display()).into()
        })
    }

    /// Where the key ring is.
    #[must_use]
    pub fn keys_file(&self) -> PathBuf {
        self.keys
            .file
            .clone()
            .unwrap_or_else(|| self.data.dir.join("keyring.toml"))
    }

    /// The address under which the service is reached, once it is known where it listens.
    #[must_use]
    pub fn public_url(&self, bound: SocketAddr) -> String {
        if let Some(url) = &self.server.public_url {
            return url.clone();
        }
        // Nobody can open "0.0.0.0" in a browser; on this machine the loopback address is meant.
        let host = match bound.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        format!("http://{}", SocketAddr::new(host, bound.port()))
    }

    /// Checks what no single key can know of another.
    fn validate(&self) -> Result<(), Fault> {
        let whole_internet = self
            .server
            .trusted_proxies
            .iter()
            .find(|net| net.prefix_len() == 0);
        if let Some(net) = whole_internet {
            return Err(Fault::new(
                "server.trusted_proxies",
                format!(
                    "`{net}` would let anyone say which address they come from; name your proxies"
                ),
            ));
        }
        // A text at its limit, every byte of it escaped in JSON, must still fit into a request.
        if self.limits.request_bytes < self.limits.body_bytes {
            return Err(Fault::new(
                "limits.request_bytes",
                format!(
                    "{} is less than limits.body_bytes, which is {}",
                    self.limits.request_bytes, self.limits.body_bytes
                ),
            ));
        }
        let sizes = [
            ("limits.name_bytes", self.limits.name_bytes),
            ("limits.email_bytes", self.limits.email_bytes),
            ("limits.body_bytes", self.limits.body_bytes),
        ];
        if let Some((key, _)) = sizes.into_iter().find(|(_, size)| *size == 0) {
            return Err(Fault::new(key, "0 would refuse every comment".to_owned()));
        }
        if self
            .database_url()
            .expose_secret()
            .contains(|c: char| c.is_control())
        {
            return Err(Fault::new(
                "database.url",
                "it holds a control character".to_owned(),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_address_can_be_opened_in_a_browser() {
        let config = Config::default();

        assert_eq!(
            config.public_url("0.0.0.0:81".parse().unwrap()),
            "http://127.0.0.1:81"
        );
        assert_eq!(
            config.public_url("[::]:81".parse().unwrap()),
            "http://[::1]:81"
        );
        assert_eq!(
            config.public_url("10.1.2.3:81".parse().unwrap()),
            "http://10.1.2.3:81"
        );
    }

    #[test]
    fn database_and_keys_follow_the_data_directory() {
        let mut config = Config::default();
        config.data.dir = "/srv/a".into();

        assert_eq!(
            config.database_url().expose_secret(),
            "sqlite:/srv/a/anteroom.db"
        );
        assert_eq!(config.keys_file(), PathBuf::from("/srv/a/keyring.toml"));
    }
}
