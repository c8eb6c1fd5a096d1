//! The commands: arguments in, exit status out.
//!
//! 0 is success, 1 means that the answer is "no", 2 wrong usage or unreadable input, 3 that the environment failed.

mod audit;
mod keys;
mod live;
mod open;
mod operate;
mod people;
mod places;
pub mod rules;
mod serve;
mod tell;

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Config;
use crate::domain::Clock;

/// A comment moderation service.
#[derive(Parser)]
#[command(name = "anteroom", version, about, arg_required_else_help = true)]
struct Arguments {
    /// The configuration file; built-in defaults apply where the default one is absent
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service: public API, console, background work
    Serve,
    /// Check, test and explain rule files
    #[command(subcommand)]
    Rules(rules::RulesCommand),
    /// Judge submissions from standard input, one JSON object a line; nothing is stored
    Check(CheckArguments),
    /// Submit the texts of a JSON Lines file to a running service, each as an author of its own
    Load(operate::LoadArguments),
    /// Add and change sites
    #[command(subcommand)]
    Site(places::SiteCommand),
    /// Close, open and rename threads
    #[command(subcommand)]
    Thread(places::ThreadCommand),
    /// Add and change people who may log in
    #[command(subcommand)]
    User(people::UserCommand),
    /// Make API tokens and make them void
    #[command(subcommand)]
    Token(people::TokenCommand),
    /// Look at the key ring
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Look at the audit log
    #[command(subcommand)]
    Audit(audit::AuditCommand),
}

/// `anteroom check`
#[derive(clap::Args)]
struct CheckArguments {
    /// Read JSON Lines (the only format there is)
    #[arg(long, required = true)]
    jsonl: bool,
    /// The site whose thresholds and overrides hold
    #[arg(long, value_name = "KEY")]
    site: Option<String>,
    /// Ask the store what it knows of each line's author and thread
    #[arg(long)]
    live: bool,
}

/// Why a command ended without success.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The answer is "no"; whatever there is to say has been said.
    No,
    /// The answer is "no", and this is why.
    Refused(String),
    /// Wrong usage or unreadable input, which has been said.
    Unreadable,
    /// Wrong usage or unreadable input.
    Usage(anyhow::Error),
    /// The environment failed.
    Environment(anyhow::Error),
}

impl Failure {
    fn refused(why: &impl ToString) -> Self {
        Self::Refused(why.to_string())
    }

    fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self::Usage(error.into())
    }

    fn environment(error: impl Into<anyhow::Error>) -> Self {
        Self::Environment(error.into())
    }
}

/// Runs the command that the process was started with.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way too, and are a success.
            let failed = error.use_stderr();
            if error.print().is_err() {
                return ExitCode::from(3);
            }
            return ExitCode::from(if failed { 2 } else { 0 });
        }
    };
    match dispatch(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::No) => ExitCode::from(1),
        Err(Failure::Refused(why)) => {
            eprintln!("error: {why}");
            ExitCode::from(1)
        }
        Err(Failure::Unreadable) => ExitCode::from(2),
        Err(Failure::Usage(error)) => {
            eprintln!("error: {}", chain(&error));
            ExitCode::from(2)
        }
        Err(Failure::Environment(error)) => {
            eprintln!("error: {}", chain(&error));
            ExitCode::from(3)
        }
    }
}

fn dispatch(arguments: Arguments) -> Result<(), Failure> {
    let config = Config::load(arguments.config.as_deref()).map_err(Failure::usage)?;
    let json = arguments.json;
    match arguments.command {
        Command::Serve => on_runtime(serve::run(config)),
        Command::Rules(command) => at_terminal(&config, json, |terms, input, out, err| {
            rules::run(&command, terms, input, out, err)
        }),
        Command::Check(check) if check.live => {
            let directory = config.rules.dir.clone();
            let terms = rules::Terms {
                dir: &directory,
                today: Clock::system().now(),
                json,
                colour: false,
            };
            on_runtime(live::check(config, check.site, &terms))
        }
        Command::Check(check) => at_terminal(&config, json, |terms, input, out, err| {
            rules::check_jsonl(check.site.as_deref(), terms, input, out, err)
        }),
        Command::Load(load) => on_runtime(operate::load(load)),
        Command::Site(command) => on_runtime(places::site(command, config, json)),
        Command::Thread(command) => on_runtime(places::thread(command, config, json)),
        Command::User(command) => on_runtime(people::user(command, config, json)),
        Command::Token(command) => on_runtime(people::token(command, config, json)),
        Command::Keys(command) => on_runtime(keys::run(command, config, json)),
        Command::Audit(command) => on_runtime(audit::run(command, config, json)),
    }
}

/// Runs a command that needs no store on the process's own input and output.
fn at_terminal(
    config: &Config,
    json: bool,
    command: impl FnOnce(
        &rules::Terms<'_>,
        &mut dyn BufRead,
        &mut dyn Write,
        &mut dyn Write,
    ) -> io::Result<u8>,
) -> Result<(), Failure> {
    let terms = rules::Terms {
        dir: &config.rules.dir,
        today: Clock::system().now(),
        json,
        colour: io::stderr().is_terminal() && io::stdout().is_terminal(),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let status = command(
        &terms,
        &mut io::stdin().lock(),
        &mut out,
        &mut io::stderr().lock(),
    );
    let status = status.and_then(|status| out.flush().map(|()| status));
    match status {
        Ok(rules::YES) => Ok(()),
        Ok(rules::NO) => Err(Failure::No),
        Ok(_) => Err(Failure::Unreadable),
        // Whoever read our output has heard enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::environment(error)),
    }
}

fn on_runtime(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("anteroom")
        .build()
        .map_err(Failure::environment)?;
    let result = runtime.block_on(work);
    // Everything that matters has been awaited; rules that are still being compiled are nobody's loss.
    runtime.shutdown_background();
    result
}

/// An error with its causes, each said once: some errors repeat their cause in their own words.
fn chain(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if said.contains(&cause) {
            continue;
        }
        if !said.is_empty() {
            said.push_str(": ");
        }
        said.push_str(&cause);
    }
    said
}
