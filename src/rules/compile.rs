//! From what the files say to a set that can run: names resolved, numbers judged, automata built.
//!
//! Invariant: the set exists if and only if no diagnostic is an error.

mod order;
mod plan;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Severity, nearest, suggest};
use super::expr::{self, Names};
use super::facts::{FactId, FactSet};
use super::lists::List;
use super::pattern::PatternPass;
use super::source::list::{ListKind, RawList};
use super::source::log::{At, File, Log};
use super::source::rule::{RawPattern, RawRule, RawWords};
use super::source::table::offset_in_literal;
use super::source::{self, Kind, Sources, kind_of};
use super::template::Template;
use super::words::{Builder, Match, Words};
use super::{Compiled, Effect, Mode, Rule, RuleSet, SourceFile, check, trial};
use crate::domain::time::Timestamp;
use crate::domain::verdict::{Action, Field, Label};
use crate::text::See;

/// Most rules in one directory.
const MAX_RULES: usize = 20_000;
/// Points a disguised hit adds where the rule says nothing.
const EVASION_POINTS: f64 = 1.0;
/// What words see where the rule says nothing: what honest writing varies in, and what no reader sees.
const WORDS_SEE: [&str; 4] = ["fold", "accents", "invisible", "bidi"];
/// What patterns see where the rule says nothing.
const PATTERN_SEE: [&str; 1] = ["fold"];

/// The words a rule looks for.
#[derive(Debug)]
pub(super) struct WordsOf {
    pub(super) fields: Fields,
    /// A list of domains that links are looked up in; literals and patterns are found by the passes.
    pub(super) domains: Option<u32>,
    /// The words come from a list of patterns.
    pub(super) are_patterns: bool,
}

/// The pattern a rule looks for.
#[derive(Debug)]
pub(super) struct PatternOf {
    pub(super) fields: Fields,
}

/// The passes over the text: one automaton for the words of a view, one for the literals of its patterns.
#[derive(Debug, Default)]
pub(super) struct Passes {
    /// The distinct ways of seeing; the index of a view is its place here.
    pub(super) views: Vec<See>,
    pub(super) words: Option<Words>,
    /// The fields any rule looks for words in.
    pub(super) word_fields: Fields,
    pub(super) patterns: Vec<(usize, Fields, PatternPass)>,
}

/// A set of fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields(u8);

/// The fields words and patterns can look at, in the order of their indexes.
pub(super) const FIELDS: [Field; 3] = [Field::Body, Field::AuthorName, Field::AuthorUrl];

impl Fields {
    pub(super) fn insert(&mut self, field: Field) {
        self.0 |= 1 << field as u8;
    }

    pub(super) const fn contains(self, field: Field) -> bool {
        self.0 & (1 << field as u8) != 0
    }

    fn extend(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// A pass finds patterns of `[rule.pattern]` and of lists; the owner says which, beside the rule.
pub(super) const fn owner(rule: u32, is_list: bool) -> u32 {
    rule * 2 + is_list as u32
}

/// The rule of an owner, and whether the pattern comes from a list.
pub(super) const fn rule_of(owner: u32) -> (u32, bool) {
    (owner / 2, owner % 2 == 1)
}

/// Compiles a directory. `today` settles which lines and overrides have ended.
#[must_use]
pub fn compile(files: &[SourceFile], today: Timestamp) -> Compiled {
    let mut log = Log::default();
    let texts = texts(files, &mut log);
    let has = |kind: Kind<'_>| files.iter().any(|file| kind_of(&file.path) == kind);
    let has_policy = has(Kind::Policy);
    if !has_policy && !has(Kind::Rules) {
        // A directory that is being filled, or the wrong one: judging by nothing would publish everything.
        return Compiled {
            rule_set: None,
            diagnostics: vec![no_policy()],
        };
    }
    let sources = source::read(&texts, today, &mut log);
    if log.has_unread_files() {
        // What the rest refers to may stand in the file that cannot be read: saying that it is missing would mislead.
        return Compiled {
            rule_set: None,
            diagnostics: log.finish(),
        };
    }
    let rule_set = Compiler::new(&sources, today, &mut log).finish(source::hash(files));
    if let Some(rule_set) = &rule_set {
        check::lint(rule_set, &sources, today, &mut log);
    }
    let rule_set = rule_set.filter(|_| !log.has_errors());
    if rule_set.is_none() && !has_policy {
        // Groups, counters and lists that rules name are missing with it: one cause, one error.
        return Compiled {
            rule_set,
            diagnostics: vec![no_policy()],
        };
    }
    Compiled {
        rule_set,
        diagnostics: log.finish(),
    }
}

/// What is to be said of a directory that does not load without its policy.
fn no_policy() -> Diagnostic {
    let message =
        "there is no policy.toml, and so there are no groups, counters and lists of its own";
    let mut said = Diagnostic::new(
        Severity::Error,
        "no-policy",
        "policy.toml",
        "",
        0..0,
        message.to_owned(),
    );
    said.help = Some("begin one with `format = 1` and `[thresholds]`".to_owned());
    said
}

/// The files that are text and have a meaning, by path.
fn texts<'a>(files: &'a [SourceFile], log: &mut Log) -> Vec<File<'a>> {
    let mut texts = Vec::new();
    for file in files {
        if matches!(kind_of(&file.path), Kind::Other | Kind::Model) {
            continue;
        }
        match std::str::from_utf8(&file.bytes) {
            Ok(text) => {
                let text = text.strip_prefix('\u{feff}').unwrap_or(text);
                texts.push(File {
                    path: &file.path,
                    text,
                });
            }
            Err(error) => {
                let valid = std::str::from_utf8(&file.bytes[..error.valid_up_to()]).unwrap_or("");
                let at = File {
                    path: &file.path,
                    text: valid,
                };
                let message = format!("the file is not UTF-8 from byte {} on", error.valid_up_to());
                log.error(at, "not-utf8", &(valid.len()..valid.len()), message);
            }
        }
    }
    texts.sort_by_key(|file| file.path);
    texts
}

struct Compiler<'s, 'a, 'l> {
    sources: &'s Sources<'a>,
    today: Timestamp,
    log: &'l mut Log,
    lists: Vec<List>,
    list_index: HashMap<&'a str, u32>,
    words: Builder,
    word_fields: Fields,
    patterns: BTreeMap<See, (Fields, Vec<(u32, regex::Regex)>)>,
}

impl<'s, 'a, 'l> Compiler<'s, 'a, 'l> {
    fn new(sources: &'s Sources<'a>, today: Timestamp, log: &'l mut Log) -> Self {
        Self {
            sources,
            today,
            log,
            lists: Vec::new(),
            list_index: HashMap::new(),
            words: Builder::default(),
            word_fields: Fields::default(),
            patterns: BTreeMap::new(),
        }
    }

    fn finish(mut self, hash: String) -> Option<RuleSet> {
        self.build_lists();
        let mut rules = self.build_rules();
        self.build_conditions(&mut rules);
        self.resolve_over(&mut rules);
        let order = order::by_hits(&rules, &self.sources.rules, self.log);
        let (base, sites) = plan::build(&rules, self.sources, self.today, self.log);
        let policy = &self.sources.policy;
        let shorteners = self.known_list(policy.shorteners.as_ref());
        let disposable = self.known_list(policy.disposable.as_ref());
        let tests = trial::read(self.sources, &rules, self.log);
        let passes = self.build_passes();
        if self.log.has_errors() {
            return None;
        }
        let changes_at = plan::changes_at(self.sources, self.today);
        let mut set = RuleSet {
            hash,
            order,
            base,
            sites,
            groups: policy
                .groups
                .iter()
                .map(|(name, max)| (name.clone(), *max))
                .collect(),
            counters: policy.counters.clone(),
            lists: self.lists,
            passes,
            needs: FactSet::default(),
            models: policy.models.clone(),
            shorteners,
            disposable,
            tests,
            changes_at,
            rules,
        };
        set.needs = needs(&set);
        Some(set)
    }

    fn build_lists(&mut self) {
        for raw in &self.sources.lists {
            let (list, refused) = List::new(raw.kind, raw.entries.iter().map(|entry| entry.text));
            for (index, reason) in refused {
                self.log
                    .error(raw.file, "bad-entry", &raw.entries[index].span, reason);
            }
            if let Ok(index) = u32::try_from(self.lists.len()) {
                self.list_index.insert(raw.file.path, index);
            }
            self.lists.push(list);
        }
    }

    fn raw_list(&self, index: u32) -> &'s RawList<'a> {
        &self.sources.lists[index as usize]
    }

    /// Finds a list by its path.
    fn list(&mut self, file: File<'_>, path: &At<String>) -> Option<u32> {
        if let Some(index) = self.list_index.get(&*path.value) {
            return Some(*index);
        }
        let help = nearest(&path.value, self.list_index.keys().copied())
            .map(|known| format!("did you mean `{known}`?"));
        let message = format!("there is no list `{}`", path.value);
        self.log
            .error_with(file, "unknown-list", &path.span, message, help);
        None
    }

    /// Finds a list that policy.toml gives a meaning; it must hold domains.
    fn known_list(&mut self, path: Option<&At<String>>) -> Option<u32> {
        let path = path?;
        let file = self.sources.policy.file;
        let index = self.list(file, path)?;
        let kind = self.raw_list(index).kind;
        if !matches!(kind, ListKind::Domain | ListKind::EmailDomain) {
            let message = format!("this list is of type {}, domains are wanted", kind.as_str());
            self.log.error(file, "wrong-type", &path.span, message);
        }
        Some(index)
    }

    fn build_rules(&mut self) -> Vec<Rule> {
        let mut rules: Vec<Rule> = Vec::new();
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for (index, raw) in self.sources.rules.iter().enumerate() {
            if index == MAX_RULES {
                let message = format!("there are more than {MAX_RULES} rules");
                self.log.error(raw.file, "too-many", &raw.span, message);
                break;
            }
            if let Some(first) = seen.insert(&raw.id.value, index) {
                let first = &self.sources.rules[first];
                let message = format!("the id `{}` is taken", raw.id.value);
                let help = Some(format!("the other rule is in {}", first.file.path));
                self.log
                    .error_with(raw.file, "duplicate-id", &raw.id.span, message, help);
            }
            rules.push(self.build_rule(raw, index));
        }
        rules
    }

    fn build_rule(&mut self, raw: &RawRule<'_>, index: usize) -> Rule {
        let file = raw.file;
        let id = &raw.id.value;
        let is_id = (1..=100).contains(&id.len())
            && id
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'));
        if !is_id {
            let message = format!("`{id}` is not an id: up to 100 of a-z, 0-9, `.`, `_` and `-`");
            self.log.error(file, "bad-name", &raw.id.span, message);
        }
        if raw.words.is_none() && raw.pattern.is_none() && raw.when.is_none() {
            let help = Some("give it `when`, [rule.words] or [rule.pattern]".to_owned());
            let message = format!("the rule `{id}` has no condition");
            self.log
                .error_with(file, "no-condition", &raw.span, message, help);
        }
        let effect = self.effect(raw);
        let is_approve = matches!(
            effect,
            Effect::Hard {
                action: Action::Approve,
                ..
            }
        );
        let label = self.label(raw, is_approve);
        let number = u32::try_from(index).unwrap_or(u32::MAX / 2);
        let words = raw
            .words
            .as_ref()
            .and_then(|words| self.words_of(file, words, number));
        let pattern = raw
            .pattern
            .as_ref()
            .and_then(|pattern| self.pattern_of(file, pattern, number));
        let title = raw
            .title
            .as_ref()
            .map_or_else(|| id.clone(), |title| title.value.clone());
        let because = raw
            .because
            .as_ref()
            .and_then(|because| self.template(file, because))
            .unwrap_or_else(|| Template::plain(&title));
        let reply = raw
            .reply
            .as_ref()
            .and_then(|reply| self.template(file, reply));
        Rule {
            id: Arc::from(&**id),
            title,
            because,
            reply,
            label,
            effect,
            mode: plan::mode(file, raw.mode.as_ref(), raw.canary.as_ref(), self.log)
                .unwrap_or(Mode::Enforce),
            renamed_from: raw.renamed_from.as_ref().map(|old| old.value.clone()),
            review_by: raw.review_by.as_ref().map(|day| day.value),
            source: (file.path.to_owned(), line_of(file, raw.id.span.start)),
            n_tests: raw.tests.len(),
            cost: 0,
            words,
            pattern,
            when: None,
        }
    }

    fn label(&mut self, raw: &RawRule<'_>, is_approve: bool) -> Label {
        let Some(label) = &raw.label else {
            if !is_approve {
                let help = Some("one of spam, abuse, quality, policy".to_owned());
                let message = format!("the rule `{}` needs a `label`", raw.id.value);
                self.log
                    .error_with(raw.file, "missing-key", &raw.span, message, help);
            }
            return Label::Policy;
        };
        label.value.parse().unwrap_or_else(|error| {
            let message = format!("`{}` is not a label", label.value);
            let help = Some(format!("{error}"));
            self.log
                .error_with(raw.file, "unknown-label", &label.span, message, help);
            Label::Policy
        })
    }

    fn effect(&mut self, raw: &RawRule<'_>) -> Effect {
        let file = raw.file;
        match (&raw.points, &raw.action) {
            (Some(points), Some(action)) => {
                let message = "a rule has `points` or an `action`, not both";
                self.log
                    .error(file, "points-and-action", &action.span, message);
                Effect::Score {
                    points: points.value,
                    evasion: 0.0,
                    group: None,
                }
            }
            (None, None) => {
                let message = format!(
                    "the rule `{}` has neither `points` nor an `action`",
                    raw.id.value
                );
                self.log.error(file, "missing-key", &raw.span, message);
                Effect::Score {
                    points: 0.0,
                    evasion: 0.0,
                    group: None,
                }
            }
            (Some(points), None) => {
                for (key, span) in [
                    ("over", raw.over.as_ref().map(|over| &over.span)),
                    (
                        "priority",
                        raw.priority.as_ref().map(|priority| &priority.span),
                    ),
                ] {
                    if let Some(span) = span {
                        let message = format!("`{key}` belongs to rules with an `action`");
                        self.log.error(file, "unknown-key", span, message);
                    }
                }
                let group = raw.group.as_ref().and_then(|group| self.group(file, group));
                let evasion = raw
                    .evasion
                    .as_ref()
                    .map_or(EVASION_POINTS, |evasion| evasion.value);
                Effect::Score {
                    points: points.value,
                    evasion,
                    group,
                }
            }
            (None, Some(action)) => {
                for (key, span) in [
                    ("group", raw.group.as_ref().map(|group| &group.span)),
                    ("evasion", raw.evasion.as_ref().map(|evasion| &evasion.span)),
                ] {
                    if let Some(span) = span {
                        let message = format!("`{key}` belongs to rules with `points`");
                        self.log.error(file, "unknown-key", span, message);
                    }
                }
                let action = self.action(file, action);
                if action == Action::Approve && raw.over.is_none() {
                    let help =
                        Some("say which findings it removes: `over = [\"links.*\"]`".to_owned());
                    let message = "`approve` needs `over`";
                    self.log
                        .error_with(file, "missing-key", &raw.span, message, help);
                }
                if let (Some(over), true) = (&raw.over, action != Action::Approve) {
                    self.log.error(
                        file,
                        "unknown-key",
                        &over.span,
                        "`over` belongs to `approve`",
                    );
                }
                let priority = raw.priority.as_ref().map_or(0, |priority| priority.value);
                Effect::Hard {
                    action,
                    priority,
                    over: Vec::new(),
                }
            }
        }
    }

    fn action(&mut self, file: File<'_>, action: &At<String>) -> Action {
        let known = [
            Action::Hold,
            Action::Reject,
            Action::Discard,
            Action::Approve,
        ];
        if let Some(known) = known
            .into_iter()
            .find(|known| known.as_str() == action.value)
        {
            return known;
        }
        let help = match nearest(&action.value, known.map(Action::as_str)) {
            Some(known) => format!("did you mean `{known}`?"),
            None => "one of hold, reject, discard, approve".to_owned(),
        };
        let message = format!("there is no action `{}`", action.value);
        self.log
            .error_with(file, "unknown-action", &action.span, message, Some(help));
        Action::Hold
    }

    fn group(&mut self, file: File<'_>, group: &At<String>) -> Option<u32> {
        let groups = &self.sources.policy.groups;
        if let Some(index) = groups.keys().position(|known| *known == group.value) {
            return u32::try_from(index).ok();
        }
        let help = match nearest(&group.value, groups.keys().map(String::as_str)) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!(
                "declare it in policy.toml: [groups] {} = {{ max = 6.0 }}",
                group.value
            ),
        };
        let message = format!("there is no group `{}`", group.value);
        self.log
            .error_with(file, "unknown-group", &group.span, message, Some(help));
        None
    }

    fn template(&mut self, file: File<'_>, message: &At<String>) -> Option<Template> {
        let counters: Vec<_> = self
            .sources
            .policy
            .counters
            .iter()
            .map(|counter| &*counter.name)
            .collect();
        match Template::parse(&message.value, &counters) {
            Ok(template) => Some(template),
            Err((span, problem, help)) => {
                let span = in_literal(file, &message.span, &span);
                self.log
                    .error_with(file, "bad-template", &span, problem, help);
                None
            }
        }
    }

    fn fields(&mut self, file: File<'_>, on: Option<&At<Vec<At<String>>>>) -> Fields {
        let mut fields = Fields::default();
        let Some(on) = on else {
            fields.insert(Field::Body);
            return fields;
        };
        for name in &on.value {
            match name.value.parse() {
                Ok(field) => fields.insert(field),
                Err(error) => {
                    let message = format!("`{}` is not a field", name.value);
                    let help = Some(error.to_string());
                    self.log
                        .error_with(file, "unknown-field", &name.span, message, help);
                }
            }
        }
        if on.value.is_empty() {
            self.log
                .error(file, "empty", &on.span, "`on` names at least one field");
        }
        fields
    }

    fn see(
        &mut self,
        file: File<'_>,
        names: Option<&At<Vec<At<String>>>>,
        default: &[&str],
    ) -> See {
        let mut see = See::NONE;
        let Some(names) = names else {
            for name in default {
                see = see.with(name.parse().unwrap_or(See::NONE));
            }
            return see;
        };
        for name in &names.value {
            let Ok(class) = name.value.parse() else {
                let help = suggest(&name.value, See::all_names().collect::<Vec<_>>());
                let message = format!("nothing called `{}` can be undone", name.value);
                self.log
                    .error_with(file, "unknown-see", &name.span, message, Some(help));
                continue;
            };
            see = see.with(class);
        }
        see
    }

    fn words_of(&mut self, file: File<'_>, raw: &RawWords, rule: u32) -> Option<WordsOf> {
        let fields = self.fields(file, raw.on.as_ref());
        let see = self.see(file, raw.see.as_ref(), &WORDS_SEE);
        let matching = self.matching(file, raw.matching.as_ref());
        let list = match (&raw.list, &raw.entries) {
            (Some(list), None) => Some(self.list(file, list)?),
            (None, Some(_)) => None,
            _ => {
                let message = "words come from a `list` or from `entries`, one of the two";
                self.log.error(file, "missing-key", &raw.span, message);
                return None;
            }
        };
        let kind = list.map_or(ListKind::Word, |list| self.raw_list(list).kind);
        let mut words = WordsOf {
            fields,
            domains: None,
            are_patterns: kind == ListKind::Regex,
        };
        match kind {
            ListKind::Word => {
                let except = raw
                    .except
                    .iter()
                    .flat_map(|except| &except.value)
                    .map(|word| &*word.value);
                let entries: Vec<&str> = match (list, &raw.entries) {
                    (Some(list), _) => self
                        .raw_list(list)
                        .entries
                        .iter()
                        .map(|entry| entry.text)
                        .collect(),
                    (None, Some(entries)) => {
                        entries.value.iter().map(|entry| &*entry.value).collect()
                    }
                    (None, None) => Vec::new(),
                };
                self.words.group(
                    rule,
                    see,
                    entries.into_iter().map(|entry| (entry, matching)),
                    except,
                );
                self.word_fields.extend(fields);
            }
            ListKind::Domain => words.domains = list,
            ListKind::Regex => {
                let patterns = list.map(|list| self.lists[list as usize].patterns().to_vec());
                let (all, into) = self.patterns.entry(see).or_default();
                all.extend(fields);
                into.extend(
                    patterns
                        .into_iter()
                        .flatten()
                        .map(|pattern| (owner(rule, true), pattern)),
                );
            }
            ListKind::EmailDomain | ListKind::Cidr => {
                let help =
                    Some("ask for it in `when`: in_list(author.email_domain, '…')".to_owned());
                let message = format!("a list of type {} holds no words", kind.as_str());
                self.log
                    .error_with(file, "wrong-type", &raw.span, message, help);
            }
        }
        Some(words)
    }

    fn matching(&mut self, file: File<'_>, raw: Option<&At<String>>) -> Match {
        let Some(raw) = raw else { return Match::Word };
        match &*raw.value {
            "word" => Match::Word,
            "prefix" => Match::Prefix,
            "substring" => Match::Substring,
            other => {
                let message = format!("words do not match by `{other}`");
                let help = Some("one of word, prefix, substring".to_owned());
                self.log
                    .error_with(file, "unknown-match", &raw.span, message, help);
                Match::Word
            }
        }
    }

    fn pattern_of(&mut self, file: File<'_>, raw: &RawPattern, rule: u32) -> Option<PatternOf> {
        let fields = self.fields(file, raw.on.as_ref());
        let see = self.see(file, raw.see.as_ref(), &PATTERN_SEE);
        match super::pattern::compile(&raw.regex.value) {
            Ok(pattern) => {
                let (all, patterns) = self.patterns.entry(see).or_default();
                all.extend(fields);
                patterns.push((owner(rule, false), pattern));
                Some(PatternOf { fields })
            }
            Err((span, message)) => {
                let span = span.map_or(raw.regex.span.clone(), |span| {
                    in_literal(file, &raw.regex.span, &span)
                });
                self.log.error(file, "bad-pattern", &span, message);
                None
            }
        }
    }

    fn build_conditions(&mut self, rules: &mut [Rule]) {
        let sources = self.sources;
        let names = Names {
            counters: sources
                .policy
                .counters
                .iter()
                .map(|counter| &*counter.name)
                .collect(),
            rules: (0..)
                .zip(&sources.rules)
                .map(|(index, raw)| (&*raw.id.value, index))
                .collect(),
            lists: self.list_index.clone(),
        };
        for (rule, raw) in rules.iter_mut().zip(&sources.rules) {
            let Some(when) = &raw.when else { continue };
            match expr::compile(&when.value, &names) {
                Ok(program) => {
                    rule.cost = program.cost;
                    rule.when = Some(program);
                }
                Err(errors) => {
                    for error in errors {
                        let span = in_literal(raw.file, &when.span, &error.span);
                        self.log
                            .error_with(raw.file, error.code, &span, error.message, error.help);
                    }
                }
            }
        }
    }

    fn resolve_over(&mut self, rules: &mut [Rule]) {
        // Models stand after the rules, by the index of their label.
        let models = ["model.spam", "model.abuse"].map(Arc::from);
        let ids: Vec<Arc<str>> = rules
            .iter()
            .map(|rule| Arc::clone(&rule.id))
            .chain(models)
            .collect();
        for (rule, raw) in rules.iter_mut().zip(&self.sources.rules) {
            let Effect::Hard {
                action: Action::Approve,
                over,
                ..
            } = &mut rule.effect
            else {
                continue;
            };
            for name in raw.over.iter().flat_map(|over| &over.value) {
                let before = over.len();
                over.extend(
                    (0..)
                        .zip(&ids)
                        .filter(|(_, id)| covers(&name.value, id))
                        .map(|(index, _)| index),
                );
                if over.len() == before {
                    let help = nearest(&name.value, ids.iter().map(|id| &**id))
                        .map(|known| format!("did you mean `{known}`?"));
                    let message = format!("`{}` names no rule", name.value);
                    self.log
                        .error_with(raw.file, "unknown-rule", &name.span, message, help);
                }
            }
        }
    }

    fn build_passes(&mut self) -> Passes {
        let mut passes = Passes::default();
        let mut view = |see: See| {
            passes
                .views
                .iter()
                .position(|known| *known == see)
                .unwrap_or_else(|| {
                    passes.views.push(see);
                    passes.views.len() - 1
                })
        };
        for (see, (fields, patterns)) in std::mem::take(&mut self.patterns) {
            let (pass, bare) = PatternPass::new(patterns);
            for index in bare {
                let Some(raw) = self.sources.rules.get(rule_of(index).0 as usize) else {
                    continue;
                };
                let span = raw
                    .pattern
                    .as_ref()
                    .map_or(&raw.span, |pattern| &pattern.regex.span);
                let message = "this pattern has no literal that every match contains, so it runs on each comment";
                self.log.warn(raw.file, "no-literal", span, message, None);
            }
            passes.patterns.push((view(see), fields, pass));
        }
        passes.word_fields = self.word_fields;
        match std::mem::take(&mut self.words).build() {
            Ok((words, refused)) => {
                passes.words = Some(words);
                for refused in refused {
                    self.refuse_entry(refused.group, refused.entry, refused.reason);
                }
            }
            Err(error) => {
                let file = self.sources.policy.file;
                self.log.error(file, "too-many", &(0..0), error.to_string());
            }
        }
        passes
    }

    /// Reports the entry with number `entry` of the words of a rule, where it stands.
    fn refuse_entry(&mut self, rule: u32, entry: u32, reason: &str) {
        let Some(raw) = self.sources.rules.get(rule as usize) else {
            return;
        };
        let Some(words) = &raw.words else { return };
        let listed = words
            .list
            .as_ref()
            .and_then(|path| self.list_index.get(&*path.value));
        let place = match (listed, &words.entries) {
            (Some(list), _) => {
                let list = self.raw_list(*list);
                list.entries
                    .get(entry as usize)
                    .map(|entry| (list.file, entry.span.clone(), entry.text.to_owned()))
            }
            (None, Some(entries)) => entries
                .value
                .get(entry as usize)
                .map(|entry| (raw.file, entry.span.clone(), entry.value.clone())),
            (None, None) => None,
        };
        if let Some((file, span, text)) = place {
            self.log.error(
                file,
                "bad-entry",
                &span,
                format!("`{text}` cannot be sought: {reason}"),
            );
        }
    }
}

/// Whether `name`, which may end in `*`, covers the id of a rule.
fn covers(name: &str, id: &str) -> bool {
    name.strip_suffix('*')
        .map_or(name == id, |prefix| id.starts_with(prefix))
}

/// The bytes of a file for bytes of a string literal in it.
fn in_literal(file: File<'_>, literal: &Range<usize>, span: &Range<usize>) -> Range<usize> {
    let start = offset_in_literal(file, literal, span.start);
    let end = offset_in_literal(file, literal, span.end);
    start..end.max(start)
}

pub(super) fn line_of(file: File<'_>, offset: usize) -> usize {
    file.text
        .get(..offset)
        .map_or(1, |before| before.matches('\n').count() + 1)
}

/// Everything the rules that run somewhere ask for.
fn needs(set: &RuleSet) -> FactSet {
    let mut needs = FactSet::default();
    let plans = || std::iter::once(&set.base).chain(set.sites.values());
    for (index, rule) in set.rules.iter().enumerate() {
        if plans().all(|plan| plan.settings[index].mode == Mode::Off) {
            continue;
        }
        if let Some(when) = &rule.when {
            needs.extend(when.facts);
        }
        for fact in rule
            .because
            .facts()
            .chain(rule.reply.iter().flat_map(Template::facts))
        {
            needs.insert(fact);
        }
        if plans().any(|plan| matches!(plan.settings[index].mode, Mode::Canary(_))) {
            needs.insert(FactId::CanaryBucket);
        }
    }
    for (label, _) in &set.models {
        needs.insert(if *label == Label::Spam {
            FactId::ModelSpam
        } else {
            FactId::ModelAbuse
        });
    }
    if needs.contains(FactId::AuthorEmailDisposable) && set.disposable.is_some() {
        needs.insert(FactId::AuthorEmailDomain);
    }
    needs
}
