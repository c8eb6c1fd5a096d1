//! `anteroom rules check|test|explain|facts` and `anteroom check --jsonl`: the rule engine at a terminal.
//!
//! Reads a directory and standard input, writes to what it is handed, and says the exit status; it opens no store.
//! Invariant: 0 is yes, 1 is no, 2 is wrong usage or unreadable input.

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json, json};

use crate::app::{gather, rulebook};
use crate::domain::EmailAddress;
use crate::domain::time::Timestamp;
use crate::domain::verdict::decide;
use crate::rules::explain::explain;
use crate::rules::expr::check::FUNCTIONS;
use crate::rules::facts::Source;
use crate::rules::{
    self, Compiled, Diagnostic, FactId, Facts, RuleSet, Severity, SourceFile, Subject, evaluate,
    wire,
};

/// The longest address that tells a fact, in bytes. Source: RFC 5321, section 4.5.3.1.
const MAX_EMAIL_BYTES: usize = 254;

/// The answer is yes.
pub const YES: u8 = 0;
/// The answer is no: an error in a rule file, a failed test, a malformed line.
pub const NO: u8 = 1;
/// Wrong usage or unreadable input.
pub const UNREADABLE: u8 = 2;

/// What to do with rules.
#[derive(Debug, clap::Subcommand)]
pub enum RulesCommand {
    /// Load a rule directory and report what is wrong or doubtful
    Check {
        /// The rule directory [default: the configured one]
        dir: Option<PathBuf>,
        /// Let warnings count as errors
        #[arg(long)]
        deny_warnings: bool,
    },
    /// Run the tests that stand in the rule files
    Test {
        /// The rule directory [default: the configured one]
        dir: Option<PathBuf>,
    },
    /// Judge one submission and say why (JSON on standard input, or by options)
    Explain {
        /// The rule directory [default: the configured one]
        #[arg(long)]
        rules: Option<PathBuf>,
        /// The text
        #[arg(long)]
        body: Option<String>,
        /// The author's name
        #[arg(long)]
        name: Option<String>,
        /// The author's address; only its domain is looked at
        #[arg(long)]
        email: Option<String>,
        /// The author's website
        #[arg(long)]
        url: Option<String>,
        /// The site whose thresholds and overrides hold
        #[arg(long)]
        site: Option<String>,
    },
    /// List every fact and function a condition may use
    Facts,
}

/// What a command runs with: the configured directory, the day, and how to write.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// `rules.dir`.
    pub dir: &'a Path,
    /// Settles which lines and overrides have ended.
    pub today: Timestamp,
    /// Machine-readable output.
    pub json: bool,
    /// The output is a terminal that shows colours.
    pub colour: bool,
}

/// Runs a command and returns its exit status.
///
/// # Errors
/// When the output cannot be written.
pub fn run(
    command: &RulesCommand,
    terms: &Terms<'_>,
    input: &mut dyn BufRead,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    match command {
        RulesCommand::Check { dir, deny_warnings } => {
            let dir = dir.as_deref().unwrap_or(terms.dir);
            check(dir, *deny_warnings, terms, out, err)
        }
        RulesCommand::Test { dir } => test(dir.as_deref().unwrap_or(terms.dir), terms, out, err),
        RulesCommand::Explain {
            rules,
            body,
            name,
            email,
            url,
            site,
        } => {
            let line = match body {
                Some(body) => {
                    let mut object = Map::new();
                    object.insert("body".to_owned(), Json::from(&**body));
                    for (key, value) in [
                        ("name", name),
                        ("email", email),
                        ("url", url),
                        ("site", site),
                    ] {
                        if let Some(value) = value {
                            object.insert(key.to_owned(), Json::from(&**value));
                        }
                    }
                    Json::Object(object).to_string()
                }
                None => io::read_to_string(input)?,
            };
            explain_one(
                rules.as_deref().unwrap_or(terms.dir),
                &line,
                terms,
                out,
                err,
            )
        }
        RulesCommand::Facts => facts(terms, out),
    }
}

/// Reads and compiles; `None` after saying why it cannot be read.
fn load(
    dir: &Path,
    terms: &Terms<'_>,
    err: &mut dyn Write,
) -> io::Result<Option<(Vec<SourceFile>, Compiled)>> {
    match rulebook::read(dir) {
        Ok(files) => {
            let compiled = rules::compile(&files, terms.today);
            Ok(Some((files, compiled)))
        }
        Err(error) => {
            writeln!(
                err,
                "cannot read the rule directory `{}`: {error}",
                dir.display()
            )?;
            Ok(None)
        }
    }
}

/// `rules check`.
fn check(
    dir: &Path,
    deny_warnings: bool,
    terms: &Terms<'_>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let Some((files, compiled)) = load(dir, terms, err)? else {
        return Ok(UNREADABLE);
    };
    let count = |severity| {
        compiled
            .diagnostics
            .iter()
            .filter(|one| one.severity == severity)
            .count()
    };
    let (n_errors, n_warnings) = (count(Severity::Error), count(Severity::Warning));
    let is_fine = n_errors == 0 && (n_warnings == 0 || !deny_warnings);
    if terms.json {
        let diagnostics: Vec<Json> = compiled
            .diagnostics
            .iter()
            .map(Diagnostic::to_json)
            .collect();
        let set = compiled.rule_set.as_ref();
        let report = json!({
            "ok": is_fine, "errors": n_errors, "warnings": n_warnings, "diagnostics": diagnostics,
            "rule_set": set.map(RuleSet::hash), "rules": set.map(|set| set.rules().len()),
        });
        writeln!(out, "{report}")?;
        return Ok(if is_fine { YES } else { NO });
    }
    show(&compiled.diagnostics, &files, dir, terms, out)?;
    let summary = match &compiled.rule_set {
        Some(set) => format!(
            "{} rules, {} tests, {}",
            set.rules().len(),
            set.n_tests(),
            set.hash()
        ),
        None => "the set does not load".to_owned(),
    };
    match (n_errors, n_warnings) {
        (0, 0) => writeln!(out, "ok: {summary}")?,
        (0, _) => writeln!(out, "{}: {summary}", counted(n_warnings, "warning"))?,
        (_, 0) => writeln!(out, "{}: {summary}", counted(n_errors, "error"))?,
        (_, _) => writeln!(
            out,
            "{}, {}: {summary}",
            counted(n_errors, "error"),
            counted(n_warnings, "warning")
        )?,
    }
    Ok(if is_fine { YES } else { NO })
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn show(
    diagnostics: &[Diagnostic],
    files: &[SourceFile],
    dir: &Path,
    terms: &Terms<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let directory = dir.display().to_string();
    for diagnostic in diagnostics {
        writeln!(
            out,
            "{}\n",
            diagnostic.render(files, &directory, terms.colour)
        )?;
    }
    Ok(())
}

/// Shows why a set does not load, and says so by its exit status.
fn refuse(
    files: &[SourceFile],
    compiled: &Compiled,
    dir: &Path,
    terms: &Terms<'_>,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let errors: Vec<_> = compiled
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.is_error())
        .cloned()
        .collect();
    show(&errors, files, dir, terms, err)?;
    Ok(NO)
}

/// `rules test`.
fn test(dir: &Path, terms: &Terms<'_>, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    let Some((files, compiled)) = load(dir, terms, err)? else {
        return Ok(UNREADABLE);
    };
    let Some(set) = &compiled.rule_set else {
        return refuse(&files, &compiled, dir, terms, err);
    };
    let failures = set.run_tests();
    if terms.json {
        let failed: Vec<Json> = failures
            .iter()
            .map(|failure| {
                json!({"rule": failure.rule, "name": failure.name, "file": failure.path,
                       "line": failure.line, "message": failure.message})
            })
            .collect();
        writeln!(out, "{}", json!({"tests": set.n_tests(), "failed": failed}))?;
    } else {
        for failure in &failures {
            let text = files.iter().find(|file| file.path == failure.path);
            let text = text
                .and_then(|file| std::str::from_utf8(&file.bytes).ok())
                .unwrap_or("");
            show(&[failure.diagnostic(text)], &files, dir, terms, out)?;
        }
        let summary = counted(set.n_tests(), "test");
        match failures.len() {
            0 => writeln!(
                out,
                "ok: {summary} of {}",
                counted(set.rules().len(), "rule")
            )?,
            n => writeln!(out, "{n} of {summary} failed")?,
        }
    }
    Ok(if failures.is_empty() { YES } else { NO })
}

/// `rules explain`.
fn explain_one(
    dir: &Path,
    line: &str,
    terms: &Terms<'_>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let Some((files, compiled)) = load(dir, terms, err)? else {
        return Ok(UNREADABLE);
    };
    let Some(set) = &compiled.rule_set else {
        return refuse(&files, &compiled, dir, terms, err);
    };
    let entry = match Entry::parse(line, "", set) {
        Ok(entry) => entry,
        Err((_, problem)) => {
            writeln!(err, "the submission cannot be read: {problem}")?;
            return Ok(UNREADABLE);
        }
    };
    let subject = entry.subject();
    let explanation = explain(set, &subject, &entry.facts);
    if terms.json {
        let mut answer = wire::verdict(&explanation.verdict, set, &entry.facts);
        answer["explanation"] = explanation.to_json();
        writeln!(out, "{answer}")?;
    } else {
        write!(out, "{}", explanation.render(&subject))?;
    }
    Ok(YES)
}

/// `rules facts`.
fn facts(terms: &Terms<'_>, out: &mut dyn Write) -> io::Result<u8> {
    if terms.json {
        let facts: Vec<Json> = FactId::ALL
            .iter()
            .map(|fact| {
                json!({"name": fact.name(), "type": fact.type_of().as_str(), "unit": fact.unit(), "doc": fact.doc(),
                       "sealed": fact.source() == Source::Sealed})
            })
            .collect();
        let functions: Vec<Json> = FUNCTIONS
            .iter()
            .map(|(name, doc)| json!({"name": name, "doc": doc}))
            .collect();
        writeln!(out, "{}", json!({"facts": facts, "functions": functions}))?;
        return Ok(YES);
    }
    for fact in FactId::ALL {
        let unit = if fact.unit().is_empty() {
            String::new()
        } else {
            format!(" [{}]", fact.unit())
        };
        let sealed = if fact.source() == Source::Sealed {
            " Not shown in messages."
        } else {
            ""
        };
        writeln!(
            out,
            "{:26} {:7} {}{unit}{sealed}",
            fact.name(),
            fact.type_of().as_str(),
            fact.doc()
        )?;
    }
    writeln!(
        out,
        "{:26} {:7} The counter of that name in policy.toml. [submissions]",
        "rate.<counter>", "int"
    )?;
    writeln!(out)?;
    for (name, doc) in FUNCTIONS {
        writeln!(out, "{name:34} {doc}")?;
    }
    Ok(YES)
}

/// One line of `check --jsonl`, read.
pub struct Entry {
    /// As given, to be given back.
    pub id: Option<Json>,
    /// The facts: a newcomer's, and those of the line.
    pub facts: Facts,
    site: String,
    body: String,
    name: String,
    url: String,
}

impl Entry {
    /// Reads a line.
    ///
    /// # Errors
    /// The id if it could be read, and what is wrong.
    pub fn parse(line: &str, site: &str, rules: &RuleSet) -> Result<Self, (Option<Json>, String)> {
        let object: Map<String, Json> = serde_json::from_str(line)
            .map_err(|error| (None, format!("not a JSON object: {error}")))?;
        let id = object.get("id").cloned();
        let fail = |problem: String| (id.clone(), problem);
        let text = |key: &str| match object.get(key) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(fail(format!("`{key}` is not a string"))),
        };
        let body = match (text("body")?, text("text")?) {
            (Some(body), _) | (None, Some(body)) => body.replace("\r\n", "\n").replace('\r', "\n"),
            (None, None) => return Err(fail("neither `body` nor `text`".to_owned())),
        };
        let mut facts = rules.newcomer();
        if let Some(typed) = text("email")?
            && let Ok(address) = EmailAddress::parse(typed, MAX_EMAIL_BYTES)
        {
            gather::set_address(&mut facts, &address);
        }
        match object.get("facts") {
            None | Some(Json::Null) => {}
            Some(Json::Object(given)) => {
                for (name, value) in given {
                    facts.set_json(name, value).map_err(&fail)?;
                }
            }
            Some(_) => return Err(fail("`facts` is not an object".to_owned())),
        }
        Ok(Self {
            site: text("site")?.unwrap_or(site).to_owned(),
            name: text("name")?.unwrap_or_default().to_owned(),
            url: text("url")?.unwrap_or_default().to_owned(),
            body,
            facts,
            id: id.clone(),
        })
    }

    /// What is judged.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            site: &self.site,
            body: &self.body,
            name: &self.name,
            url: &self.url,
        }
    }

    /// Judges the line.
    #[must_use]
    pub fn judge(&self, rules: &RuleSet) -> Json {
        let subject = self.subject();
        let verdict = decide(
            evaluate(rules, &subject, &self.facts),
            rules.thresholds(&self.site),
        );
        with_id(
            self.id.as_ref(),
            wire::verdict(&verdict, rules, &self.facts),
        )
    }
}

fn with_id(id: Option<&Json>, answer: Json) -> Json {
    let mut object = Map::new();
    if let Some(id) = id {
        object.insert("id".to_owned(), id.clone());
    }
    if let Json::Object(fields) = answer {
        object.extend(fields);
    }
    Json::Object(object)
}

/// `check --jsonl`: one verdict a line, in order, nothing stored. A malformed line is said on its line; the rest go on.
///
/// # Errors
/// When the input cannot be read or the output cannot be written.
pub fn check_lines(
    rules: &RuleSet,
    site: &str,
    input: &mut dyn BufRead,
    out: &mut dyn Write,
) -> io::Result<u8> {
    let mut status = YES;
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            out.flush()?;
            return Ok(status);
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let answer = std::str::from_utf8(&line)
            .map_err(|_| (None, "not UTF-8".to_owned()))
            .and_then(|line| Entry::parse(line, site, rules));
        match answer {
            Ok(entry) => writeln!(out, "{}", entry.judge(rules))?,
            Err((id, problem)) => {
                status = NO;
                writeln!(out, "{}", with_id(id.as_ref(), json!({ "error": problem })))?;
            }
        }
    }
}

/// Loads the directory and judges the lines of standard input by it.
///
/// # Errors
/// When the input cannot be read or the output cannot be written.
pub fn check_jsonl(
    site: Option<&str>,
    terms: &Terms<'_>,
    input: &mut dyn BufRead,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    match load_set(terms, err)? {
        Some(set) => check_lines(&set, site.unwrap_or(""), input, out),
        None => Ok(UNREADABLE),
    }
}

/// Loads the configured directory; none, after saying why, if it does not load.
///
/// # Errors
/// When that cannot be said.
pub fn load_set(terms: &Terms<'_>, err: &mut dyn Write) -> io::Result<Option<RuleSet>> {
    let Some((files, mut compiled)) = load(terms.dir, terms, err)? else {
        return Ok(None);
    };
    let set = compiled.rule_set.take();
    if set.is_none() {
        refuse(&files, &compiled, terms.dir, terms, err)?;
    }
    Ok(set)
}
