//! The running rule set, and how a new one takes its place: read, compiled and tested beside it, then swapped in whole.
//!
//! The directory is polled by name, size, time and inode of its files, which sees every way in which editors save; a
//! change is loaded once two looks in a row agree. Any error keeps the running set.
//!
//! Invariant: a submission is judged by exactly one set, and no broken file ever replaces a running one.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::domain::{Clock, Timestamp};
use crate::rules::{self, Compiled, Diagnostic, RuleSet, SourceFile};

/// How often the directory is looked at.
pub const POLL_EVERY: Duration = Duration::from_millis(200);
/// A rule directory may hold this much, in bytes; lists of a million words fit.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// A file of rules may hold this much, in bytes: 20,000 rules fit.
const MAX_TOML_BYTES: u64 = 8 * 1024 * 1024;

/// A policy that judges nothing.
const NO_RULES: &str = "format = 1\n[thresholds]\nhold = 4.0\nreject = 10.0\n";

/// The holder of the running set.
#[derive(Debug)]
pub struct Rulebook {
    directory: PathBuf,
    clock: Clock,
    running: ArcSwap<RuleSet>,
    state: ArcSwap<State>,
    seen: Mutex<Seen>,
    /// When the load under way began, in microseconds; 0 if none is.
    loading_since: AtomicI64,
}

/// What is known about the running set and the last attempt to replace it.
#[derive(Clone, Debug)]
pub struct State {
    /// When the running set was loaded.
    pub loaded_at: Timestamp,
    /// What stands in the way of the directory as it is now; empty when the running set is what the directory says.
    pub errors: Vec<Problem>,
    /// What `rules check` would warn about in the running set.
    pub warnings: Vec<Problem>,
}

/// Something to be said about a rule file.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Relative to the directory; empty if it is about the directory.
    pub file: String,
    /// From 1; 0 if it is about no line.
    pub line: usize,
    /// From 1; 0 if it is about no column.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// The whole diagnostic, with its source line and hint.
    pub rendered: String,
}

#[derive(Debug, Default)]
struct Seen {
    /// What the directory looked like when it was last loaded, well or badly.
    loaded: Option<Listing>,
    /// What it looked like a moment ago.
    last: Option<Listing>,
}

/// Size, modification time in nanoseconds and inode by path.
type Listing = BTreeMap<String, (u64, i128, u64)>;

/// A directory that could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It could not be read.
    #[error("the rule directory `{}` cannot be read: {source}", directory.display())]
    Unreadable {
        /// Which.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It has errors.
    #[error("the rule directory has errors")]
    Broken(Vec<Problem>),
}

impl Rulebook {
    /// Loads a directory for the first time.
    ///
    /// # Errors
    /// [`LoadError`]: a service does not start on broken rules, because there is no last good set to keep.
    pub fn open(directory: &Path, clock: Clock) -> Result<Self, LoadError> {
        let listing = list(directory).map_err(|source| unreadable(directory, source))?;
        let (set, warnings) = load(directory, &clock)?;
        let state = State {
            loaded_at: clock.now(),
            errors: Vec::new(),
            warnings,
        };
        Ok(Self {
            directory: directory.to_owned(),
            clock,
            running: ArcSwap::from_pointee(set),
            state: ArcSwap::from_pointee(state),
            seen: Mutex::new(Seen {
                loaded: Some(listing),
                last: None,
            }),
            loading_since: AtomicI64::new(0),
        })
    }

    /// A rulebook without rules, for commands that judge nothing.
    ///
    /// # Panics
    /// Never: what it compiles is a constant that a test compiles too.
    #[must_use]
    pub fn empty(directory: &Path, clock: Clock) -> Self {
        let policy = SourceFile {
            path: "policy.toml".to_owned(),
            bytes: NO_RULES.into(),
        };
        let compiled = rules::compile(&[policy], clock.now());
        let nothing = compiled
            .rule_set
            .expect("a policy without rules is a rule set");
        Self {
            directory: directory.to_owned(),
            running: ArcSwap::from_pointee(nothing),
            state: ArcSwap::from_pointee(State {
                loaded_at: clock.now(),
                errors: Vec::new(),
                warnings: Vec::new(),
            }),
            clock,
            seen: Mutex::default(),
            loading_since: AtomicI64::new(0),
        }
    }

    /// For how long the load under way has been going on.
    #[must_use]
    pub fn loading_for(&self) -> Option<Duration> {
        let since = Timestamp(self.loading_since.load(Ordering::Relaxed));
        (since != Timestamp(0)).then(|| self.clock.now().since(since))
    }

    /// The running set; hold on to it for one whole judgement.
    #[must_use]
    pub fn current(&self) -> Arc<RuleSet> {
        self.running.load_full()
    }

    /// The directory the rules are read from.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What is known about the running set.
    #[must_use]
    pub fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// Looks at the directory and loads it if it has changed and stood still since the last look. Blocks; call it off
    /// the request threads. Returns true if a new set runs.
    pub fn poll(&self) -> bool {
        let listing = match list(&self.directory) {
            Ok(listing) => listing,
            Err(source) => {
                self.report(vec![Problem::about_directory(&unreadable(
                    &self.directory,
                    source,
                ))]);
                self.lock().last = None;
                return false;
            }
        };
        let expired = self
            .running
            .load()
            .changes_at()
            .is_some_and(|at| at <= self.clock.now());
        let was_unreadable = self
            .state
            .load()
            .errors
            .iter()
            .any(Problem::is_about_directory);
        {
            let mut seen = self.lock();
            let settled = seen.last.as_ref() == Some(&listing);
            let known = seen.loaded.as_ref() == Some(&listing);
            seen.last = Some(listing.clone());
            if !settled || (known && !expired && !was_unreadable) {
                return false;
            }
            seen.loaded = Some(listing);
        }
        let _loading = Loading::since(&self.loading_since, self.clock.now());
        self.reload()
    }

    /// Loads the directory now.
    fn reload(&self) -> bool {
        match load(&self.directory, &self.clock) {
            Ok((set, warnings)) => {
                let changed = set.hash() != self.running.load().hash();
                tracing::info!(rule_set = set.hash(), "the rules were loaded");
                self.running.store(Arc::new(set));
                let loaded_at = self.clock.now();
                self.state.store(Arc::new(State {
                    loaded_at,
                    errors: Vec::new(),
                    warnings,
                }));
                changed
            }
            Err(LoadError::Broken(errors)) => {
                self.report(errors);
                false
            }
            Err(error) => {
                self.report(vec![Problem::about_directory(&error)]);
                // The next look tries again even if nothing moves: a permission may come back.
                self.lock().loaded = None;
                false
            }
        }
    }

    fn report(&self, errors: Vec<Problem>) {
        let before = self.state.load_full();
        let same = before.errors.len() == errors.len()
            && before
                .errors
                .iter()
                .zip(&errors)
                .all(|(a, b)| a.rendered == b.rendered);
        if same {
            return;
        }
        for error in &errors {
            tracing::error!(
                file = error.file,
                line = error.line,
                column = error.column,
                problem = error.message,
                "the rules have an error; the running set stays"
            );
        }
        self.state.store(Arc::new(State {
            errors,
            ..(*before).clone()
        }));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks a load as under way; gone with it, even if it panics.
struct Loading<'a>(&'a AtomicI64);

impl<'a> Loading<'a> {
    fn since(mark: &'a AtomicI64, began: Timestamp) -> Self {
        mark.store(began.0, Ordering::Relaxed);
        Self(mark)
    }
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl Problem {
    fn new(diagnostic: &Diagnostic, files: &[SourceFile], directory: &Path) -> Self {
        Self {
            file: diagnostic.path.clone(),
            line: diagnostic.line,
            column: diagnostic.column,
            message: diagnostic.message.clone(),
            rendered: diagnostic.render(files, &directory.display().to_string(), false),
        }
    }

    fn about_directory(error: &LoadError) -> Self {
        let message = error.to_string();
        Self {
            file: String::new(),
            line: 0,
            column: 0,
            rendered: message.clone(),
            message,
        }
    }

    fn is_about_directory(&self) -> bool {
        self.file.is_empty()
    }
}

/// Reads, compiles and tests a directory.
fn load(directory: &Path, clock: &Clock) -> Result<(RuleSet, Vec<Problem>), LoadError> {
    let before = list(directory).map_err(|source| unreadable(directory, source))?;
    let files = read(directory).map_err(|source| unreadable(directory, source))?;
    let after = list(directory).map_err(|source| unreadable(directory, source))?;
    if before != after {
        // Files of two moments must not become one set; the next look finds the directory at rest.
        let moving = io::Error::other("it is changing right now");
        return Err(unreadable(directory, moving));
    }
    let Compiled {
        rule_set,
        diagnostics,
    } = rules::compile(&files, clock.now());
    let problems = |wanted: bool| -> Vec<Problem> {
        diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.is_error() == wanted)
            .map(|diagnostic| Problem::new(diagnostic, &files, directory))
            .collect()
    };
    let Some(set) = rule_set else {
        return Err(LoadError::Broken(problems(true)));
    };
    let failures = set.run_tests();
    if !failures.is_empty() {
        let failed = failures.iter().map(|failure| {
            let file = files.iter().find(|file| file.path == failure.path);
            let text = file.map_or_else(Default::default, |file| {
                String::from_utf8_lossy(&file.bytes)
            });
            Problem::new(&failure.diagnostic(&text), &files, directory)
        });
        return Err(LoadError::Broken(failed.collect()));
    }
    let warnings = problems(false);
    Ok((set, warnings))
}

/// Reads the files that make up a rule set: `*.toml`, `lists/*.txt`, `models/*`, `sites/*.toml`, sorted by path.
///
/// # Errors
/// What the file system said, or that there is too much.
pub fn read(directory: &Path) -> io::Result<Vec<SourceFile>> {
    let listing = list(directory)?;
    let total: u64 = listing.values().map(|(size, ..)| size).sum();
    if total > MAX_BYTES {
        return Err(io::Error::other(format!(
            "it holds {total} bytes, and at most {MAX_BYTES} are read"
        )));
    }
    let is_toml = |path: &str| Path::new(path).extension() == Some(OsStr::new("toml"));
    let too_long = listing
        .iter()
        .find(|(path, (size, ..))| is_toml(path) && *size > MAX_TOML_BYTES);
    if let Some((path, (size, ..))) = too_long {
        return Err(io::Error::other(format!(
            "`{path}` has {size} bytes, and at most {MAX_TOML_BYTES} are read of a TOML file; put long lists into lists/*.txt"
        )));
    }
    listing
        .into_keys()
        .map(|path| {
            Ok(SourceFile {
                bytes: fs::read(directory.join(&path))?,
                path,
            })
        })
        .collect()
}

fn list(directory: &Path) -> io::Result<Listing> {
    let mut listing = Listing::new();
    let ends_in = |extension: &'static str| {
        move |name: &str| Path::new(name).extension() == Some(OsStr::new(extension))
    };
    add(&mut listing, directory, "", &ends_in("toml"))?;
    add(&mut listing, directory, "lists", &ends_in("txt"))?;
    add(&mut listing, directory, "models", &|name| {
        !name.starts_with('.')
    })?;
    add(&mut listing, directory, "sites", &ends_in("toml"))?;
    Ok(listing)
}

fn add(
    listing: &mut Listing,
    directory: &Path,
    folder: &str,
    belongs: &dyn Fn(&str) -> bool,
) -> io::Result<()> {
    let entries = match fs::read_dir(directory.join(folder)) {
        Ok(entries) => entries,
        // The folders are optional, the directory is not.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.is_empty() => {
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        // Editors keep their own files beside the ones they edit.
        if name.starts_with('.') || !belongs(name) {
            continue;
        }
        let meta = match fs::metadata(entry.path()) {
            Ok(meta) => meta,
            // Renamed away between the listing and the look: the next look sees what came of it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if meta.is_file() {
            let path = if folder.is_empty() {
                name.to_owned()
            } else {
                format!("{folder}/{name}")
            };
            let modified = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
            listing.insert(path, (meta.len(), modified, meta.ino()));
        }
    }
    Ok(())
}

fn unreadable(directory: &Path, source: io::Error) -> LoadError {
    LoadError::Unreadable {
        directory: directory.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    const POLICY: &str = "format = 1\n[thresholds]\nhold = 4.0\nreject = 10.0\n";

    fn rule(id: &str) -> String {
        format!(
            "[[rule]]\nid = \"{id}\"\nlabel = \"spam\"\npoints = 1.0\nwhen = \"links.count > 2\"\n"
        )
    }

    /// A rule directory of its own, whose files never share a modification time.
    struct Directory(tempfile::TempDir, AtomicU64);

    impl Directory {
        fn new() -> Self {
            let directory = Self(tempfile::tempdir().unwrap(), AtomicU64::new(1));
            directory.write("policy.toml", POLICY);
            directory.write("10.toml", &rule("links.first"));
            directory
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.0.path().join(name);
            fs::write(&path, text).unwrap();
            let tick = self.1.fetch_add(1, Ordering::Relaxed);
            let at = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000 + tick);
            fs::File::open(&path).unwrap().set_modified(at).unwrap();
        }

        fn open(&self) -> Rulebook {
            Rulebook::open(self.0.path(), Clock::system()).unwrap()
        }
    }

    #[test]
    fn a_rulebook_without_rules_can_be_made() {
        let book = Rulebook::empty(Path::new("nowhere"), Clock::system());
        assert!(book.current().rules().is_empty());
    }

    #[test]
    fn a_change_runs_once_the_directory_has_stood_still() {
        let directory = Directory::new();
        let book = directory.open();
        let first = book.current().hash().to_owned();
        directory.write("10.toml", &rule("links.second"));

        let at_once = book.poll();
        let settled = book.poll();

        assert!(!at_once && settled);
        assert_ne!(book.current().hash(), first);
        assert_eq!(&*book.current().rules()[0].id, "links.second");
        assert!(!book.poll(), "nothing changed since");
    }

    #[test]
    fn a_broken_file_never_replaces_the_running_set_and_is_named_with_its_line() {
        let directory = Directory::new();
        let book = directory.open();
        let first = book.current().hash().to_owned();
        directory.write(
            "10.toml",
            &rule("links.first").replace("links.count", "links.cuont"),
        );
        book.poll();
        book.poll();

        let state = book.state();

        assert_eq!(book.current().hash(), first);
        assert_eq!(
            (&*state.errors[0].file, state.errors[0].line),
            ("10.toml", 5)
        );
        assert!(state.errors[0].message.contains("links.cuont"));

        directory.write("10.toml", &rule("links.mended"));
        book.poll();
        assert!(book.poll());
        assert!(book.state().errors.is_empty());
    }

    #[test]
    fn a_directory_that_goes_away_keeps_the_running_set_and_comes_back() {
        let directory = Directory::new();
        let book = directory.open();
        let first = book.current().hash().to_owned();
        let away = directory.0.path().with_extension("away");
        fs::rename(directory.0.path(), &away).unwrap();
        book.poll();
        assert_eq!(book.state().errors.len(), 1);
        assert_eq!(book.current().hash(), first);

        fs::rename(&away, directory.0.path()).unwrap();
        book.poll();
        book.poll();

        assert!(book.state().errors.is_empty());
        assert_eq!(book.current().hash(), first);
    }
}
