//! Names and values, as forms and queries send them.

use std::str::FromStr;

use super::json;
use crate::domain::author::Wrong;
use crate::web::problem::{Problem, Slug};

/// More than any form of ours has, with room for what other people's pages add.
const MAX_PAIRS: usize = 512;

/// Decoded pairs in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// Decodes `a=1&b=2`.
    ///
    /// # Errors
    /// 400 if there are too many.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let mut pairs = Vec::new();
        for (name, value) in url::form_urlencoded::parse(bytes) {
            if pairs.len() == MAX_PAIRS {
                return Err(Problem::new(Slug::Malformed)
                    .because(format!("There are more than {MAX_PAIRS} fields.")));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(pairs))
    }

    /// Refuses values that no database can keep as text.
    ///
    /// # Errors
    /// 422 with the first field that holds a NUL.
    pub fn without_nul(self) -> Result<Self, Problem> {
        match self.0.iter().find(|(_, value)| value.contains('\0')) {
            None => Ok(self),
            Some((name, _)) => {
                let field = json::told_back(name).to_owned();
                let code = Wrong::ControlCharacter.code();
                Err(Problem::field(
                    field,
                    code,
                    Wrong::ControlCharacter.to_string(),
                ))
            }
        }
    }

    /// The first value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Every value of `name`.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first value that is not empty, among names for the same thing; empty if there is none.
    #[must_use]
    pub fn any_of(&self, names: &[&str]) -> String {
        let mut values = names.iter().filter_map(|name| self.get(name));
        values
            .find(|value| !value.is_empty())
            .unwrap_or_default()
            .to_owned()
    }

    /// The value of `name`, unless it is absent or empty.
    ///
    /// # Errors
    /// 422 if it cannot be read.
    pub fn read<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, Problem>
    where
        T::Err: std::fmt::Display,
    {
        match self.get(name).filter(|text| !text.is_empty()) {
            None => Ok(None),
            // The parsers of the domain say what they expected, not what they found.
            Some(text) => text
                .parse()
                .map(Some)
                .map_err(|error: T::Err| Problem::field(name, "invalid", error.to_string())),
        }
    }

    /// The value of `name` between 1 and `most`, or else `usual`.
    ///
    /// # Errors
    /// 422 if it is no number in that range.
    pub fn limit(&self, name: &'static str, usual: u16, most: u16) -> Result<u16, Problem> {
        let Some(text) = self.get(name).filter(|text| !text.is_empty()) else {
            return Ok(usual);
        };
        match text.parse() {
            Ok(limit) if (1..=most).contains(&limit) => Ok(limit),
            _ => Err(Problem::field(
                name,
                "out_of_range",
                format!("expected a number from 1 to {most}"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_found_by_any_of_their_names() {
        let pairs = Pairs::parse(b"author=&name=Ada+L.&x=%ff&thread=%2Fa&thread=b").unwrap();

        assert_eq!(pairs.any_of(&["author", "name"]), "Ada L.");
        assert_eq!(pairs.any_of(&["email"]), "");
        assert_eq!(pairs.all("thread").collect::<Vec<_>>(), ["/a", "b"]);
        assert_eq!(pairs.get("x"), Some("\u{fffd}"));
    }

    #[test]
    fn a_limit_out_of_range_is_refused_rather_than_cut() {
        let limit = |text: &str| {
            Pairs::parse(text.as_bytes())
                .unwrap()
                .limit("limit", 50, 200)
        };

        assert_eq!(limit("").unwrap(), 50);
        assert_eq!(limit("limit=200").unwrap(), 200);
        for bad in [
            "limit=0",
            "limit=201",
            "limit=-1",
            "limit=many",
            "limit=99999999999",
        ] {
            assert_eq!(limit(bad).unwrap_err().errors[0].field, "limit", "{bad}");
        }
    }

    #[test]
    fn a_flood_of_fields_is_refused() {
        assert!(Pairs::parse("a=1&".repeat(100_000).as_bytes()).is_err());
    }
}
