//! Anteroom: a comment moderation service.
//!
//! Read [`app::submit`] first: the whole way of a comment in one function. Then [`web`], the inventory of routes, and
//! [`rules`], the engine. ARCHITECTURE.md tells the rest.
//!
//! | layer | modules | knows nothing of |
//! |---|---|---|
//! | the core | [`domain`], [`text`], [`rules`] | files, clocks, networks, databases, async |
//! | keys | [`seal`] | HTTP, SQL |
//! | storage | [`store`] | HTTP, and why anything is stored |
//! | use cases | [`app`] | HTTP, SQL, command lines |
//! | doors | [`web`], [`work`], [`cli`] | SQL, and each other (but `cli` starts the other two) |
//! | wiring | [`config`], [`telemetry`] | the trade |
//!
//! Invariant: a module names only modules above it in this table, beside its own; a test reads every `use` to see to it.

pub mod app;
pub mod cli;
pub mod config;
pub mod domain;
pub mod rules;
pub mod seal;
pub mod store;
pub mod telemetry;
pub mod text;
pub mod web;
pub mod work;
