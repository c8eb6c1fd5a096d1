//! Finds the words of many lists in a text, however they are disguised.
//!
//! All lists that undo the same disguises share one automaton, so ten words cost about what a hundred thousand do. The
//! automaton works on a coarse key (one byte for all letters that a disguise may confuse, each run of a letter once,
//! nothing but letters and digits); every candidate is then verified letter by letter against the text, with word
//! boundaries. The key decides speed, the verification decides what is a hit.
//!
//! It knows no rules, points or fields: a list is a group with a number the caller gave it.
//!
//! **Invariant:** the span of a hit lies on character boundaries of the text as typed.
//!
//! # Example
//! ```
//! use anteroom::rules::words::{Builder, Match};
//! use anteroom::text::See;
//!
//! let mut builder = Builder::default();
//! builder.group(7, See::ALL, [("garden", Match::Word)], ["gardena"]);
//! let (words, refused) = builder.build().unwrap();
//! assert!(refused.is_empty());
//!
//! let hits = words.find("my g.a.r.d.e.n");
//! assert_eq!((hits[0].group, hits[0].span.clone(), hits[0].evasion), (7, 3..14, true));
//! ```
use std::ops::Range;

use crate::text::See;

mod entry;
mod masked;
mod set;
mod stream;

use entry::Entry;
use set::Set;

/// Where an entry must stand in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Match {
    /// It is a whole word, or whole words.
    Word,
    /// A word begins with it.
    Prefix,
    /// It stands anywhere, also inside of words.
    Substring,
}

/// One entry of a list found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The group the entry belongs to, as given to [`Builder::group`].
    pub group: u32,
    /// The place of the entry in its group, counted from 0.
    pub entry: u32,
    /// The bytes of the text as typed that show it.
    pub span: Range<usize>,
    /// Whether it shows only after something other than case was undone.
    pub evasion: bool,
}

/// An entry that cannot be sought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The group of the entry.
    pub group: u32,
    /// Its place in the group.
    pub entry: u32,
    /// Why it cannot be sought.
    pub reason: &'static str,
}

/// Why no matcher could be built.
#[derive(Debug, thiserror::Error)]
#[error("too many words for one automaton")]
pub struct TooMany(#[from] aho_corasick::BuildError);

/// Collects lists, then builds a matcher of them.
#[derive(Debug, Default)]
pub struct Builder {
    views: Vec<(See, Vec<Entry>)>,
    refused: Vec<Refused>,
}

impl Builder {
    /// Adds a list: entries to find with the disguises of `see` undone, except where they are part of a word of
    /// `except`.
    ///
    /// White space in an entry stands for any white space. An entry with other punctuation than hyphens and
    /// apostrophes is found as it is written, in any case.
    pub fn group<'a, 'b>(
        &mut self,
        group: u32,
        see: See,
        entries: impl IntoIterator<Item = (&'a str, Match)>,
        except: impl IntoIterator<Item = &'b str>,
    ) {
        let n = self
            .views
            .iter()
            .position(|(known, _)| *known == see)
            .unwrap_or_else(|| {
                self.views.push((see, Vec::new()));
                self.views.len() - 1
            });
        let view = &mut self.views[n].1;
        for (number, (text, kind)) in (0..).zip(entries) {
            match Entry::parse(text, see) {
                Ok(entry) => view.push(Entry {
                    group,
                    number,
                    kind,
                    is_exception: false,
                    ..entry
                }),
                Err(reason) => self.refused.push(Refused {
                    group,
                    entry: number,
                    reason,
                }),
            }
        }
        view.extend(except.into_iter().filter_map(|text| {
            let entry = Entry::parse(text, see).ok()?;
            Some(Entry {
                group,
                number: 0,
                kind: Match::Word,
                is_exception: true,
                ..entry
            })
        }));
    }

    /// Builds the matcher and says which entries it cannot seek.
    ///
    /// # Errors
    /// The automaton would not fit into its 32-bit state numbers.
    ///
    /// # Complexity
    /// About 0.4 s for 100,000 words; an automaton takes about 150 bytes a word.
    pub fn build(self) -> Result<(Words, Vec<Refused>), TooMany> {
        let sets = self
            .views
            .into_iter()
            .filter(|(_, entries)| !entries.is_empty())
            .map(|(see, entries)| Set::new(see, entries))
            .collect::<Result<_, _>>()?;
        Ok((Words { sets }, self.refused))
    }
}

/// A matcher of many lists. Immutable; share it.
#[derive(Debug, Default)]
pub struct Words {
    sets: Vec<Set>,
}

impl Words {
    /// Finds every entry of every list in a text, in the order of the text.
    ///
    /// Hits may overlap; the same entry is reported once for the same span.
    ///
    /// # Complexity
    /// Linear in the text for given lists. Masked words are compared one by one, at most
    /// 20,000 comparisons a text; further masked words are left.
    #[must_use]
    pub fn find(&self, text: &str) -> Vec<Hit> {
        let mut hits = Vec::new();
        for set in &self.sets {
            set.find(text, &mut hits);
        }
        if hits.len() > 1 {
            hits.sort_unstable_by(|a, b| {
                (a.span.start, a.span.end, a.group, a.entry).cmp(&(
                    b.span.start,
                    b.span.end,
                    b.group,
                    b.entry,
                ))
            });
            hits.dedup_by(|a, b| a.group == b.group && a.entry == b.entry && a.span == b.span);
        }
        hits
    }

    /// Returns the memory the matcher takes, in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.sets.iter().map(Set::size_bytes).sum()
    }
}
