//! Messages with places for facts: `{links.count} links, {author.approved} approved comments before`.
//!
//! Invariant: a template never holds a fact that rests on an address or a client network.

use std::ops::Range;

use super::diagnostic::nearest;
use super::facts::{FactId, Source, Value};

/// A message with places to fill in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Fact(FactId),
    Counter(String),
    Hit,
}

/// What can stand in a place.
pub(super) trait Fill {
    fn fact(&self, fact: FactId) -> Option<Value>;
    fn counter(&self, name: &str) -> Option<i64>;
    /// The first words that hit, as typed.
    fn hit(&self) -> Option<&str>;
}

/// Longest text filled into one place, in characters; the spans show the rest.
const MAX_FILLED: usize = 60;

impl Template {
    /// A message without places.
    pub(super) fn plain(text: &str) -> Self {
        Self {
            source: text.to_owned(),
            parts: vec![Part::Text(text.to_owned())],
        }
    }

    /// Parses a message.
    ///
    /// # Errors
    /// The bytes of the place that cannot be filled, why, and what to write.
    pub(super) fn parse(
        text: &str,
        counters: &[&str],
    ) -> Result<Self, (Range<usize>, String, Option<String>)> {
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(open) = text[at..].find('{').map(|open| at + open) {
            let Some(close) = text[open..].find('}').map(|close| open + close) else {
                return Err((
                    open..text.len(),
                    "this place has no closing `}`".to_owned(),
                    None,
                ));
            };
            parts.push(Part::Text(text[at..open].to_owned()));
            parts.push(
                place(&text[open + 1..close], counters)
                    .map_err(|(message, help)| (open..close + 1, message, help))?,
            );
            at = close + 1;
        }
        parts.push(Part::Text(text[at..].to_owned()));
        Ok(Self {
            source: text.to_owned(),
            parts,
        })
    }

    /// The message as written in the file.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// The facts it asks for.
    pub(super) fn facts(&self) -> impl Iterator<Item = FactId> {
        self.parts.iter().filter_map(|part| match part {
            Part::Fact(fact) => Some(*fact),
            Part::Text(_) | Part::Counter(_) | Part::Hit => None,
        })
    }

    pub(super) fn fill(&self, values: &impl Fill) -> String {
        let mut message = String::with_capacity(self.source.len());
        for part in &self.parts {
            let value = match part {
                Part::Text(text) => {
                    message.push_str(text);
                    continue;
                }
                Part::Fact(fact) => values.fact(*fact).map(|value| value.to_string()),
                Part::Counter(name) => values.counter(name).map(|count| count.to_string()),
                Part::Hit => values.hit().map(str::to_owned),
            };
            let Some(value) = value else {
                message.push_str("unknown");
                continue;
            };
            // Control characters would let a comment draw in a terminal or break a line of a log.
            let shown = value.chars().map(|c| if c.is_control() { ' ' } else { c });
            message.extend(shown.take(MAX_FILLED));
            if value.chars().count() > MAX_FILLED {
                message.push('…');
            }
        }
        message
    }
}

fn place(name: &str, counters: &[&str]) -> Result<Part, (String, Option<String>)> {
    if name == "hit" {
        return Ok(Part::Hit);
    }
    if let Some(counter) = name.strip_prefix("rate.") {
        if counters.contains(&counter) {
            return Ok(Part::Counter(counter.to_owned()));
        }
        let help = nearest(counter, counters.iter().copied())
            .map(|known| format!("did you mean `rate.{known}`?"));
        return Err((format!("there is no counter `{counter}`"), help));
    }
    let Some(fact) = FactId::by_name(name) else {
        let help = nearest(name, FactId::ALL.iter().map(|fact| fact.name()))
            .map(|known| format!("did you mean `{known}`?"));
        return Err((format!("there is no fact `{name}`"), help));
    };
    if fact.source() == Source::Sealed {
        return Err((
            format!("`{name}` rests on the address or the network and is shown to nobody"),
            Some("say it in words instead".to_owned()),
        ));
    }
    Ok(Part::Fact(fact))
}
