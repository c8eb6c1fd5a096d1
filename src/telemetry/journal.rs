//! The log: one line an event, as JSON or for eyes, with fields from one list.
//!
//! Invariant: one event is one line, whatever was in it. Control and invisible characters are written as escapes, so that
//! a line can neither be forged nor rewrite the terminal that shows it.

use std::fmt::{self, Write as _};
use std::io::Write;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::numbers::numbers;
use crate::domain::Clock;

/// The fields that a line may have. None of them ever holds what a reader typed, or where a reader came from.
pub const ALLOWED: &[&str] = &[
    "attempt",
    "backend",
    "code",
    "column",
    "comment.id",
    "count",
    "decision",
    "duration_ms",
    "errors",
    "file",
    "kind",
    "line",
    "listen",
    "method",
    "outcome",
    "panicked",
    "problem",
    "reason",
    "request.id",
    "revision",
    "rule.id",
    "rule_set",
    "signal",
    "site.key",
    "size_bytes",
    "slug",
    "status",
    "surface",
    "table",
    "task",
    "units",
    "version",
    "warnings",
];

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// One JSON object.
    Json,
    /// For eyes.
    Pretty {
        /// With colours.
        colour: bool,
    },
}

/// Writes events as lines.
#[derive(Debug)]
pub struct Journal<W> {
    look: Look,
    clock: Clock,
    writer: W,
}

impl<W> Journal<W> {
    /// A journal in this look.
    pub fn new(look: Look, writer: W) -> Self {
        Self {
            look,
            clock: Clock::system(),
            writer,
        }
    }
}

/// What was kept of an event or a span.
#[derive(Default)]
struct Kept {
    message: String,
    fields: Vec<(&'static str, Value)>,
    n_dropped: u64,
}

impl Kept {
    fn keep(&mut self, field: &Field, value: impl FnOnce() -> Value) {
        match field.name() {
            name if ALLOWED.contains(&name) => self.fields.push((name, value())),
            // The bridge from the crate `log` adds these four to every event; they say where, which is known.
            name if name.starts_with("log.") => {}
            _ => self.n_dropped += 1,
        }
    }
}

impl Visit for Kept {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.keep(field, || Value::String(format!("{value:?}")));
        }
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.keep(field, || Value::String(value.to_owned()));
        }
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, || value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, || value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, || value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, || value.into());
    }
}

impl<S, W> Layer<S> for Journal<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut kept = Kept::default();
        attributes.record(&mut kept);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(kept);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(kept) = span.extensions_mut().get_mut::<Kept>()
        {
            values.record(kept);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut kept = Kept::default();
        event.record(&mut kept);
        let metadata = event.metadata();
        if !is_ours(metadata) && *metadata.level() > Level::WARN {
            // What others say while debugging may quote what they are working on.
            kept.message = place(metadata);
        }
        let mut n_dropped = kept.n_dropped;
        let mut fields = kept.fields;
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<Kept>() {
                n_dropped += outer.n_dropped;
                fields.extend(outer.fields.iter().cloned());
            }
        }
        if n_dropped > 0 {
            numbers().log_fields_dropped.increment(n_dropped);
        }
        let now = self.clock.now().to_rfc3339();
        let mut line = match self.look {
            Look::Json => json(&now, metadata, &kept.message, fields),
            Look::Pretty { colour } => pretty(&now, metadata, &kept.message, &fields, colour),
        };
        line.push('\n');
        // Nothing is left to tell of a log that cannot be written to.
        drop(
            self.writer
                .make_writer_for(metadata)
                .write_all(line.as_bytes()),
        );
    }
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    target == "anteroom" || target.starts_with("anteroom::")
}

fn place(metadata: &Metadata<'_>) -> String {
    let file = metadata
        .file()
        .and_then(|path| path.rsplit('/').next())
        .unwrap_or_default();
    format!(
        "{}:{file}:{}",
        metadata.target(),
        metadata.line().unwrap_or(0)
    )
}

fn json(now: &str, metadata: &Metadata<'_>, message: &str, fields: Vec<(&str, Value)>) -> String {
    let mut object = Map::new();
    object.insert("at".to_owned(), now.into());
    object.insert(
        "level".to_owned(),
        metadata.level().as_str().to_ascii_lowercase().into(),
    );
    object.insert("target".to_owned(), metadata.target().into());
    object.insert("message".to_owned(), message.into());
    for (name, value) in fields {
        object.entry(name).or_insert(value);
    }
    let mut line = String::new();
    for c in Value::Object(object).to_string().chars() {
        if is_unseen(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                write_or_nothing(&mut line, format_args!("\\u{unit:04x}"));
            }
        } else {
            line.push(c);
        }
    }
    line
}

fn pretty(
    now: &str,
    metadata: &Metadata<'_>,
    message: &str,
    fields: &[(&str, Value)],
    colour: bool,
) -> String {
    let (start, dim, end) = match (colour, *metadata.level()) {
        (false, _) => ("", "", ""),
        (true, Level::ERROR) => ("\x1b[1;31m", "\x1b[2m", "\x1b[0m"),
        (true, Level::WARN) => ("\x1b[1;33m", "\x1b[2m", "\x1b[0m"),
        (true, _) => ("\x1b[36m", "\x1b[2m", "\x1b[0m"),
    };
    let time = now.get(11..19).unwrap_or(now);
    let level = metadata.level();
    let mut line = format!(
        "{dim}{time}{end} {start}{level:>5}{end} {}",
        visible(message)
    );
    for (name, value) in fields {
        let value = match value {
            Value::String(text) => visible(text),
            other => other.to_string(),
        };
        write_or_nothing(&mut line, format_args!(" {dim}{name}={end}{value}"));
    }
    line
}

/// The text with everything that cannot be seen written as an escape.
fn visible(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_unseen(c) {
            write_or_nothing(&mut seen, format_args!("{}", c.escape_unicode()));
        } else {
            seen.push(c);
        }
    }
    seen
}

/// Line and paragraph separators, direction marks, and what takes no room at all.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

fn write_or_nothing(line: &mut String, arguments: fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ = line.write_fmt(arguments);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(look: Look, act: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let journal = Journal::new(look, move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(journal), act);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_field_that_is_not_on_the_list_is_dropped() {
        for look in [Look::Json, Look::Pretty { colour: false }] {
            let line = logged(look, || {
                tracing::info!(code = "busy", email = "ada@example.org", count = 3, "slow");
            });

            assert!(
                line.contains("busy") && line.contains("slow") && line.contains('3'),
                "{line}"
            );
            assert!(!line.contains("ada") && !line.contains("email"), "{line}");
        }
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let nasty = "a\r\nb\u{1b}[2Jc\u{2028}d\u{202e}e\u{9b}f";
        for look in [Look::Json, Look::Pretty { colour: false }] {
            let line = logged(look, || tracing::warn!(code = nasty, "{nasty}"));

            let inside = line.strip_suffix('\n').unwrap();
            assert!(
                !inside.chars().any(|c| c.is_control() || is_unseen(c)),
                "{inside:?}"
            );
        }
    }

    #[test]
    fn a_line_of_json_is_json_and_knows_its_request() {
        let line = logged(Look::Json, || {
            tracing::info_span!("request", request.id = "r1", name = "Ada")
                .in_scope(|| tracing::error!(status = 500, "the store failed \u{202e}"));
        });

        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["request.id"], "r1");
        assert_eq!(line["status"], 500);
        assert_eq!(line["level"], "error");
        assert_eq!(line["message"], "the store failed \u{202e}");
        assert!(line.get("name").is_none());
    }

    #[test]
    fn what_others_say_while_debugging_is_not_quoted() {
        let line = logged(Look::Json, || {
            tracing::debug!(target: "hyper::proto", "read {}", "a secret");
            tracing::warn!(target: "hyper::proto", "loud");
        });

        assert!(!line.contains("a secret"), "{line}");
        assert!(
            line.contains("hyper::proto:journal.rs:") && line.contains("loud"),
            "{line}"
        );
    }
}
