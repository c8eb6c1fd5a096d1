//! The tests that look at the whole: the shape of the source, the programs as a user runs them,
//! and both databases under the same expectations.
//!
//! Not here: what one module promises by itself, which stands at the bottom of its file.
//! Whatever a test starts ends with the test process, even when that is killed.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test stops at the first surprise, reads its own settings and bounds its waiting"
)]

mod accounts;
mod architecture;
mod browser;
mod console;
mod console_browser;
mod corpus;
mod faults;
mod form;
mod idempotency;
mod kill;
mod operate_cli;
mod privacy;
mod process;
mod queue;
mod receipt;
mod rig;
mod rules_cli;
mod store;
mod submit;
mod thread;
mod two_instances;
mod usecases;
