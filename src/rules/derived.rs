//! Facts of the text itself, computed when a rule asks and not before.
//!
//! Not the signals: those come from outside, in [`Facts`].
//! Invariant: the same submission and rule set give the same values for ever.

use std::cell::OnceCell;

use super::facts::{FactId, Source, Value};
use super::{Facts, RuleSet, Subject};
use crate::domain::verdict::Field;
use crate::text::links::{self, Form, Link};
use crate::text::script::{self, Language, Shape};

/// What several facts of one submission's text rest on, each computed once.
#[derive(Debug, Default)]
pub(super) struct Derived {
    links: [OnceCell<Vec<Link>>; 3],
    shape: OnceCell<Shape>,
    language: OnceCell<Option<Language>>,
}

/// Whether a fact can be computed here.
pub(super) fn is_derived(fact: FactId) -> bool {
    fact.source() == Source::Text || fact == FactId::AuthorEmailDisposable
}

impl Derived {
    /// The links of a field.
    pub(super) fn links(&self, subject: &Subject<'_>, field: Field) -> &[Link] {
        self.links[field as usize].get_or_init(|| match field {
            Field::Body => links::find(subject.body),
            Field::AuthorName => links::find(subject.name),
            Field::AuthorUrl => links::find(subject.url),
        })
    }

    fn shape(&self, subject: &Subject<'_>) -> &Shape {
        self.shape.get_or_init(|| Shape::of(subject.body))
    }

    /// The language, where the text is long and clear enough to rely on it.
    fn language(&self, subject: &Subject<'_>) -> Option<&Language> {
        self.language
            .get_or_init(|| script::language(subject.body))
            .as_ref()
            .filter(|language| language.is_reliable)
    }

    /// The value of a fact of the text; none if it cannot be told or is none of the text.
    pub(super) fn fact(
        &self,
        rules: &RuleSet,
        subject: &Subject<'_>,
        facts: &Facts,
        fact: FactId,
    ) -> Option<Value> {
        let links = || self.links(subject, Field::Body);
        let shape = || self.shape(subject);
        let written = |form: Form| links().iter().filter(|link| link.form == form).count();
        Some(match fact {
            FactId::BodyBytes => count(subject.body.len()),
            FactId::BodyChars => count(shape().chars),
            FactId::BodyWords => count(shape().words),
            FactId::BodyLanguage => Value::Text(self.language(subject)?.code.into()),
            FactId::BodyLanguageKnown => Value::Bool(self.language(subject).is_some()),
            FactId::BodyScript => Value::Text(shape().script?.into()),
            FactId::BodyMixedScript => Value::Bool(shape().mixed_words > 0),
            FactId::BodyCapsRatio => Value::Float(shape().caps_ratio),
            FactId::BodyRepeatRatio => Value::Float(shape().repeat_ratio),
            FactId::BodyEntropy => Value::Float(shape().entropy),
            FactId::BodyGibberish => Value::Float(shape().gibberish),
            FactId::BodyEvasion => count(shape().disguised_places),
            FactId::LinksCount => count(links().len()),
            FactId::LinksDomains => count(distinct_domains(links())),
            FactId::LinksShorteners => {
                let _known = rules.shorteners?;
                let is_short = |link: &&Link| rules.is_shortener(&link.host);
                count(links().iter().filter(is_short).count())
            }
            FactId::LinksRatio => Value::Float(share_of_links(links(), subject.body)),
            FactId::LinksAnchorMismatch => {
                count(links().iter().filter(|link| link.is_mismatched).count())
            }
            FactId::LinksBbcode => count(written(Form::Bbcode)),
            FactId::LinksHtml => count(written(Form::Html)),
            FactId::AuthorNameHasLink => {
                Value::Bool(!self.links(subject, Field::AuthorName).is_empty())
            }
            FactId::AuthorUrlDomain => Value::Text(links::registrable_domain(subject.url)?.into()),
            FactId::AuthorEmailDisposable => match facts.get(FactId::AuthorEmailDomain)? {
                Value::Text(domain) => {
                    Value::Bool(rules.lists[rules.disposable? as usize].holds(domain))
                }
                Value::Int(_) | Value::Float(_) | Value::Bool(_) => return None,
            },
            _ => return None,
        })
    }
}

fn count(number: usize) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn distinct_domains(links: &[Link]) -> usize {
    let mut domains: Vec<&str> = links
        .iter()
        .map(|link| link.domain.as_deref().unwrap_or(&link.host))
        .collect();
    domains.sort_unstable();
    domains.dedup();
    domains.len()
}

#[expect(clippy::cast_precision_loss, reason = "a share of at most some 64 KiB")]
fn share_of_links(links: &[Link], body: &str) -> f64 {
    let linked: usize = links.iter().map(|link| link.span.len()).sum();
    let all = body.trim().len();
    if all == 0 {
        0.0
    } else {
        (linked as f64 / all as f64).min(1.0)
    }
}
