//! `anteroom load`: the texts of a JSON Lines file through the HTTP API of a running service.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::PathBuf;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpStream;

use super::Failure;

/// `anteroom load`
#[derive(clap::Args)]
pub(super) struct LoadArguments {
    /// A file with one JSON object a line; `text` or `body` is the comment, `author` or `name` its author if it has one
    file: PathBuf,
    /// The running service; plain http, such as <http://127.0.0.1:8080>
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The site's key
    #[arg(long)]
    site: String,
    /// The thread's key
    #[arg(long, default_value = "/load/")]
    thread: String,
    /// The site's API key, if the service is not to count all lines as one client
    #[arg(long, env = "ANTEROOM_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(alias = "text")]
    body: String,
    #[serde(alias = "author")]
    name: Option<String>,
}

/// Submits every line and counts the answers.
pub(super) async fn load(arguments: LoadArguments) -> Result<(), Failure> {
    let lines = read(&arguments.file).map_err(Failure::Usage)?;
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let progress = ProgressBar::with_draw_target(Some(lines.len() as u64), target);
    let answers = submit_all(&arguments, &lines, &progress)
        .await
        .map_err(Failure::Environment)?;
    progress.finish_and_clear();
    for (status, n) in &answers {
        println!("{n:>8}  {}", meaning(*status));
    }
    let refused = answers
        .iter()
        .any(|(status, _)| !matches!(status, 201 | 202 | 409 | 422));
    if refused { Err(Failure::No) } else { Ok(()) }
}

fn meaning(status: u16) -> String {
    match status {
        201 => "published (201)".to_owned(),
        202 => "waiting, or rejected in silence (202)".to_owned(),
        409 => "said before by the same author (409)".to_owned(),
        422 => "rejected, or with a field that cannot be taken (422)".to_owned(),
        429 => "refused by a rate (429); set the service's rates to 0 for a load".to_owned(),
        other => format!("answered {other}"),
    }
}

fn read(path: &PathBuf) -> anyhow::Result<Vec<Line>> {
    let file = File::open(path).with_context(|| format!("cannot open `{}`", path.display()))?;
    let mut lines = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.with_context(|| format!("line {} cannot be read", number + 1))?;
        if !line.trim().is_empty() {
            lines.push(
                serde_json::from_str(&line)
                    .with_context(|| format!("line {} is not a comment", number + 1))?,
            );
        }
    }
    Ok(lines)
}

async fn submit_all(
    arguments: &LoadArguments,
    lines: &[Line],
    progress: &ProgressBar,
) -> anyhow::Result<BTreeMap<u16, u64>> {
    let Some(authority) = arguments.url.trim_end_matches('/').strip_prefix("http://") else {
        bail!("--url must start with http://");
    };
    let stream = TcpStream::connect(authority)
        .await
        .with_context(|| format!("cannot reach the service at {}", arguments.url))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the connection runs beside the requests on it"
    )]
    let connection = tokio::spawn(connection);
    let mut answers = BTreeMap::new();
    for (number, line) in lines.iter().enumerate() {
        let name = line
            .name
            .as_deref()
            .map(str::trim)
            .filter(|name| !name.is_empty());
        let body = json!({
            "thread": { "key": arguments.thread },
            "author": {
                "name": name.map_or_else(|| format!("Reader {}", number + 1), str::to_owned),
                "email": format!("reader-{}@load.example", number + 1),
            },
            "body": line.body,
        });
        let mut request = Request::post(format!("/api/v1/sites/{}/comments", arguments.site))
            .header(header::HOST, authority)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = &arguments.api_key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        let request = request.body(Full::new(Bytes::from(body.to_string())))?;
        // The connection takes the next request only once it has seen the end of the last answer.
        sender.ready().await.context("the service hung up")?;
        let answer = sender
            .send_request(request)
            .await
            .context("the service hung up")?;
        let status = answer.status().as_u16();
        // Read to its end, so that the connection can carry the next request.
        answer.into_body().collect().await?;
        *answers.entry(status).or_default() += 1;
        progress.inc(1);
    }
    drop(sender);
    connection.await??;
    Ok(answers)
}
