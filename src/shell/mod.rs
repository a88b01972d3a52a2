//! The only I/O: Kafka, disk, HTTP, clock, signals, logs.

#![allow(
    clippy::disallowed_methods,
    reason = "the clock, the environment and chance are asked here, and handed to the rest as arguments"
)]

#[macro_use]
pub mod out;

pub mod access;
pub mod admin;
pub mod audit;
pub mod bundle;
pub mod cgroup;
pub mod clients;
pub mod clock;
pub mod demo;
mod dumps;
pub mod features;
pub mod federate;
mod http;
mod kms;
mod lineage;
pub mod kafka;
pub mod memory_limit;
mod metrics;
pub mod otlp;
pub mod registry;
pub mod scorer;
pub mod reload;
pub mod preview;
pub mod replay;
pub mod roster;
pub mod routes;
pub mod run;
pub mod sample;
pub mod start;
pub mod state;
pub mod telemetry;
mod thread;
pub mod trial;
pub mod vault;
mod watchdog;
pub mod why;
