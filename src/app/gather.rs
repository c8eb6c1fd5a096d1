//! From a submission to its facts: the only reads of the pipeline, one statement. It cannot fail: what could not be
//! read stays unknown, and the verdict says so.

use std::net::IpAddr;
use std::time::Duration;

use uuid::Uuid;

use super::App;
use crate::domain::{CommentId, EmailAddress, Site, Status, Submission, Timestamp};
use crate::rules::{CounterKey, FactId, Facts, Value};
use crate::store::comments::{CommentFace, Standing};
use crate::store::signals::{Question, Signals};
use crate::text::{See, View, links};

/// The longest wait for the store, after which facts stay unknown.
const DEADLINE: Duration = Duration::from_secs(2);

/// What the caller knows of the client; only with the site's API key is it what the caller says.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// The network address; `None` if nobody knows it.
    pub ip: Option<IpAddr>,
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// The page it came from.
    pub referrer: Option<String>,
}

impl Client {
    /// The network, if it tells one reader from another. One on this machine does not: behind it stand the blog's own
    /// program, or every reader of a proxy that `server.trusted_proxies` does not name.
    fn telling_network(&self) -> Option<String> {
        let ip = self.ip?.to_canonical();
        (!ip.is_loopback()).then(|| network(ip))
    }
}

/// What is known of the author beyond what was typed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proof {
    /// The comment whose receipt was sent, its signature checked.
    pub receipt: Option<CommentId>,
    /// The author named by the blog's own login.
    pub account: Option<Uuid>,
}

/// How the form was filled in.
#[derive(Clone, Copy, Debug, Default)]
pub struct FormUse {
    /// Seconds from the stamp to the submission.
    pub seconds: Option<f64>,
    /// Whether the trap was filled in.
    pub trap_filled: Option<bool>,
}

/// All facts, with the store's signals for those who need more than facts.
#[derive(Debug)]
pub struct Gathered {
    /// What the rules see.
    pub facts: Facts,
    /// What the store said; `None` if it did not answer.
    pub signals: Option<Signals>,
    /// Keyed hash of typed name and address.
    pub typed_mark: Uuid,
}

/// Gathers what is known about a submission.
pub async fn facts(
    app: &App,
    site: &Site,
    submission: &Submission,
    (client, proof, form): (&Client, Proof, FormUse),
    key_mark: Option<Uuid>,
    now: Timestamp,
) -> Gathered {
    let typed_mark = app
        .keyring
        .typed_mark(site.id, submission.name.as_str(), &submission.email);
    let question = Question {
        site: site.id,
        thread: submission.thread.as_str().to_owned(),
        parent: submission.parent,
        proof: proof.receipt,
        account: proof.account,
        typed_mark,
        key_mark,
    };
    let signals = ask(app, question).await;
    let mut facts = Facts::new();
    set_address(&mut facts, &submission.email);
    facts.set(
        FactId::ParentExists,
        Value::Bool(submission.parent.is_some()),
    );
    if let Some(signals) = &signals {
        let proven = proof.account.or(signals.proven_author_id);
        facts.set(FactId::AuthorVerified, Value::Bool(proven.is_some()));
        set_record(&mut facts, signals, proven, None, now);
    }
    set_client(&mut facts, client, form);
    set_thread(&mut facts, signals.as_ref(), now);
    set_time(&mut facts, now);
    facts.set(FactId::EditIsEdit, Value::Bool(false));
    facts.set(FactId::EditAddsLink, Value::Bool(false));
    let author = proof
        .account
        .or_else(|| signals.as_ref().and_then(|s| s.proven_author_id));
    count(app, site, submission, &mut facts, client, author, now);
    Gathered {
        facts,
        signals,
        typed_mark,
    }
}

/// Gathers what is known about an edit: the author's record before the comment, its place, the time. Address and client
/// are not asked for again and stay unknown. `None` beside the facts if the store did not answer.
pub async fn edit_facts(
    app: &App,
    standing: &Standing,
    face: &CommentFace,
    now: Timestamp,
) -> (Facts, Option<Signals>) {
    let question = Question {
        site: standing.site,
        thread: face.thread_key.clone(),
        parent: face.parent_id.map(CommentId),
        proof: None,
        account: Some(standing.author),
        typed_mark: standing.typed_mark.unwrap_or_default(),
        key_mark: None,
    };
    let signals = ask(app, question).await;
    let mut facts = Facts::new();
    facts.set(FactId::ParentExists, Value::Bool(face.parent_id.is_some()));
    facts.set(FactId::AuthorVerified, Value::Bool(face.author_proven));
    if let Some(signals) = &signals {
        let author = Some(standing.author);
        set_record(&mut facts, signals, author, Some(standing.status), now);
    }
    set_thread(&mut facts, signals.as_ref(), now);
    set_time(&mut facts, now);
    (facts, signals)
}

/// Asks the store, but not for longer than [`DEADLINE`].
async fn ask(app: &App, question: Question) -> Option<Signals> {
    let answer = tokio::time::timeout(DEADLINE, app.store.signals(question)).await;
    let code = match answer {
        Ok(Ok(signals)) => return Some(signals),
        Ok(Err(error)) => error.code(),
        Err(_) => "deadline".to_owned(),
    };
    tracing::warn!(
        code,
        "facts could not be read; the comment goes to a person"
    );
    None
}

/// Sets how earlier comments of the author fared. `own` is where the judged comment itself stands, if the store counts it
/// already: what it did is no record.
fn set_record(
    facts: &mut Facts,
    signals: &Signals,
    proven: Option<Uuid>,
    own: Option<Status>,
    now: Timestamp,
) {
    let before =
        |n: Option<i64>, status| Value::Int(n.unwrap_or(0) - i64::from(own == Some(status)));
    let approved = before(signals.approved, Status::Approved);
    facts.set(FactId::AuthorApproved, approved);
    let pending = before(signals.pending, Status::Pending);
    facts.set(FactId::AuthorPending, pending);
    let rejected = before(signals.rejected, Status::Rejected);
    facts.set(FactId::AuthorRejected, rejected);
    let typed = before(signals.typed_approved, Status::Approved);
    facts.set(FactId::AuthorTypedApproved, typed);
    facts.set(FactId::AuthorTrusted, Value::Bool(false));
    let days = signals
        .first_seen
        .map_or(0, |first| days(now.since(Timestamp(first))));
    facts.set(FactId::AuthorFirstSeenDays, Value::Int(days));
    let own = proven.is_some() && proven == signals.parent_author_id;
    facts.set(FactId::ParentBySameAuthor, Value::Bool(own));
}

/// Sets what rules may know of an address: its domain and its kind.
pub fn set_address(facts: &mut Facts, email: &EmailAddress) {
    facts.set(
        FactId::AuthorEmailDomain,
        Value::Text(email.domain().into()),
    );
    facts.set(
        FactId::AuthorEmailRole,
        Value::Bool(is_role(&email.local_part())),
    );
}

fn set_client(facts: &mut Facts, client: &Client, form: FormUse) {
    if let Some(network) = client.telling_network() {
        facts.set(FactId::IpNet, Value::Text(network.into()));
    }
    if let Some(agent) = &client.user_agent {
        facts.set(FactId::ClientUserAgent, Value::Text(agent.as_str().into()));
    }
    if let Some(referrer) = &client.referrer {
        facts.set(
            FactId::ClientReferrer,
            Value::Text(referrer.as_str().into()),
        );
    }
    if let Some(seconds) = form.seconds {
        facts.set(FactId::ClientSecondsOnForm, Value::Float(seconds));
    }
    if let Some(filled) = form.trap_filled {
        facts.set(FactId::ClientTrapFilled, Value::Bool(filled));
    }
}

fn set_thread(facts: &mut Facts, signals: Option<&Signals>, now: Timestamp) {
    let Some(signals) = signals else { return };
    let age = signals
        .thread_created_at
        .map_or(0, |made| days(now.since(Timestamp(made))));
    facts.set(FactId::ThreadAgeDays, Value::Int(age));
    facts.set(
        FactId::ThreadComments,
        Value::Int(signals.thread_visible.unwrap_or(0)),
    );
}

/// Sets the hour and weekday, UTC.
pub fn set_time(facts: &mut Facts, now: Timestamp) {
    const HOUR_US: i64 = 3_600_000_000;
    let hours = now.0.div_euclid(HOUR_US);
    facts.set(FactId::TimeHour, Value::Int(hours.rem_euclid(24)));
    // The first of January 1970 was a Thursday, the fourth day of the week.
    let weekday = (hours.div_euclid(24) + 3).rem_euclid(7) + 1;
    facts.set(FactId::TimeWeekday, Value::Int(weekday));
}

/// Counts this submission under every counter of the rule set whose key is known.
fn count(
    app: &App,
    site: &Site,
    submission: &Submission,
    facts: &mut Facts,
    client: &Client,
    author: Option<Uuid>,
    now: Timestamp,
) {
    let rules = app.rulebook.current();
    for counter in rules.counters() {
        let keys = counter_keys(app, site, submission, client, author, &counter.key);
        let before = keys
            .iter()
            .map(|key| app.counters.hit(&(&counter.name, key), counter.window, now))
            .max();
        if let Some(before) = before {
            facts.set_counter(&counter.name, before);
        }
    }
}

/// The keys a counter counts a submission under: one, or one for each domain it links to; none if a part is not known.
fn counter_keys(
    app: &App,
    site: &Site,
    submission: &Submission,
    client: &Client,
    author: Option<Uuid>,
    parts: &[CounterKey],
) -> Vec<Vec<String>> {
    let fold = |text: &str| View::of(text, See::FOLD).text().to_owned();
    let mut keys: Vec<Vec<String>> = vec![Vec::with_capacity(parts.len())];
    for part in parts {
        let values: Vec<String> = match part {
            CounterKey::IpNet => client.telling_network().into_iter().collect(),
            CounterKey::Author => author.map(|id| id.to_string()).into_iter().collect(),
            CounterKey::Email => {
                vec![hex::encode(
                    app.keyring.blind_index(site.id, &submission.email),
                )]
            }
            CounterKey::EmailDomain => vec![submission.email.domain()],
            CounterKey::Name => vec![fold(submission.name.as_str())],
            CounterKey::UrlDomain => {
                let url = submission.website.as_ref();
                url.and_then(|url| links::registrable_domain(url.as_str()))
                    .into_iter()
                    .collect()
            }
            CounterKey::Thread => vec![submission.thread.as_str().to_owned()],
            CounterKey::Site => vec![site.id.to_string()],
            CounterKey::Body => vec![fold(&submission.body)],
            CounterKey::LinkDomain => links::find(&submission.body)
                .into_iter()
                .filter_map(|link| link.domain)
                .collect(),
        };
        keys = keys
            .iter()
            .flat_map(|key| {
                values.iter().map(move |value| {
                    let mut longer = key.clone();
                    longer.push(value.clone());
                    longer
                })
            })
            .collect();
    }
    keys
}

/// The network an address belongs to: IPv4 by /24, IPv6 by /64.
#[must_use]
pub fn network(ip: IpAddr) -> String {
    let (address, prefix) = match ip.to_canonical() {
        IpAddr::V4(v4) => (IpAddr::V4(v4), 24),
        IpAddr::V6(v6) => (IpAddr::V6(v6), 64),
    };
    ipnet::IpNet::new(address, prefix)
        .map_or_else(|_| address.to_string(), |net| net.trunc().to_string())
}

fn days(span: Duration) -> i64 {
    i64::try_from(span.as_secs() / 86_400).unwrap_or(i64::MAX)
}

/// Addresses that belong to an office rather than a person. Source: RFC 2142, and common use.
fn is_role(local_part: &str) -> bool {
    const ROLES: [&str; 18] = [
        "abuse",
        "admin",
        "administrator",
        "billing",
        "contact",
        "help",
        "hostmaster",
        "info",
        "mail",
        "marketing",
        "no-reply",
        "noreply",
        "office",
        "postmaster",
        "sales",
        "security",
        "support",
        "webmaster",
    ];
    ROLES.contains(&local_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_cut_at_24_and_64_bits_and_mapped_addresses_are_ipv4() {
        let cases = [
            ("192.0.2.77", "192.0.2.0/24"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("::ffff:192.0.2.9", "192.0.2.0/24"),
        ];
        for (address, expected) in cases {
            assert_eq!(network(address.parse().unwrap()), expected);
        }
    }

    #[test]
    fn a_client_on_this_machine_has_no_network_that_tells() {
        for (ip, expected) in [
            ("127.0.0.1", None),
            ("::1", None),
            ("::ffff:127.0.0.1", None),
            ("192.0.2.1", Some("192.0.2.0/24")),
        ] {
            let client = Client {
                ip: Some(ip.parse().unwrap()),
                ..Client::default()
            };
            assert_eq!(client.telling_network().as_deref(), expected, "{ip}");
        }
    }

    #[test]
    fn the_first_of_january_1970_was_a_thursday_at_midnight() {
        let mut facts = Facts::new();
        set_time(&mut facts, Timestamp(0));
        assert_eq!(facts.get(FactId::TimeWeekday), Some(&Value::Int(4)));
        assert_eq!(facts.get(FactId::TimeHour), Some(&Value::Int(0)));
    }
}
