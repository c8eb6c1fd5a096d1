//! The fact table: every name a rule may ask for, with its type, unit and meaning, and the values of one submission.
//!
//! Not where facts are gathered: signals come from the application, facts of the text from [`super::derived`].
//! Invariant: a fact without a value is unknown, never zero.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

/// The type of a fact or of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// A whole number.
    Int,
    /// A number with a fraction.
    Float,
    /// True or false.
    Bool,
    /// Text.
    Text,
}

impl Type {
    /// The name used in messages, as the Common Expression Language calls it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Float => "double",
            Self::Bool => "bool",
            Self::Text => "string",
        }
    }
}

impl Type {
    /// The name with its article, for messages.
    #[must_use]
    pub const fn with_article(self) -> &'static str {
        match self {
            Self::Int => "an int",
            Self::Float => "a double",
            Self::Bool => "a bool",
            Self::Text => "a string",
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The value of a fact.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Text.
    Text(Arc<str>),
}

impl Value {
    /// The type of this value.
    #[must_use]
    pub const fn type_of(&self) -> Type {
        match self {
            Self::Int(_) => Type::Int,
            Self::Float(_) => Type::Float,
            Self::Bool(_) => Type::Bool,
            Self::Text(_) => Type::Text,
        }
    }

    fn to_json(&self) -> Json {
        match self {
            Self::Int(number) => Json::from(*number),
            Self::Float(number) => Json::from(*number),
            Self::Bool(truth) => Json::from(*truth),
            Self::Text(text) => Json::from(&**text),
        }
    }

    /// Reads a JSON value as `wanted`, or nothing if it is of another type.
    #[must_use]
    pub fn from_json(json: &Json, wanted: Type) -> Option<Self> {
        match wanted {
            Type::Int => json.as_i64().map(Self::Int),
            Type::Float => json.as_f64().map(Self::Float),
            Type::Bool => json.as_bool().map(Self::Bool),
            Type::Text => json.as_str().map(|text| Self::Text(text.into())),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number:.2}"),
            Self::Bool(true) => f.write_str("yes"),
            Self::Bool(false) => f.write_str("no"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// Where a fact comes from, which also says how it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Computed from the submission's text during evaluation.
    Text,
    /// A field of the submission itself; never stored as a fact.
    Field,
    /// Asked of the store, the request or a model before evaluation.
    Signal,
    /// A signal that rests on the address or the client network; stored sealed, refused in messages.
    Sealed,
}

macro_rules! fact_table {
    ($($id:ident, $name:literal, $type:ident, $source:ident, $unit:literal, $doc:literal;)*) => {
        /// Every fact a rule can ask for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FactId { $(#[doc = $doc] $id,)* }

        impl FactId {
            /// All facts, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$id,)*];

            const fn row(self) -> Row {
                match self { $(Self::$id => Row {
                    name: $name, kind: Type::$type, source: Source::$source, unit: $unit, doc: $doc,
                },)* }
            }
        }
    };
}

struct Row {
    name: &'static str,
    kind: Type,
    source: Source,
    unit: &'static str,
    doc: &'static str,
}

fact_table! {
    BodyText, "body.text", Text, Field, "", "The text as typed, with CRLF and CR as LF.";
    BodyBytes, "body.bytes", Int, Text, "bytes", "Length of the text in bytes.";
    BodyChars, "body.chars", Int, Text, "characters", "Length of the text in code points.";
    BodyWords, "body.words", Int, Text, "words", "Words by Unicode segmentation.";
    BodyLanguage, "body.language", Text, Text, "ISO 639-3", "The language of the text; unknown if it cannot be told.";
    BodyLanguageKnown, "body.language_known", Bool, Text, "", "Whether the language of the text could be told.";
    BodyScript, "body.script", Text, Text, "ISO 15924", "The script most letters are written in.";
    BodyMixedScript, "body.mixed_script", Bool, Text, "", "Whether one word mixes look-alike scripts.";
    BodyCapsRatio, "body.caps_ratio", Float, Text, "0..1", "Share of capitals among the letters that have case.";
    BodyRepeatRatio, "body.repeat_ratio", Float, Text, "0..1", "Share of characters that repeat the one before, three or more in a row.";
    BodyEntropy, "body.entropy", Float, Text, "bits", "Shannon entropy of the characters.";
    BodyGibberish, "body.gibberish", Float, Text, "0..1", "How unlike written words the letters are.";
    BodyEvasion, "body.evasion", Int, Text, "places", "Places disguised by invisible characters, direction overrides or look-alike letters.";
    LinksCount, "links.count", Int, Text, "links", "Links in the text, bare domains included.";
    LinksDomains, "links.domains", Int, Text, "domains", "Distinct registrable domains linked to.";
    LinksShorteners, "links.shorteners", Int, Text, "links", "Links to hosts on the list `[lists] shorteners` names.";
    LinksRatio, "links.ratio", Float, Text, "0..1", "Share of the text's bytes that are links.";
    LinksNewDomains, "links.new_domains", Int, Signal, "domains", "Linked domains this site has not approved before.";
    LinksAnchorMismatch, "links.anchor_mismatch", Int, Text, "links", "Links whose visible text names another domain.";
    LinksBbcode, "links.bbcode", Int, Text, "links", "Links written as `BBCode`.";
    LinksHtml, "links.html", Int, Text, "links", "Links written as HTML.";
    AuthorName, "author.name", Text, Field, "", "The name as typed.";
    AuthorNameHasLink, "author.name_has_link", Bool, Text, "", "Whether the name holds a link or a domain.";
    AuthorEmailDomain, "author.email_domain", Text, Sealed, "", "The domain of the address, in lower case.";
    AuthorEmailDisposable, "author.email_disposable", Bool, Sealed, "", "Whether that domain is on the list `[lists] disposable` names.";
    AuthorEmailRole, "author.email_role", Bool, Sealed, "", "Whether the address is a role such as `info` or `admin`.";
    AuthorUrlDomain, "author.url_domain", Text, Text, "", "The registrable domain of the author's website.";
    AuthorVerified, "author.verified", Bool, Signal, "", "Whether authorship is proven: a receipt, a verified address or the blog's login.";
    AuthorApproved, "author.approved", Int, Signal, "comments", "Approved comments of the same proven author.";
    AuthorRejected, "author.rejected", Int, Signal, "comments", "Rejected comments of the same proven author.";
    AuthorPending, "author.pending", Int, Signal, "comments", "Waiting comments of the same proven author.";
    AuthorTypedApproved, "author.typed_approved", Int, Signal, "comments", "Approved comments under the same typed name and address; proves nothing.";
    AuthorFirstSeenDays, "author.first_seen_days", Int, Signal, "days", "Days since the proven author's first comment.";
    AuthorTrusted, "author.trusted", Bool, Signal, "", "Whether a moderator marked the proven author as trusted.";
    IpNet, "ip.net", Text, Sealed, "network", "The client's network: IPv4 by /24, IPv6 by /64.";
    IpKnownSpam, "ip.known_spam", Bool, Sealed, "", "Whether this network sent rejected spam in the last days.";
    ClientSecondsOnForm, "client.seconds_on_form", Float, Signal, "seconds", "From the form's signed stamp to the submission.";
    ClientTrapFilled, "client.trap_filled", Bool, Signal, "", "Whether the field no person sees was filled in.";
    ClientUserAgent, "client.user_agent", Text, Signal, "", "What the client calls itself.";
    ClientReferrer, "client.referrer", Text, Signal, "", "The page the client says it came from.";
    ThreadAgeDays, "thread.age_days", Int, Signal, "days", "Age of the thread.";
    ThreadComments, "thread.comments", Int, Signal, "comments", "Approved comments in the thread.";
    ThreadLanguage, "thread.language", Text, Signal, "ISO 639-3", "The language most of the thread is written in.";
    ParentExists, "parent.exists", Bool, Signal, "", "Whether this answers another comment.";
    ParentBySameAuthor, "parent.by_same_author", Bool, Signal, "", "Whether it answers the author's own comment.";
    SimilarSpam, "similar.spam", Int, Signal, "comments", "Near-duplicates rejected as spam in the last 14 days.";
    SimilarApproved, "similar.approved", Int, Signal, "comments", "Near-duplicates approved in the last 14 days.";
    SimilarPending, "similar.pending", Int, Signal, "comments", "Near-duplicates waiting, of the last 14 days.";
    ModelSpam, "model.spam", Float, Signal, "0..1", "Calibrated probability of spam; unknown without a model.";
    ModelAbuse, "model.abuse", Float, Signal, "0..1", "Calibrated probability of abuse; unknown without a model.";
    SiteKey, "site.key", Text, Field, "", "The key of the site.";
    EditIsEdit, "edit.is_edit", Bool, Signal, "", "Whether this is a new version of an earlier comment.";
    EditAddsLink, "edit.adds_link", Bool, Signal, "", "Whether the new version links where the old one did not.";
    TimeHour, "time.hour", Int, Signal, "0..23", "The hour of the submission, UTC.";
    TimeWeekday, "time.weekday", Int, Signal, "1..7", "The weekday of the submission, Monday 1, UTC.";
    CanaryBucket, "canary.bucket", Int, Sealed, "0..99", "Where the author falls among a hundred, for rules in canary mode; unknown counts as inside.";
}

/// How many facts there are.
const N_FACTS: usize = FactId::ALL.len();

impl FactId {
    /// The dotted name used in rule files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// The type of its values.
    #[must_use]
    pub const fn type_of(self) -> Type {
        self.row().kind
    }

    /// Where it comes from.
    #[must_use]
    pub const fn source(self) -> Source {
        self.row().source
    }

    /// The unit or notation of its values; empty if they need none.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        self.row().unit
    }

    /// What it means, one sentence.
    #[must_use]
    pub const fn doc(self) -> &'static str {
        self.row().doc
    }

    /// Finds a fact by its dotted name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|fact| fact.name() == name)
    }
}

/// A set of facts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FactSet(u64);

const _: () = assert!(N_FACTS <= 64, "FactSet holds 64 facts");

impl FactSet {
    /// Adds `fact`.
    pub fn insert(&mut self, fact: FactId) {
        self.0 |= 1 << fact as u32;
    }

    /// Whether `fact` is in it.
    #[must_use]
    pub const fn contains(self, fact: FactId) -> bool {
        self.0 & (1 << fact as u32) != 0
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// The facts of one submission: an array by fact, and the counters by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    values: Box<[Option<Value>]>,
    counters: Vec<(Arc<str>, i64)>,
}

impl Default for Facts {
    fn default() -> Self {
        Self::new()
    }
}

impl Facts {
    /// Nothing known.
    #[must_use]
    pub fn new() -> Self {
        Self {
            values: vec![None; N_FACTS].into_boxed_slice(),
            counters: Vec::new(),
        }
    }

    /// The facts of an author never seen before, in a thread without comments; what the store cannot say stays
    /// unknown. A line judged with these is judged the same anywhere.
    #[must_use]
    pub fn newcomer<'a>(counters: impl IntoIterator<Item = &'a str>) -> Self {
        let mut facts = Self::new();
        for fact in [
            FactId::LinksNewDomains,
            FactId::AuthorApproved,
            FactId::AuthorRejected,
            FactId::AuthorPending,
            FactId::AuthorTypedApproved,
            FactId::AuthorFirstSeenDays,
            FactId::ThreadAgeDays,
            FactId::ThreadComments,
            FactId::SimilarSpam,
            FactId::SimilarApproved,
            FactId::SimilarPending,
        ] {
            facts.set(fact, Value::Int(0));
        }
        for fact in [
            FactId::AuthorVerified,
            FactId::AuthorTrusted,
            FactId::ParentExists,
            FactId::ParentBySameAuthor,
            FactId::EditIsEdit,
            FactId::EditAddsLink,
        ] {
            facts.set(fact, Value::Bool(false));
        }
        for counter in counters {
            facts.set_counter(counter, 0);
        }
        facts
    }

    /// Sets a fact. A value of another type than the fact's is not stored: the fact becomes unknown, because a
    /// rule that was checked against the table must never meet it.
    pub fn set(&mut self, fact: FactId, value: Value) {
        let fits = value.type_of() == fact.type_of();
        debug_assert!(fits, "{} is {}", fact.name(), fact.type_of().with_article());
        self.values[fact as usize] = fits.then_some(value);
    }

    /// Makes a fact unknown.
    pub fn forget(&mut self, fact: FactId) {
        self.values[fact as usize] = None;
    }

    /// The value of a fact, if it is known.
    #[must_use]
    pub fn get(&self, fact: FactId) -> Option<&Value> {
        self.values[fact as usize].as_ref()
    }

    /// Sets the count of the counter `name` (without `rate.`).
    pub fn set_counter(&mut self, name: &str, count: i64) {
        match self.counters.iter_mut().find(|(known, _)| **known == *name) {
            Some((_, known)) => *known = count,
            None => self.counters.push((name.into(), count)),
        }
    }

    /// The count of the counter `name`, if it is known.
    #[must_use]
    pub fn counter(&self, name: &str) -> Option<i64> {
        self.counters
            .iter()
            .find(|(known, _)| **known == *name)
            .map(|(_, count)| *count)
    }

    /// The facts as two JSON objects: the open ones, and those that must be stored sealed. Fields of the submission
    /// are in neither: they are stored as what they are.
    #[must_use]
    pub fn to_json(&self) -> (Json, Json) {
        let mut open = Map::new();
        let mut sealed = Map::new();
        for fact in FactId::ALL {
            let Some(value) = self.get(*fact) else {
                continue;
            };
            let target = match fact.source() {
                Source::Field => continue,
                Source::Sealed => &mut sealed,
                Source::Text | Source::Signal => &mut open,
            };
            target.insert(fact.name().to_owned(), value.to_json());
        }
        for (name, count) in &self.counters {
            open.insert(format!("rate.{name}"), Json::from(*count));
        }
        (Json::Object(open), Json::Object(sealed))
    }

    /// Reads what [`Facts::to_json`] wrote. Names and types this version does not know are left unknown, so that
    /// rows of an older version can be read.
    #[must_use]
    pub fn from_json(open: &Json, sealed: Option<&Json>) -> Self {
        let mut facts = Self::new();
        for object in [Some(open), sealed]
            .into_iter()
            .flatten()
            .filter_map(Json::as_object)
        {
            for (name, value) in object {
                // Unknown names are skipped on purpose: see above.
                let _known = facts.set_json(name, value);
            }
        }
        facts
    }

    /// Sets the fact or counter called `name` from JSON.
    ///
    /// # Errors
    /// Says what is wrong when there is no such fact or the value has another type.
    pub fn set_json(&mut self, name: &str, value: &Json) -> Result<(), String> {
        if let Some(counter) = name.strip_prefix("rate.") {
            let count = value
                .as_i64()
                .ok_or_else(|| format!("`{name}` is an int"))?;
            self.set_counter(counter, count);
            return Ok(());
        }
        let fact = FactId::by_name(name).ok_or_else(|| format!("there is no fact `{name}`"))?;
        let value = Value::from_json(value, fact.type_of())
            .ok_or_else(|| format!("`{name}` is {}", fact.type_of().with_article()))?;
        self.set(fact, value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_written_as_json_are_read_back_the_same() {
        let mut facts = Facts::newcomer(["ip_10m"]);
        facts.set(FactId::AuthorEmailDomain, Value::Text("mail.test".into()));
        facts.set(FactId::BodyCapsRatio, Value::Float(0.25));

        let (open, sealed) = facts.to_json();

        assert_eq!(Facts::from_json(&open, Some(&sealed)), facts);
    }

    #[test]
    fn what_rests_on_the_address_or_the_network_is_sealed() {
        let mut facts = Facts::new();
        facts.set(FactId::AuthorEmailDomain, Value::Text("mail.test".into()));
        facts.set(FactId::IpNet, Value::Text("192.0.2.0/24".into()));
        facts.set(FactId::AuthorApproved, Value::Int(3));

        let (open, sealed) = facts.to_json();

        assert_eq!(open.to_string(), r#"{"author.approved":3}"#);
        assert!(sealed.get("ip.net").is_some() && sealed.get("author.email_domain").is_some());
    }

    #[test]
    fn every_name_is_found_again() {
        for fact in FactId::ALL {
            assert_eq!(FactId::by_name(fact.name()), Some(*fact));
        }
    }
}
