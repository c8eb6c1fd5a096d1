//! Rule files as written: TOML and lists read strictly, every value with its bytes, nothing resolved yet.
//!
//! Not the rule set: names, types and numbers that need other files to judge are judged in [`super::compile`].
//! Invariant: each key of a file is either read or reported with the nearest known one.

pub(super) mod list;
pub(super) mod log;
pub(super) mod policy;
pub(super) mod rule;
pub(super) mod site;
pub(super) mod table;

use sha2::{Digest, Sha256};

use super::SourceFile;
use crate::domain::time::Timestamp;
use log::{File, Log};

/// Everything a directory says.
#[derive(Debug, Default)]
pub(super) struct Sources<'a> {
    pub(super) policy: policy::RawPolicy<'a>,
    pub(super) rules: Vec<rule::RawRule<'a>>,
    pub(super) lists: Vec<list::RawList<'a>>,
    pub(super) sites: Vec<site::RawSite<'a>>,
}

/// Reads all files of a directory; what is wrong goes into `log`.
pub(super) fn read<'a>(files: &[File<'a>], today: Timestamp, log: &mut Log) -> Sources<'a> {
    let mut sources = Sources::default();
    for file in files {
        match kind_of(file.path) {
            Kind::Policy => sources.policy = policy::read(*file, log),
            Kind::Rules => sources.rules.extend(rule::read(*file, log)),
            Kind::List => sources.lists.push(list::read(*file, today, log)),
            Kind::Site(key) => sources.sites.extend(site::read(*file, key, log)),
            Kind::Model | Kind::Other => {}
        }
    }
    sources
}

/// What a file is, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    Policy,
    Rules,
    List,
    Model,
    Site(&'a str),
    Other,
}

/// Says what the file at `path` is; everything unknown is ignored.
pub(super) fn kind_of(path: &str) -> Kind<'_> {
    match path.split_once('/') {
        None if path == "policy.toml" => Kind::Policy,
        None if path.strip_suffix(".toml").is_some() => Kind::Rules,
        Some(("lists", name)) if name.strip_suffix(".txt").is_some() && !name.contains('/') => {
            Kind::List
        }
        Some(("models", name)) if !name.is_empty() => Kind::Model,
        Some(("sites", name)) if !name.contains('/') => {
            name.strip_suffix(".toml").map_or(Kind::Other, Kind::Site)
        }
        _ => Kind::Other,
    }
}

/// The hash of a rule set: SHA-256 over path, length and contents of each of its files, sorted by path.
pub(super) fn hash(files: &[SourceFile]) -> String {
    let mut own: Vec<_> = files
        .iter()
        .filter(|file| kind_of(&file.path) != Kind::Other)
        .collect();
    own.sort_by(|a, b| a.path.cmp(&b.path));
    let mut hasher = Sha256::new();
    for file in own {
        hasher.update((file.path.len() as u64).to_le_bytes());
        hasher.update(file.path.as_bytes());
        hasher.update((file.bytes.len() as u64).to_le_bytes());
        hasher.update(&file.bytes);
    }
    format!("sha256:{}", hex::encode(hasher.finalize()))
}
