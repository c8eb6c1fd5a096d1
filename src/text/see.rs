//! The classes of disguise a filter may ask to have undone, as a set.
//!
//! A set says what is undone, never in which order: the order is fixed, see [`View`](super::View). Two equal sets are
//! the same view, which is how rules share one automaton.
use std::fmt;
use std::str::FromStr;

/// A set of classes of disguise.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct See(u16);

/// The classes by name, in the order in which they are undone.
const NAMES: [(&str, See); 9] = [
    ("bidi", See::BIDI),
    ("invisible", See::INVISIBLE),
    ("fold", See::FOLD),
    ("accents", See::ACCENTS),
    ("confusable", See::CONFUSABLE),
    ("leet", See::LEET),
    ("joined", See::JOINED),
    ("repeat", See::REPEAT),
    ("mask", See::MASK),
];

impl See {
    /// Undoes nothing.
    pub const NONE: Self = Self(0);
    /// Reads text under directional overrides as it is displayed.
    pub const BIDI: Self = Self(1);
    /// Drops characters that show nothing: zero-width, bidi controls, tags, variation selectors.
    pub const INVISIBLE: Self = Self(1 << 1);
    /// Applies NFKC and lower case.
    pub const FOLD: Self = Self(1 << 2);
    /// Drops diacritics.
    pub const ACCENTS: Self = Self(1 << 3);
    /// Reads letters that look Latin as Latin.
    pub const CONFUSABLE: Self = Self(1 << 4);
    /// Reads digits and symbols that stand for letters as letters.
    pub const LEET: Self = Self(1 << 5);
    /// Joins letters that were set apart one by one.
    pub const JOINED: Self = Self(1 << 6);
    /// Shortens letters typed several times.
    pub const REPEAT: Self = Self(1 << 7);
    /// Lets a symbol in a word stand for any letter.
    pub const MASK: Self = Self(1 << 8);
    /// Undoes everything.
    pub const ALL: Self = Self((1 << 9) - 1);

    /// Says whether every class of `other` is in this set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the set with the classes of `other` added.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the set with the classes of `other` taken away.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Says whether nothing is undone.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Lists the classes of the set by name, in the order in which they are undone.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES
            .iter()
            .filter(move |(_, class)| self.has(*class))
            .map(|(name, _)| *name)
    }

    /// Lists every class by name, for a message that says what could have been meant.
    pub fn all_names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }
}

/// A name that is no class of disguise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no class of `see`")]
pub struct UnknownClass(pub String);

impl FromStr for See {
    type Err = UnknownClass;

    /// Reads one class by its name.
    fn from_str(name: &str) -> Result<Self, UnknownClass> {
        NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, class)| *class)
            .ok_or_else(|| UnknownClass(name.to_owned()))
    }
}

impl FromIterator<See> for See {
    fn from_iter<I: IntoIterator<Item = See>>(classes: I) -> Self {
        classes.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Display for See {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, name) in self.names().enumerate() {
            if n > 0 {
                f.write_str(" ")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

impl fmt::Debug for See {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "See({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_read_by_the_name_it_is_written_with() {
        for name in See::all_names() {
            let class: See = name.parse().unwrap();
            assert_eq!(class.to_string(), name);
        }
        assert_eq!(
            See::all_names()
                .map(|n| n.parse::<See>().unwrap())
                .collect::<See>(),
            See::ALL
        );
    }

    #[test]
    fn an_unknown_class_is_refused_by_name() {
        assert_eq!(
            "leat".parse::<See>().unwrap_err().to_string(),
            "`leat` is no class of `see`"
        );
    }
}
