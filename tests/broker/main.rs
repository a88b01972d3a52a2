//! Everything that needs a broker: `cargo test --test broker`, of one file `cargo test --test broker routes::`.
//!
//! One program, because each that links the whole crate costs seconds and 60 MB. Its files take turns (`turn`).

#![allow(clippy::disallowed_methods, reason = "tests measure and wait")]

mod alert_rules;
mod answers;
mod audit;
mod brokers;
mod clients;
mod cluster;
mod csfle;
mod delivery;
mod demo;
mod failures;
mod floods;
mod formats;
#[path = "../harness/mod.rs"]
mod harness;
mod lineage;
mod operations;
mod otlp;
mod privacy;
mod registry;
mod reload;
mod rolling;
mod routes;
mod sealed;
mod session;
mod storm;
mod tables_on_kafka;
mod turn;
