//! The only I/O: Kafka, disk, HTTP, clock, signals, logs.

pub mod admin;
pub mod bundle;
pub mod cgroup;
pub mod clock;
pub mod demo;
pub mod judge;
pub mod kafka;
pub mod memory;
mod metrics;
mod records;
pub mod registry;
pub mod roster;
pub mod run;
pub mod sample;
pub mod telemetry;
pub mod worker;
