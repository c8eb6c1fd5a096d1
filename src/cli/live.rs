//! `anteroom check --jsonl --live`: lines judged with what the store knows of their authors and threads.
//!
//! What is known is written into the line's `facts`, and then the line is judged like any other: what the line says itself
//! stands. Counters live in the memory of a running service, so they stay 0 here.

use std::io::{self, BufRead, Write};

use anyhow::anyhow;
use serde_json::{Map, Value, json};

use super::{Failure, open, rules};
use crate::app::App;
use crate::config::Config;
use crate::domain::{EmailAddress, Site, Timestamp};
use crate::rules::RuleSet;
use crate::store::signals::Question;

/// Judges every line of standard input.
pub(super) async fn check(
    config: Config,
    site: Option<String>,
    terms: &rules::Terms<'_>,
) -> Result<(), Failure> {
    let mut errors = Vec::new();
    let set = rules::load_set(terms, &mut errors).map_err(Failure::environment)?;
    io::stderr()
        .write_all(&errors)
        .map_err(Failure::environment)?;
    let set = set.ok_or(Failure::Unreadable)?;
    let app = open::for_command(&config).await?;
    let result = judge_lines(&app, &set, site.as_deref()).await;
    app.store.close().await;
    result
}

async fn judge_lines(app: &App, set: &RuleSet, site: Option<&str>) -> Result<(), Failure> {
    if let Some(key) = site {
        site_called(app, key).map_err(|error| Failure::Usage(anyhow!(error)))?;
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut all_well = true;
    for line in io::stdin().lock().split(b'\n') {
        let line = line.map_err(Failure::usage)?;
        let line = match with_known(app, &line, site).await? {
            Ok(line) => line,
            Err(answer) => {
                writeln!(out, "{answer}").map_err(Failure::environment)?;
                all_well = false;
                continue;
            }
        };
        let status = rules::check_lines(set, site.unwrap_or(""), &mut &line[..], &mut out);
        all_well &= status.map_err(Failure::environment)? == rules::YES;
    }
    out.flush().map_err(Failure::environment)?;
    if all_well { Ok(()) } else { Err(Failure::No) }
}

/// The line with what the store knows among its facts, or the answer to a line that names no site of this store.
async fn with_known(
    app: &App,
    line: &[u8],
    site: Option<&str>,
) -> Result<Result<Vec<u8>, Value>, Failure> {
    // A malformed line is told off where every line is read.
    let Ok(mut object) = serde_json::from_slice::<Map<String, Value>>(line) else {
        return Ok(Ok(line.to_owned()));
    };
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let found = match text("site").or(site) {
        None => {
            Err("`site` is missing: --live asks the store about an author at a site".to_owned())
        }
        Some(key) => site_called(app, key),
    };
    let known = match found {
        Ok(site) => known(app, &site, text("name"), text("email"), text("thread")).await?,
        Err(error) => {
            let mut answer = json!({ "error": error });
            if let Some(id) = object.get("id") {
                answer["id"] = id.clone();
            }
            return Ok(Err(answer));
        }
    };
    let facts = object.entry("facts").or_insert_with(|| json!({}));
    if let Value::Object(facts) = facts {
        for (name, value) in known {
            facts.entry(name).or_insert(value);
        }
    }
    Ok(Ok(Value::Object(object).to_string().into_bytes()))
}

fn site_called(app: &App, key: &str) -> Result<std::sync::Arc<Site>, String> {
    let sites = app.sites.current();
    let site = sites.by_key(key).cloned();
    site.ok_or_else(|| format!("there is no site `{key}`"))
}

async fn known(
    app: &App,
    site: &Site,
    name: Option<&str>,
    email: Option<&str>,
    thread: Option<&str>,
) -> Result<Vec<(&'static str, Value)>, Failure> {
    let limit = app.settings.limits.email_bytes;
    let email = email.and_then(|email| EmailAddress::parse(email, limit).ok());
    let mark = name
        .zip(email)
        .map(|(name, email)| app.keyring.typed_mark(site.id, name.trim(), &email));
    let question = Question {
        site: site.id,
        thread: thread.unwrap_or_default().to_owned(),
        parent: None,
        proof: None,
        account: None,
        typed_mark: mark.unwrap_or_default(),
        key_mark: None,
    };
    let signals = app
        .store
        .signals(question)
        .await
        .map_err(Failure::environment)?;
    let mut known = vec![(
        "author.typed_approved",
        json!(signals.typed_approved.unwrap_or(0)),
    )];
    if let Some(made) = signals.thread_created_at {
        let age = app.clock.now().since(Timestamp(made));
        known.push(("thread.age_days", json!(age.as_secs() / 86_400)));
        known.push((
            "thread.comments",
            json!(signals.thread_visible.unwrap_or(0)),
        ));
    }
    Ok(known)
}
