//! Anteroom: a comment moderation service.
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
